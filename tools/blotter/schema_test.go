package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTableSchema shows a column that a header brought, running and stopped.
func TestTableSchema(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("20240304-080000000.csv", "Op,id,status,amount\nI,1,OPEN,1.00\n")
	s.deliver("20240304-080100000.csv", "Op,id,status,Beat,amount\nI,2,OPEN,3D,2.00\n")
	for _, state := range []string{"running", "stopped"} {
		if state == "stopped" {
			s.halt()
		}
		var v schemaView
		if err := json.Unmarshal([]byte(s.must("table", "schema", "rms.reports", "--json")), &v); err != nil {
			t.Fatal(err)
		}
		last := v.Schemas[len(v.Schemas)-1]
		if !last.Current || last.Since == nil || last.SnapshotID == 0 || last.Token != "2" || len(last.Columns) != 4 ||
			len(last.Added) != 1 || last.Added[0].Name != "Beat" || last.Moved {
			t.Errorf("%s: the last schema is %+v", state, last)
		}
		out := s.must("table", "schema", "rms.reports")
		for _, want := range []string{"+ Beat string", "long not null", "token 2 (current)"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is missing in\n%s", state, want, out)
			}
		}
	}
	if out := s.must("table", "schema", "rms.reports"); strings.Contains(out, "registered") {
		t.Errorf("all that is registered is in the lake:\n%s", out)
	}
	if out, err := command(t.Context(), nil, "table", "schema", "rms.people", "--dir", s.dir); err == nil || !strings.Contains(err.Error(), "nothing of rms.people is published") {
		t.Errorf("a table without rows: %v\n%s", err, out)
	}
}

// TestTableSchemaTellsWhatIsRegistered: a column that was applied is not in the lake
// before a file is, and is told of meanwhile.
func TestTableSchemaTellsWhatIsRegistered(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("20240304-080000000.csv", "Op,id,status,amount\nI,1,OPEN,1.00\n")
	file := filepath.Join(t.TempDir(), "rms.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(testTables, "amount:", "badge: string, amount:", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.must("apply", "-f", file)
	const told = "registered, and in the lake with the next file\n  (badge string)"
	if out := s.must("table", "schema", "rms.reports"); !strings.Contains(out, told) {
		t.Errorf("%q is missing in\n%s", told, out)
	}
	s.deliver("20240304-080100000.csv", "Op,id,status,badge,amount\nI,2,OPEN,A1,2.00\n")
	if out := s.must("table", "schema", "rms.reports"); strings.Contains(out, "registered") || !strings.Contains(out, "+ badge string") {
		t.Errorf("all that is registered is in the lake:\n%s", out)
	}
}
