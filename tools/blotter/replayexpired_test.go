package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/tools/internal/rebuild"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// Where the snapshot has expired, the hash of the rows in the log is what rebuilt rows
// are held against.
func TestReplayRowsOfAnExpiredSnapshot(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n2,closed,2.50\n")
	s.sealed()
	s.deliver("20240304-060000000.csv", "Op,id,status,amount\nU,1,closed,2.00\nI,10,NULL,NULL\n")
	table := dms.TableID{DB: "rms", Table: "reports"}
	h, err := rebuild.ReadHistory(t.Context(), s.process.Log, eventlog.Filter{Table: table})
	if err != nil {
		t.Fatal(err)
	}
	made, err := s.process.Lake.Rows(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	if h.Rows != 3 || made.Live() != 3 {
		t.Fatalf("the log has %d rows, the lake %d, expected 3", h.Rows, made.Live())
	}
	damaged := &rebuild.Rebuilt{Changed: []rebuild.Finding{{Detail: "other bytes"}}}
	for name, c := range map[string]struct {
		rows    int64
		hash    string
		rebuilt *rebuild.Rebuilt
		want    string
		equal   bool
	}{
		"the same rows":         {h.Rows, h.RowsHash, &rebuild.Rebuilt{}, "equal to the hash of the rows in the log", true},
		"other bytes in a file": {h.Rows, h.RowsHash, damaged, "not every file is as the log says", false},
		"one row more":          {h.Rows + 1, h.RowsHash, &rebuild.Rebuilt{}, "rows differ: the snapshot has expired, and had 4 rows", false},
		"other rows":            {h.Rows, strings.Repeat("0", 128), &rebuild.Rebuilt{}, "rows differ: the snapshot has expired, and the log holds another hash", false},
		"no hash in the log":    {h.Rows, "", &rebuild.Rebuilt{}, "only their number could be compared", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := replayedRows{Table: table, Published: c.rows, RebuiltRows: made.Live(), Rebuilt: c.rebuilt}
			then := *h
			then.RowsHash = c.hash
			if err := r.compareExpired(t.Context(), &then, made); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(r.Verdict, c.want) || r.Equal != c.equal {
				t.Errorf("it says %q, equal %t", r.Verdict, r.Equal)
			}
		})
	}
}

// The newest snapshot of a table cannot have expired: where it is not there, the table was
// set back, or dropped, whatever the log's hash of its rows says.
func TestReplayRowsOfATableThatWasSetBack(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n2,closed,2.50\n")
	s.sealed()
	s.halt()
	catalog := filepath.Join(s.dir, roles.CatalogFile)
	old, err := os.ReadFile(catalog)
	s.check(err)
	s.restart()
	s.deliver("20240304-060000000.csv", "Op,id,status,amount\nU,1,closed,2.00\nI,10,NULL,NULL\n")
	s.halt()
	wrong := func(says string) replayedRows {
		t.Helper()
		out, err := s.blotter("replay", "rms.reports", "--rows", "--json")
		r := rowsOf(t, out)
		if !errors.Is(err, errRowsDiffer) || r.Equal || !strings.Contains(r.Verdict, says) {
			t.Errorf("it says %q (%v), expected %q", r.Verdict, err, says)
		}
		return r
	}
	s.check(os.WriteFile(catalog, old, 0o600))
	if r := wrong("the table was set back"); r.Comparison == nil || r.Comparison.Missing != 1 || r.Comparison.Different != 1 {
		t.Errorf("it does not tell which rows differ: %+v", r.Comparison)
	}
	s.check(os.Remove(catalog))
	wrong("the lake has no such table")
	out, err := s.blotter("replay", "rms.reports", "--rows", "--seq", "1000000")
	if err == nil || !strings.Contains(out, "the lake has no such table") {
		t.Errorf("as of then it says %v\n%s", err, out)
	}
	if out, err := s.blotter("cat", "rms.reports"); err == nil || !strings.Contains(err.Error(), "although 3 rows of it are published") {
		t.Errorf("its rows cannot be read: %v\n%s", err, out)
	}
}
