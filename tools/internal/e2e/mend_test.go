package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const mendedLoad = `database: rms
source: {prefix: dms/, schema: rms}
dms: {header: true}
on_bad_row: quarantine
tables:
  - {name: reports, primary_key: [id], columns: {id: int not null, status: text, fee: "numeric(8, 2)"}}
`

// TestMendedRowsTakeTheirPlace: rows of a load file and of a change file are set
// aside, exported, mended and brought in by the binary, each at the place that it
// has in its file: what changed the same key later wins, what came before it does
// not. Brought in again they change nothing, and the log still folds to the state.
func TestMendedRowsTakeTheirPlace(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "", mendedLoad)
	const load, changes = "dms/rms/reports/LOAD00000001.csv", "dms/rms/reports/20240115-070100000.csv"
	s.write([]byte("id,status,fee\n1,open,1.00\n2,open,two\n3,open,three\n"), load, notifiedAt)
	s.write([]byte("Op,id,status,fee\nU,1,paid,four\nU,2,closed,2.50\nI,4,open,x\n"), changes, notifiedAt)
	if out := s.up(exitUnsettled); !strings.Contains(out, "4 rows are set aside") {
		t.Errorf("the run does not tell of the bad rows:\n%s", out)
	}
	ids := s.publishedIDs()
	s.bringIn(ids[load], "two", "2.00", "three", "3.00")
	s.bringIn(ids[changes], "four", "4.00", "x", "5.00")
	s.up(0)
	want := [][]string{{"1", "paid", "4.00"}, {"2", "closed", "2.50"}, {"3", "open", "3.00"}, {"4", "open", "5.00"}}
	equalTables(t, "rms.reports", s.cat("rms.reports", ""), csvTable{[]string{"id", "status", "fee"}, want})
	before := s.must(0, "cat", "rms.reports", "--provenance")
	s.bringInAgain()
	s.up(0)
	if after := s.must(0, "cat", "rms.reports", "--provenance"); after != before {
		t.Errorf("brought in again they make of\n%s\n%s", before, after)
	}
	s.must(0, "replay")
}

// publishedIDs gives the ids of the files with rows that were set aside, by key.
func (s *system) publishedIDs() map[string]string {
	s.t.Helper()
	ids := map[string]string{}
	var files []struct {
		FileID string `json:"file_id"`
		Key    string `json:"key"`
	}
	if err := json.Unmarshal([]byte(s.must(0, "rejected", "list", "rms.reports", "--json")), &files); err != nil {
		s.t.Fatal(err)
	}
	for _, f := range files {
		ids[f.Key] = f.FileID
	}
	return ids
}

// bringIn exports the rows of a file that were set aside, puts new text in the
// place of old, and brings them in.
func (s *system) bringIn(id string, oldNew ...string) {
	s.t.Helper()
	rows := filepath.Join(s.dir, id+".csv")
	s.must(0, "rejected", "export", "rms.reports", "--file", id, "-o", rows)
	b, err := os.ReadFile(rows)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(oldNew); i += 2 {
		b = bytes.ReplaceAll(b, []byte(","+oldNew[i]+"\n"), []byte(","+oldNew[i+1]+"\n"))
	}
	if err := os.WriteFile(rows, b, 0o600); err != nil {
		s.t.Fatal(err)
	}
	if out := s.must(0, "rejected", "replay", "rms.reports", rows, "--file", id, "--reason", "test"); !strings.HasPrefix(out, "2 rows mended and 0 dropped") {
		s.t.Errorf("it says %s", out)
	}
}

// bringInAgain asks once more for all that bringIn brought in.
func (s *system) bringInAgain() {
	s.t.Helper()
	for _, id := range s.publishedIDs() {
		out := s.must(0, "rejected", "replay", "rms.reports", filepath.Join(s.dir, id+".csv"), "--file", id, "--reason", "test")
		if !strings.HasPrefix(out, "these rows came in before") || !strings.Contains(out, "published") {
			s.t.Errorf("asked for again it says %s", out)
		}
	}
}
