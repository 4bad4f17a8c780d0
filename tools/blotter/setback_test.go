package main

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/eventlog"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	"github.com/openblotter/blotter/tools/internal/fsck"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// TestACatalogThatWasSetBack: a table whose catalog was lost, or put back from an older
// copy, takes no changes as if nothing had been. Its pause says so, and fsck goes on to,
// until the catalog is back or a load has replaced the rows.
func TestACatalogThatWasSetBack(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(s *testSystem, older func()){
		"lost":     func(s *testSystem, _ func()) { s.lose(roles.CatalogFile) },
		"set back": func(_ *testSystem, older func()) { older() },
	} {
		for wayOn, mend := range map[string]func(s *testSystem, newest func()){
			"restored": func(s *testSystem, newest func()) { s.halt(); newest(); s.restart(); s.must("resume", "rms.reports") },
			"loaded anew": func(s *testSystem, _ func()) {
				later := time.Date(2024, 3, 4, 9, 0, 0, 0, time.UTC)
				s.deliverAt(later, "LOAD00000001.csv", "id,status,amount\n1,new,4.00\n2,new,5.00\n")
				s.must("resume", "rms.reports")
				s.sealed()
			},
		} {
			t.Run(name+" and "+wayOn, func(t *testing.T) {
				t.Parallel()
				s := startSystem(t)
				s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
				s.sealed()
				s.halt()
				older := s.keepCopy(roles.CatalogFile)
				s.restart()
				s.deliver("20240304-060000000.csv", "Op,id,status,amount\nU,1,closed,2.00\n")
				s.halt()
				newest := s.keepCopy(roles.CatalogFile)
				lose(s, older)
				if out, err := s.blotter("up", "--until-idle", "--tables", s.write("tables.yaml", testTables)); !errors.Is(err, errUnsettled) || !strings.Contains(out, "rms.reports takes no changes") {
					t.Errorf("it starts with %v and\n%s", err, out)
				}
				s.restart()
				s.deliver("20240304-070000000.csv", "Op,id,status,amount\nI,3,open,3.00\n")
				if out := s.must("tables"); !strings.Contains(out, "lost or set back") {
					t.Fatalf("the table goes on:\n%s", out)
				}
				if kinds, _, err := s.fsck(); !errors.Is(err, errUnsettled) || !slices.Contains(kinds, fsck.SnapshotLost) {
					t.Errorf("fsck finds %q (%v)", kinds, err)
				}
				mend(s, newest)
				s.settle()
				if kinds, report, err := s.fsck(); err != nil {
					t.Errorf("in the end fsck finds %q (%v): %+v", kinds, err, report.Findings)
				}
				want := "1,closed,2.00\n3,open,3.00\n"
				if wayOn == "loaded anew" {
					want = "1,new,4.00\n2,new,5.00\n"
				}
				if out := s.must("cat", "rms.reports"); !strings.HasSuffix(out, want) {
					t.Errorf("in the end the rows are\n%s", out)
				}
			})
		}
	}
}

// TestAnObjectThatWasForgotten: an object whose row was taken away is told of again, and
// stops nothing; its file is taken once.
func TestAnObjectThatWasForgotten(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.sealed()
	s.halt()
	s.inSQLite(roles.ControlFile, `DELETE FROM objects WHERE key LIKE '%LOAD00000001%'`)
	if kinds, _, err := s.fsck(); !errors.Is(err, errUnsettled) || !slices.Equal(kinds, []string{fsck.ControlDiffers}) {
		t.Errorf("fsck finds %q (%v)", kinds, err)
	}
	s.restart()
	s.must("reconcile", "--reason", "test")
	s.deliver("20240304-060000000.csv", "Op,id,status,amount\nU,1,closed,2.00\n")
	if out := s.must("cat", "rms.reports"); !strings.HasSuffix(out, "amount\n1,closed,2.00\n") {
		t.Errorf("the rows are\n%s", out)
	}
	if kinds, report, err := s.fsck(); err != nil {
		t.Errorf("in the end fsck finds %q (%v): %+v", kinds, err, report.Findings)
	}
}

// againLog tells of each arrival twice.
type againLog struct{ fsck.Log }

func (l againLog) Read(ctx context.Context, f eventlog.Filter) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for r, err := range l.Log.Read(ctx, f) {
			_, arrived := r.Event.(*blotterv1.ObjectArrived)
			if !yield(r, err) || arrived && !yield(r, nil) {
				return
			}
		}
	}
}

func TestFsckNotesAnObjectThatWasToldTwice(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.sealed()
	stores, err := roles.OpenStores(t.Context(), roles.Config{Dir: s.dir, Lake: roles.DefaultConfig().Lake}, newLogger(false))
	s.check(err)
	defer func() { s.check(stores.Close()) }()
	report, err := fsck.Run(t.Context(), fsck.Deps{
		Log: againLog{s.process.Log}, Control: s.process.Store, Hold: s.process.Hold,
		Raw: stores.Raw, Staging: stores.Staging, Failed: stores.Failed, Lake: stores.Lake,
	}, reportsID)
	if s.check(err); report.Left() > 0 || !slices.ContainsFunc(report.Findings, func(f *fsck.Finding) bool { return f.Kind == fsck.LogEventTwice }) {
		t.Errorf("it finds %+v", report.Findings)
	}
}

// TestALogThatLostEventsIsTold: a system goes on behind events that are nowhere any more,
// and says so at each start.
func TestALogThatLostEventsIsTold(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.must("audit", "archive")
	s.sealed()
	last, err := s.process.Log.Last(t.Context())
	s.check(err)
	tables := s.write("tables.yaml", testTables)
	s.halt()
	if out, err := s.blotter("up", "--until-idle", "--tables", tables); err != nil {
		t.Fatalf("as it was left it starts with %v\n%s", err, out)
	}
	s.restart()
	s.deliver("20240304-060000000.csv", "Op,id,status,amount\nU,1,closed,2.00\n")
	s.check(s.process.Log.Trim(t.Context(), last+3, nil))
	s.halt()
	for range 2 {
		out, err := s.blotter("up", "--until-idle", "--tables", tables)
		if !errors.Is(err, errUnsettled) || !strings.Contains(out, "are in neither the log nor its archive; `blotter fsck` tells") {
			t.Errorf("it starts with %v\n%s", err, out)
		}
	}
}

// TestALossThatIsAccepted: a table of changes alone, whose catalog is lost without a
// backup, goes on once an operator accepts that, and has its rows again when its change
// files are merged once more.
func TestALossThatIsAccepted(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("20240304-060000000.csv", "Op,id,status,amount\nI,1,open,1.00\nI,2,open,2.00\nI,3,open,x\n")
	s.must("resume", "rms.reports", "--skip")
	s.deliver("20240304-070000000.csv", "Op,id,status,amount\nI,1,open,1.00\nI,2,open,2.00\n")
	s.deliver("20240304-080000000.csv", "Op,id,status,amount\nU,1,closed,1.50\nD,2,open,2.00\n")
	if out, err := s.blotter("resume", "rms.reports", "--accept-loss"); err == nil {
		t.Errorf("of a table that is whole a loss is accepted:\n%s", out)
	}
	s.halt()
	s.lose(roles.CatalogFile)
	s.restart()
	s.deliver("20240304-090000000.csv", "Op,id,status,amount\nI,4,open,4.00\n")
	if out := s.must("table", "show", "rms.reports"); !strings.Contains(out, "--accept-loss") {
		t.Errorf("the table says\n%s", out)
	}
	if out, err := s.blotter("unskip", "rms.reports", "--lost"); err == nil || !strings.Contains(err.Error(), "no loss of rms.reports was accepted") {
		t.Errorf("before the loss is accepted, unskip says %v\n%s", err, out)
	}
	s.must("resume", "rms.reports", "--accept-loss", "--reason", "no backup")
	s.settle()
	if out := s.must("cat", "rms.reports"); !strings.HasSuffix(out, "amount\n4,open,4.00\n") {
		t.Errorf("it goes on with the rows\n%s", out)
	}
	kinds, report, err := s.fsck()
	if err != nil {
		t.Errorf("fsck finds %q (%v): %+v", kinds, err, report.Findings)
	}
	if out, err := s.blotter("replay", "rms.reports", "--rows"); !errors.Is(err, errRowsDiffer) || !strings.Contains(out, "rows differ") {
		t.Errorf("while rows are lacking, replay says %v\n%s", err, out)
	}
	if out := s.must("unskip", "rms.reports", "--lost", "--reason", "the catalog was lost"); !strings.Contains(out, "takes 2 files in") {
		t.Errorf("unskip says\n%s", out)
	}
	s.settle()
	if out := s.must("cat", "rms.reports"); !strings.HasSuffix(out, "amount\n1,closed,1.50\n4,open,4.00\n") {
		t.Errorf("in the end the rows are\n%s", out)
	}
	if _, err := s.blotter("unskip", "rms.reports", "--lost"); err == nil || !strings.Contains(err.Error(), "taken in again") {
		t.Errorf("once more, unskip says %v", err)
	}
	if kinds, report, err := s.fsck(); err != nil {
		t.Errorf("in the end fsck finds %q (%v): %+v", kinds, err, report.Findings)
	}
	if out, err := s.blotter("replay", "rms.reports", "--rows"); err != nil {
		t.Errorf("in the end replay says %v\n%s", err, out)
	}
	if out, err := s.blotter("replay"); err != nil {
		t.Errorf("in the end the states differ: %v\n%s", err, out)
	}
	if out := s.must("explain", "rms.reports", "1"); !strings.Contains(out, "20240304-080000000.csv") {
		t.Errorf("explain says\n%s", out)
	}
	if out := s.must("log", "rms.reports", "--event", "LossAccepted"); !strings.Contains(out, "up to token") || !strings.Contains(out, "no backup") {
		t.Errorf("the log says\n%s", out)
	}
}

// TestALossOfMendedRows: of a quiet table the lake tells of the loss when it is to maintain
// it. A file that comes in again shows once more which of its rows are bad; once they are
// mended again the rows are those of before.
func TestALossOfMendedRows(t *testing.T) {
	t.Parallel()
	s, id := rejecting(t)
	rows := s.write("rows.csv", strings.NewReplacer("secret", "12.00", ",x\n", ",3.00\n", ",y\n", ",4.00\n").Replace(exported))
	s.must("rejected", "replay", "rms.reports", rows, "--file", id)
	s.settle()
	before := s.must("cat", "rms.reports")
	s.halt()
	old := s.keepCopy(roles.CatalogFile)
	s.lose(roles.CatalogFile)
	s.restart()
	if _, err := s.blotter("resume", "rms.reports", "--accept-loss"); err == nil || !strings.Contains(err.Error(), "blotter table maintain rms.reports") {
		t.Errorf("before the lake has told of it, it says %v", err)
	}
	s.must("table", "maintain", "rms.reports")
	s.settle()
	if out := s.must("resume", "rms.reports", "--accept-loss", "--reason", "no backup"); !strings.Contains(out, "is accepted") {
		t.Errorf("it says %s", out)
	}
	if out := s.must("unskip", "rms.reports", "--lost"); !strings.Contains(out, "takes 2 files in") || !strings.Contains(out, "they are open again") {
		t.Errorf("it says %s", out)
	}
	s.settle()
	if f := s.rejectedFile(); f.open() != 3 {
		t.Errorf("of the rows that were set aside %+v are told", f)
	}
	if out := s.must("rejected", "replay", "rms.reports", rows, "--file", id); !strings.Contains(out, "3 rows mended") {
		t.Errorf("mended again: %s", out)
	}
	s.settle()
	if after := s.must("cat", "rms.reports"); after != before {
		t.Errorf("before the rows were\n%s\nand are\n%s", before, after)
	}
	whole := func() {
		t.Helper()
		if kinds, report, err := s.fsck("--bytes"); err != nil || len(kinds) > 0 {
			t.Errorf("fsck finds %q (%v): %+v", kinds, err, report.Findings)
		}
		if out, err := s.blotter("replay", "rms.reports", "--rows"); err != nil {
			t.Errorf("replay says %v\n%s", err, out)
		}
	}
	whole()

	s.halt() // the copy of before is found, and put back
	newest := s.keepCopy(roles.CatalogFile)
	old()
	s.restart()
	if kinds, _, err := s.fsck(); !errors.Is(err, errUnsettled) || !slices.Contains(kinds, fsck.SnapshotLost) {
		t.Errorf("fsck finds %q (%v)", kinds, err)
	}
	s.must("table", "maintain", "rms.reports")
	s.settle()
	if out, err := s.blotter("resume", "rms.reports", "--accept-loss"); err == nil || !strings.Contains(err.Error(), "Put the copy back that the table had last") {
		t.Errorf("a copy of before the loss is accepted: %v\n%s", err, out)
	}
	s.halt()
	newest()
	s.restart()
	s.deliver("20240304-100000000.csv", "Op,id,status,amount\nI,9,open,9.00\n")
	if after := s.must("cat", "rms.reports"); after != before+"9,open,9.00\n" {
		t.Errorf("before the rows were\n%s\nand are\n%s", before, after)
	}
	whole()
}

// TestACopyThatIsFoundAfterTheWord: nothing was taken in again yet, so that the table may go on
// from a copy that has what was said to be lost. Mended rows are in it as they were.
func TestACopyThatIsFoundAfterTheWord(t *testing.T) {
	t.Parallel()
	for name, goesOn := range map[string]bool{"at once": false, "after a publication": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, id := rejecting(t)
			rows := s.write("rows.csv", strings.NewReplacer("secret", "12.00", ",x\n", ",3.00\n", ",y\n", ",4.00\n").Replace(exported))
			s.must("rejected", "replay", "rms.reports", rows, "--file", id)
			s.settle()
			want := s.must("cat", "rms.reports")
			s.halt()
			old := s.keepCopy(roles.CatalogFile)
			s.lose(roles.CatalogFile)
			s.restart()
			s.must("table", "maintain", "rms.reports")
			s.settle()
			s.must("resume", "rms.reports", "--accept-loss", "--reason", "no backup")
			if goesOn {
				s.deliver("20240304-090000000.csv", "Op,id,status,amount\nI,9,open,9.00\n")
				want += "9,open,9.00\n"
			}
			s.halt()
			old()
			s.restart()
			found := fsck.LakePutBack
			if goesOn {
				found = fsck.SnapshotLost
			}
			if kinds, _, err := s.fsck(); !errors.Is(err, errUnsettled) || !slices.Contains(kinds, found) {
				t.Errorf("fsck finds %q (%v)", kinds, err)
			}
			s.must("table", "maintain", "rms.reports")
			s.settle()
			s.must("resume", "rms.reports", "--accept-loss", "--reason", "a copy was found")
			if goesOn {
				if out := s.must("unskip", "rms.reports", "20240304-090000000.csv", "--lost"); !strings.Contains(out, "20240304-090000000.csv") {
					t.Errorf("unskip says\n%s", out)
				}
				s.settle()
			} else if _, err := s.blotter("unskip", "rms.reports", "--lost"); err == nil {
				t.Error("a file is taken in again that the table has")
			}
			if out := s.must("cat", "rms.reports"); out != want {
				t.Errorf("in the end the rows are\n%s", out)
			}
			if f := s.rejectedFile(); f.open() != 0 || f.Mended.Len() != 3 {
				t.Errorf("of the rows that were set aside %+v are told", f)
			}
			if kinds, report, err := s.fsck("--bytes"); err != nil || len(kinds) > 0 {
				t.Errorf("fsck finds %q (%v): %+v", kinds, err, report.Findings)
			}
			if out, err := s.blotter("replay", "rms.reports", "--rows"); err != nil {
				t.Errorf("replay says %v\n%s", err, out)
			}
		})
	}
}
