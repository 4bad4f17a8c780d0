package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/openblotter/blotter/tools/internal/roles"
)

// The rows of a table are made once more from its files, on a running and on a
// stopped system, now and as of any publication.
func TestReplayRows(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.fill()
	s.must("resume", "rms.reports", "--skip")
	s.settle()
	for _, state := range []string{"running", "stopped"} {
		t.Run(state, func(t *testing.T) {
			if state == "stopped" {
				s.halt()
			}
			if out := s.must("replay", "--rows"); !strings.Contains(out, "rms.reports as of event") || !strings.Contains(out, ": equal\n") ||
				!strings.Contains(out, "5 rows rebuilt from 3 files; for 3 of them the staged bytes have the hash in the log") {
				t.Errorf("it says\n%s", out)
			}
		})
	}
}

func rowsOf(t *testing.T, out string) replayedRows {
	t.Helper()
	var all []replayedRows
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		t.Fatalf("it is no report of one table (%v):\n%s", err, out)
	}
	return all[0]
}

// The rows as of a time are those that were published by then, and can be kept.
func TestReplayRowsOfThen(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n2,closed,2.50\n")
	s.sealed()
	then, err := s.process.Log.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.deliver("20240304-060000000.csv", "Op,id,status,amount\nU,1,closed,2.00\nD,2,\\N,-0.05\nI,10,NULL,NULL\n")
	s.halt()
	keep := filepath.Join(t.TempDir(), "then")
	out := s.must("replay", "rms.reports", "--rows", "--seq", strconv.FormatUint(then, 10), "--out", keep)
	if !strings.Contains(out, ": equal\n") || !strings.Contains(out, "2 rows rebuilt from 1 file;") {
		t.Errorf("it says\n%s", out)
	}
	rows, err := command(t.Context(), nil, "cat", "rms.reports", "--dir", keep)
	if want := "id,status,amount\n1,open,1.50\n2,closed,2.50\n"; err != nil || rows != want {
		t.Errorf("kept are %v\n%s", err, rows)
	}
	if left, err := os.ReadDir(keep); err != nil || len(left) != 3 {
		t.Errorf("beside the tables it leaves %v (%v)", left, err)
	}
	if _, err := s.blotter("replay", "rms.reports", "--rows", "--out", keep); err == nil || !strings.Contains(err.Error(), "--out: ") || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("into a folder that is used it says %v", err)
	}
	if _, err := s.blotter("replay", "rms.reports", "--rows", "--seq", "1"); err == nil || !strings.Contains(err.Error(), "no publication of table rms.reports") {
		t.Errorf("of a time before it says %v", err)
	}
	if _, err := s.blotter("replay", "--out", keep); err == nil || !strings.Contains(err.Error(), "go with --rows") {
		t.Errorf("without --rows it says %v", err)
	}
}

// Raw versions that are gone are named. The staged output takes their place while it
// is there; when that is gone, too, the rows that it gave are told as unproven.
func TestReplayRowsNamesWhatIsGone(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n2,closed,2.50\n")
	s.sealed()
	id := s.deliver("20240304-060000000.csv", "Op,id,status,amount\nU,1,secret word,2.00\nI,3,open,1.00\n")
	s.halt()
	if err := os.Remove(filepath.Join(s.dir, roles.RawDir, "dms/rms/reports/20240304-060000000.csv")); err != nil {
		t.Fatal(err)
	}
	out, err := s.blotter("replay", "--rows", "--json")
	r := rowsOf(t, out)
	if err == nil || len(r.Rebuilt.Gone) != 1 || r.Rebuilt.Gone[0].FileID != id || len(r.Rebuilt.Lost) != 0 || !r.Comparison.Equal() {
		t.Errorf("without the raw file it says %v\n%s", err, out)
	}
	if err := os.RemoveAll(filepath.Join(s.dir, roles.StagingDir, "rms/reports", string(id))); err != nil {
		t.Fatal(err)
	}
	out, err = s.blotter("replay", "--rows", "--json")
	r = rowsOf(t, out)
	if err == nil || len(r.Rebuilt.Lost) != 1 || r.Comparison.Unproven != 2 || r.Comparison.Different != 1 || r.Comparison.Surplus != 1 {
		t.Errorf("without the staged file it says %v\n%s", err, out)
	}
	out, _ = s.blotter("replay", "--rows")
	if strings.Contains(out, "secret word") || !strings.Contains(out, "id=1 differs") || !strings.Contains(out, "      status\n") {
		t.Errorf("values are shown, or the row is not named:\n%s", out)
	}
	out, _ = s.blotter("replay", "--rows", "--show-values")
	if !strings.Contains(out, `status: "open" by the files, "secret word" in the lake`) {
		t.Errorf("values are not shown:\n%s", out)
	}
}
