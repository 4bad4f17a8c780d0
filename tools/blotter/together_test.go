package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What two files register must stand side by side, whenever they are applied.
func TestApplyChecksWhatIsInForce(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	file := func(name, tables string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte("database: rms\nsource: {prefix: dms/, schema: rms}\ntables: ["+tables+"]\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const columns = "primary_key: [id], columns: {id: bigint not null}"
	other := file("other.yaml", "{name: notes, path: rms/reports/, "+columns+"}")
	twice := []string{"apply", "-f", file("a.yaml", "{name: a, "+columns+"}"), "-f", file("b.yaml", "{name: a, "+columns+"}")}
	for want, args := range map[string][]string{
		`the folder "dms/rms/reports/" belongs to rms.reports`: {"apply", "-f", other},
		"rms.a stands in two of the files":                     twice,
	} {
		if out, err := s.blotter(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, expected %q\n%s", args, err, want, out)
		}
	}
	// What lock-manager refuses of one table is known before another is registered.
	s.deliver("20240304-060000000.csv", "Op,id,status,amount\nI,1,open,1.50\n")
	_, err := s.blotter("apply", "-f", file("new.yaml", `{name: aa, `+columns+`}, {name: reports, primary_key: [id], columns: {id: bigint not null, status: date}}`))
	if err == nil || !strings.Contains(err.Error(), "nothing is applied: register rms.reports: refused: column status cannot change") {
		t.Errorf("a table that is refused: %v", err)
	}
	if out := s.must("tables"); strings.Contains(out, "rms.aa") {
		t.Errorf("a table is registered beside one that is refused:\n%s", out)
	}
	changed := s.must("apply", "-f", file("people.yaml", `{name: people, primary_key: [id], columns: {id: bigint not null, born: date}}`))
	if !strings.Contains(changed, "version 2: column born date is new; no longer registered: name (what the table has of it stays") {
		t.Errorf("apply says %s", changed)
	}
	// The table that was in the way may move, and the folder is free.
	moved := file("moved.yaml", `{name: reports, path: rms/reports_2/, primary_key: [id], columns: {id: bigint not null, status: string, amount: "decimal(10,2)"}}`)
	s.must("apply", "-f", moved)
	s.must("apply", "-f", other)
}
