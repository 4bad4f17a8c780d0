package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openblotter/blotter/tools/internal/roles"
)

// Files of a table whose amounts are registered too narrow for the second.
const (
	narrowTables = `
database: rms
source: {prefix: dms/, schema: rms}
dms: {header: true, op_column: Op, timestamp_column: null, change_seq_column: null, null: "NULL"}
load: {quiet_period: 0s}
tables:
  - {name: reports, primary_key: [id], columns: {id: bigint not null, status: string, amount: "decimal(4,2)"}}
`
	wideName    = "20240304-070000000.csv"
	wideChanges = "Op,id,status,amount\nU,1,closed,123.45\nD,2,,NULL\nI,4,new,4.00\nI,5,only here,555.55\nU,3,overtaken,333.33\n"
)

// narrow has the load, the wide file, whatever becomes of it, and changes behind it.
func narrow(t *testing.T, answer func(s *testSystem)) *testSystem {
	t.Helper()
	s := startSystemOf(t, narrowTables)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.00\n2,open,2.00\n3,open,3.00\n")
	s.sealed()
	s.deliver(wideName, wideChanges)
	answer(s)
	s.settle()
	s.deliver("20240304-080000000.csv", "Op,id,status,amount\nU,1,reopened,5.00\nI,2,back,6.00\nD,4,,NULL\n")
	s.deliver("20240304-090000000.csv", "Op,id,status,amount\nU,3,newest,7.00\nI,9,last,9.00\n")
	return s
}

func (s *testSystem) widen() {
	s.t.Helper()
	s.must("apply", "-f", s.write("wide.yaml", strings.Replace(narrowTables, "decimal(4,2)", "decimal(10,2)", 1)))
}

// TestUnskip: a file that was skipped by mistake, and came again with the same bytes to no
// avail, is taken in after all. The table is what it would have been had the file never
// been skipped, where each of its rows came from included; log and control state agree,
// also once that was lost.
func TestUnskip(t *testing.T) {
	t.Parallel()
	right := narrow(t, func(s *testSystem) {
		s.widen()
		s.must("resume", "rms.reports", "--retry")
	})
	s := narrow(t, func(s *testSystem) { s.must("resume", "rms.reports", "--skip", "--reason", "a mistake") })
	s.widen()
	id := s.deliver(wideName, wideChanges)
	if out := s.must("table", "show", "rms.reports"); !strings.Contains(out, "if one was skipped by mistake: blotter unskip 'rms.reports' FILE") {
		t.Errorf("table show says\n%s", out)
	}
	for name, want := range map[string]string{
		"20240304-100000000.csv": "lacks no file", "20240304-080000000.csv": "lacks no file", "": "lacks no file", string(id)[:8] + "x": "lacks no file",
	} {
		if out, err := s.blotter("unskip", "rms.reports", wideName, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("unskip %q: %v\n%s", name, err, out)
		}
	}
	out := s.must("unskip", "rms.reports", string(id)[:8], wideName, "dms/rms/reports/"+wideName, "--reason", "registered now")
	if !strings.Contains(out, "rms.reports takes dms/rms/reports/"+wideName+" in after all, at its place in the order") {
		t.Errorf("unskip says\n%s", out)
	}
	s.settle()
	rows := s.must("cat", "rms.reports", "--provenance")
	if want := right.must("cat", "rms.reports", "--provenance"); rows != want || !strings.Contains(rows, "only here") {
		t.Errorf("the rows are\n%s\nhad it never been skipped\n%s", rows, want)
	}
	if _, err := s.blotter("unskip", "rms.reports", string(id)); err == nil || !strings.Contains(err.Error(), "was not skipped: it is published") {
		t.Errorf("a second time: %v", err)
	}
	if out := s.must("tables"); strings.Contains(out, "lacks") {
		t.Errorf("tables tells of a gap:\n%s", out)
	}
	if out := s.must("log", "rms.reports", "--event", "CommandAnswered"); !strings.Contains(out, "unskip, registered now: rms.reports takes") {
		t.Errorf("the log says\n%s", out)
	}
	s.halt()
	s.must("replay")
	s.must("replay", "--rows")
	s.must("fsck")
	s.lose("control.db")
	s.lose("hold.db")
	s.must("replay", "--rebuild")
	s.must("replay")
	s.must("fsck")
	if out := s.must("up", "--until-idle"); strings.Contains(out, "lacks") {
		t.Errorf("up says\n%s", out)
	}
	if got := s.must("cat", "rms.reports", "--provenance"); got != rows {
		t.Errorf("then the rows are\n%s", got)
	}
}

// TestUnskipOfAStoppedSystem: what is said while nothing runs is done by the next run,
// which counts the file once.
func TestUnskipOfAStoppedSystem(t *testing.T) {
	t.Parallel()
	s := narrow(t, func(s *testSystem) { s.must("resume", "rms.reports", "--skip") })
	s.widen()
	s.halt()
	s.must("unskip", "rms.reports", wideName)
	if out := s.must("up", "--until-idle"); !strings.Contains(out, "1 of 1 file taken in") || strings.Contains(out, "lacks") {
		t.Errorf("up says\n%s", out)
	}
	s.must("replay")
}

// TestUnskipNeedsTheObject: a file whose object is gone or was written again is refused,
// nothing is changed, and what is told to do helps.
func TestUnskipNeedsTheObject(t *testing.T) {
	t.Parallel()
	s := narrow(t, func(s *testSystem) { s.must("resume", "rms.reports", "--skip") })
	s.widen()
	s.halt()
	object := filepath.Join(s.dir, roles.RawDir, "dms/rms/reports", wideName)
	s.check(os.WriteFile(object, []byte("something else"), 0o600))
	refused := func(why string) (copied string) {
		t.Helper()
		before := s.must("log")
		_, err := s.blotter("unskip", "rms.reports", wideName)
		if err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "nothing was changed") {
			t.Fatalf("it says %v", err)
		}
		if after := s.must("log"); after != before {
			t.Errorf("the log says\n%s\nbefore\n%s", after, before)
		}
		_, from, _ := strings.Cut(err.Error(), "put it back from its copy, ")
		copied, _, _ = strings.Cut(from, ", and try again")
		return copied
	}
	refused("it was written again, which is a file of its own and comes by itself")
	s.check(os.Remove(object))
	copied := refused("it was deleted")
	content, err := os.ReadFile(copied)
	if err != nil || string(content) != wideChanges {
		t.Fatalf("the copy holds %q, %v", content, err)
	}
	s.check(os.WriteFile(object, content, 0o600))
	s.must("unskip", "rms.reports", wideName)
	s.must("up", "--until-idle", "--stable-for", "10ms")
	if out := s.must("cat", "rms.reports"); !strings.Contains(out, "only here") {
		t.Errorf("the rows are\n%s", out)
	}
}

// TestUnskipOfWhatCameInOtherwise: a file that was mended at the source, and is in, is not
// taken in a second time.
func TestUnskipOfWhatCameInOtherwise(t *testing.T) {
	t.Parallel()
	s := narrow(t, func(s *testSystem) { s.must("resume", "rms.reports", "--skip") })
	s.halt()
	var skipped string
	for _, f := range viewOf(t, s).Gaps {
		skipped = string(f.ID)
	}
	object := filepath.Join(s.dir, roles.RawDir, "dms/rms/reports", wideName)
	s.check(os.WriteFile(object, []byte("Op,id,status,amount\nU,9,mended,3.00\n"), 0o600))
	s.must("up", "--until-idle", "--stable-for", "10ms")
	if _, err := s.blotter("unskip", "rms.reports", skipped); err == nil || !strings.Contains(err.Error(), "nothing of it is lacking") {
		t.Errorf("it says %v", err)
	}
}

func viewOf(t *testing.T, s *testSystem) *tableView {
	t.Helper()
	store, err := readStore(t.Context(), inDir(s.dir))
	s.check(err)
	defer func() { s.check(store.Close()) }()
	v, err := viewTable(t.Context(), store, inDir(s.dir), reportsID, 20)
	s.check(err)
	return v
}
