package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/tools/internal/explain"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// fates lists what came of each change of a row: operation, row and fate.
func (s *testSystem) fates(args ...string) (fates []string, life *explain.Life) {
	s.t.Helper()
	out := s.must(append([]string{"explain", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &life); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	for _, t := range life.Touches {
		fates = append(fates, t.Op+" "+t.Fate)
	}
	return fates, life
}

// The life of a row: what each file did to it, and what came of that, on a running
// and on a stopped system, before and after a second load.
func TestExplain(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n2,open,1.50\n3,open,2.50\n")
	s.sealed()
	change := s.deliver("20240304-060000000.csv", "Op,id,status,amount\nU,1,first secret,2.00\nU,1,second secret,2.00\nD,3,NULL,NULL\nI,9,open,1.00\n")
	s.deliver("20240304-050000000.csv", "Op,id,status,amount\nU,1,came late,2.00\n")
	for _, state := range []string{"running", "stopped"} {
		if state == "stopped" {
			s.halt()
		}
		for key, want := range map[string][]string{
			"1":    {"I overtaken", "U late", "U overtaken", "U holds"},
			"id=2": {"I holds"},
			"3":    {"I overtaken", "D removed"},
			"9":    {"I holds"},
			"5":    nil,
		} {
			if got, life := s.fates("rms.reports", key); !slices.Equal(got, want) || !life.Agrees || life.Files != 3 {
				t.Errorf("%s: of %s it says %q, expected %q (%+v)", state, key, got, want, life)
			}
		}
	}
	_, life := s.fates("rms.reports", "9")
	if life.ByRange != 2 || life.Scanned != 1 || life.ByKey != 0 || len(life.Lake) != 1 || life.Lake[0].Row != 5 {
		t.Errorf("files are ruled out as %+v", life)
	}
	out := s.must("explain", "rms.reports", "1")
	// The row of the load was overtaken before the one came late that stands behind it.
	for _, want := range []string{"the table has row 3 of file ", "overtaken: by row 2 of file " + shortID(string(change)), "late: by row 2 of file " + shortID(string(change)), "LOAD00000001.csv"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "secret") {
		t.Errorf("it shows values:\n%s", out)
	}
	if out := s.must("explain", "rms.reports", "1", "--show-values"); !strings.Contains(out, `status="second secret"`) {
		t.Errorf("it shows no values:\n%s", out)
	}
	for args, want := range map[string]string{
		"explain rms.reports x":           "the key: id: expected a whole number",
		"explain rms.reports 1 2":         "the primary key of rms.reports has 1 column, 2 values are given",
		"explain rms.reports id=1 status": "give each of its columns once",
		"explain rms.reports nr=5":        "nr is no column of the primary key, which is id",
		"explain rms.reports id=5 nr=5":   "nr is no column of the primary key, which is id",
		"explain rms.none 1":              "table rms.none is not registered here",
		"explain rms.reports":             "write: blotter explain TABLE KEY...",
	} {
		if out, err := s.blotter(strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\n%s", args, err, out)
		}
	}
}

// A load replaces what was published before it, and says so; of raw versions that are
// gone the staged output tells, and staged output that is gone costs no more than reading.
func TestExplainWhatWasReplaced(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.sealed()
	change := s.deliver("20240304-060000000.csv", "Op,id,status,amount\nU,1,closed,2.00\n")
	s.deliverAt(time.Date(2024, 3, 5, 8, 0, 0, 0, time.UTC), "LOAD00000001.csv", "id,status,amount\n1,again,1.50\n")
	s.sealed()
	s.halt()
	if err := os.RemoveAll(filepath.Join(s.dir, roles.StagingDir, "rms/reports", string(change))); err != nil {
		t.Fatal(err)
	}
	got, life := s.fates("rms.reports", "1")
	if want := []string{"I or U replaced", "I holds", "U replaced"}; !slices.Equal(got, want) || !life.Agrees {
		t.Errorf("it says %q, expected %q (%+v)", got, want, life)
	}
	if len(life.Unread) != 1 || !strings.Contains(life.Unread[0].Reason, "object.changed") || !life.Unread[0].Staged || life.Touches[0].FileID != life.Unread[0].FileID {
		t.Errorf("the first version of the load is gone; it says %+v", life.Unread)
	}
	out := s.must("explain", "rms.reports", "5")
	if !strings.Contains(out, ": no file has such a row\n") {
		t.Errorf("of a row that is nowhere it says\n%s", out)
	}
	if err := os.RemoveAll(filepath.Join(s.dir, roles.StagingDir, "rms/reports")); err != nil {
		t.Fatal(err)
	}
	out = s.must("explain", "rms.reports", "5")
	if !strings.Contains(out, ": no row that can be read has this key") || !strings.Contains(out, "not read: ") {
		t.Errorf("of a row that may have been in what is gone it says\n%s", out)
	}
}

// What cannot be told is said: rows that cannot be taken may be anybody's, and staged
// output rules nothing out where its bytes are not those of the log.
func TestExplainWhatCannotBeTold(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	broken := s.fill()
	fates, life := s.fates("rms.reports", "5")
	if len(fates) > 0 || life.Whole() || len(life.Untold) != 1 || life.Untold[0].FileID != broken || life.Untold[0].Rows != 1 {
		t.Errorf("of a row that no file has it says %q: %+v", fates, life)
	}
	if out := s.must("explain", "rms.reports", "5"); !strings.Contains(out, "1 row of dms/rms/reports/20240304-070000000.csv") || !strings.Contains(out, "quarantined) cannot be taken, and nobody can tell whose") {
		t.Errorf("it says\n%s", out)
	}
	if out, err := command(t.Context(), nil, "explain", "--dir", s.dir, "rms.reports", "--", "-7"); err != nil || !strings.Contains(out, "rms.reports -7: no row") {
		t.Errorf("of a negative key it says %v\n%s", err, out)
	}
	if _, life := s.fates("rms.reports", "4"); life.ByKey != 1 {
		t.Errorf("the staged keys of the changes rule it out: %+v", life)
	}
	s.halt()
	var staged []string
	s.check(filepath.WalkDir(filepath.Join(s.dir, roles.StagingDir, "rms/reports"), func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".parquet") {
			staged = append(staged, path)
		}
		return err
	}))
	for _, path := range staged {
		b := s.read(path)
		b[len(b)/3] ^= 1
		s.check(os.Chmod(path, 0o600), os.WriteFile(path, b, 0o600))
	}
	if _, life := s.fates("rms.reports", "4"); life.ByKey > 0 || life.Scanned != life.Files-life.ByRange {
		t.Errorf("files are ruled out by staged output that was changed: %+v", life)
	}
}

// Mended rows are told as such, and rows that are still set aside are counted.
func TestExplainMendedRows(t *testing.T) {
	t.Parallel()
	s, file := rejecting(t)
	mended := s.write("mended.csv", strings.Replace(exported, "2,open,secret", "2,open,1.00", 1))
	s.must("rejected", "replay", "rms.reports", mended, "--file", file, "--reason", "test", "--drop", "4-5")
	s.settle()
	s.halt()
	got, life := s.fates("rms.reports", "2")
	if want := []string{"I late", "U holds"}; !slices.Equal(got, want) || !life.Agrees || life.Touches[0].MendedOf == "" {
		t.Errorf("it says %q, expected %q (%+v)", got, want, life)
	}
	if out := s.must("explain", "rms.reports", "2"); !strings.Contains(out, "that an operator mended") || !strings.Contains(out, "3 rows of these files could not be taken as they came") {
		t.Errorf("it does not tell of the mended row:\n%s", out)
	}
}
