package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	controlsqlite "github.com/openblotter/blotter/pkg/control/sqlite"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/tools/internal/fsck"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// TestOnlyTheControlStoreIsAltered: where the log is whole, a start that refuses to go on
// names the control store as what may be wrong, too, and what tells more; and the store
// written anew ends it.
func TestOnlyTheControlStoreIsAltered(t *testing.T) {
	t.Parallel()
	prepared := startSystem(t)
	prepared.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	prepared.sealed()
	prepared.deliver("20240304-060000000.csv", "Op,id,status,amount\nU,1,closed,2.00\n")
	prepared.halt()
	prepared.store()
	const reports = ` WHERE name = 'reports'`
	for name, c := range map[string]struct {
		statement string
		want      error
		kind      string
	}{
		"its version":              {`UPDATE tables SET version = version + 1` + reports, eventlog.ErrSetBack, fsck.ControlDiffers},
		"its newest token":         {`UPDATE tables SET state = CAST(replace(state, '"token":3,"committed":3', '"token":2,"committed":2') AS BLOB)` + reports, roles.ErrStoreBehind, fsck.ControlDiffers},
		"what is still to be said": {`INSERT INTO outbox SELECT id, 0, x'00' FROM tables` + reports, roles.ErrStoreAltered, fsck.ControlUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepared.again(t)
			tables := s.write("tables.yaml", testTables)
			s.inSQLite(roles.ControlFile, c.statement)
			out, err := s.blotter("up", "--until-idle", "--tables", tables)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "altered") || !strings.Contains(err.Error(), "replay --rebuild") || !strings.Contains(err.Error(), "rms.reports") {
				t.Fatalf("it says %v\n%s", err, out)
			}
			if !errors.Is(err, roles.ErrStoreAltered) && !strings.Contains(err.Error(), "blotter fsck") {
				t.Errorf("it does not name fsck: %v", err)
			}
			kinds, report, err := s.fsck()
			if !errors.Is(err, errUnsettled) || !slices.Equal(kinds, []string{c.kind}) || !strings.Contains(report.Findings[0].Do, "replay --rebuild") {
				t.Fatalf("fsck finds %q (%v)", kinds, err)
			}
			if out, err := s.blotter("replay"); !errors.Is(err, errDiffers) || !strings.Contains(out, "rms.reports") {
				t.Errorf("replay says %v\n%s", err, out)
			}
			s.lose(roles.ControlFile)
			s.must("replay", "--rebuild")
			s.must("up", "--until-idle", "--tables", tables)
		})
	}
}

// TestARebuildThatDidNotEnd: a control store of which only the beginning was written anew is
// told of, with what ends it.
func TestARebuildThatDidNotEnd(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.sealed()
	s.halt()
	s.lose(roles.ControlFile)
	s.emptyStore(roles.ControlFile)
	s.emptyStore(roles.ControlFile + ".rebuilding")
	tables := s.write("tables.yaml", testTables)
	if out, err := s.blotter("up", "--until-idle", "--tables", tables); !errors.Is(err, roles.ErrStoreBehind) || !strings.Contains(err.Error(), "Run it again: blotter replay --rebuild") {
		t.Errorf("it says %v\n%s", err, out)
	}
	kinds, report, err := s.fsck()
	if !errors.Is(err, errUnsettled) || !slices.Contains(kinds, fsck.ControlUnfinished) || report.Findings[0].Kind != fsck.ControlUnfinished {
		t.Errorf("fsck finds %q (%v)", kinds, err)
	}
	s.must("replay", "--rebuild")
	if kinds, _, err := s.fsck(); err != nil {
		t.Errorf("written anew, it finds %q (%v)", kinds, err)
	}
	s.must("up", "--until-idle", "--tables", tables)
}

// TestAFileIsPublishedTwice: who has a published file wait again by hand is found out, also
// after the system has published it once more and all agrees; who asks for that is not.
func TestAFileIsPublishedTwice(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.sealed()
	id := s.deliver("20240304-060000000.csv", "Op,id,status,amount\nU,1,closed,2.00\n")
	s.halt()
	s.inSQLite(roles.ControlFile, `UPDATE files SET state = 'waiting', live = 1, body = CAST(replace(body, '"status":"published"', '"status":"waiting"') AS BLOB) WHERE file_id = '`+string(id)+`'`)
	s.must("up", "--until-idle", "--tables", s.write("tables.yaml", testTables))
	kinds, report, err := s.fsck()
	if !errors.Is(err, errUnsettled) || !slices.Equal(kinds, []string{fsck.LogPublishedTwice}) || report.Findings[0].FileID != id {
		t.Errorf("fsck finds %q (%v): %+v", kinds, err, report.Findings)
	}
	s.restart()
	s.deliverAt(time.Date(2024, 3, 5, 8, 0, 0, 0, time.UTC), "LOAD00000001.csv", "id,status,amount\n1,open,1.75\n")
	s.sealed()
	s.halt()
	if kinds, _, err := s.fsck(); err != nil {
		t.Errorf("after another load it finds %q (%v)", kinds, err)
	}
}

// TestWhatWaitsIsStagedAgain by what fsck says to do when what was staged is gone.
func TestWhatWaitsIsStagedAgain(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.halt()
	s.check(os.RemoveAll(filepath.Join(s.dir, roles.StagingDir)))
	const do = "resume rms.reports --retry"
	kinds, report, err := s.fsck()
	if !errors.Is(err, errUnsettled) || !slices.Equal(kinds, []string{fsck.StagedGone}) {
		t.Fatalf("fsck finds %q (%v)", kinds, err)
	}
	for _, f := range report.Findings {
		if f.Kind == fsck.StagedGone && !strings.Contains(strings.ReplaceAll(f.Do, "'", ""), do) {
			t.Errorf("fsck says %q", f.Do)
		}
	}
	s.restart()
	s.sealed()
	s.must(append(strings.Fields(do), "--reason", "test")...)
	s.settle()
	if kinds, report, err := s.fsck(); err != nil {
		t.Errorf("after that it finds %q (%v): %+v", kinds, err, report.Findings)
	}
	if out := s.must("cat", "rms.reports"); !strings.Contains(out, "open") {
		t.Errorf("the table holds\n%s", out)
	}
}

// TestFsckOfTheLakeOfAnotherSystem says that the parts do not belong together.
func TestFsckOfTheLakeOfAnotherSystem(t *testing.T) {
	t.Parallel()
	other, s := startSystem(t), startSystem(t)
	other.deliver("20240304-060000000.csv", "Op,id,status,amount\nI,1,open,1.00\n")
	other.deliver("20240304-070000000.csv", "Op,id,status,amount\nI,2,open,1.00\n")
	other.halt()
	s.halt()
	kinds, report, err := s.fsck("--lake", filepath.Join(other.dir, roles.CuratedDir), "--catalog", filepath.Join(other.dir, roles.CatalogFile))
	if !errors.Is(err, errUnsettled) || !slices.Contains(kinds, fsck.SnapshotUnknown) {
		t.Fatalf("fsck finds %q (%v)", kinds, err)
	}
	for _, f := range report.Findings {
		if f.Kind == fsck.SnapshotUnknown && !strings.Contains(f.Do, "of another system") {
			t.Errorf("it says %q", f.Do)
		}
	}
}

// emptyStore makes a control store without tables.
func (s *testSystem) emptyStore(name string) {
	s.t.Helper()
	dir := s.t.TempDir()
	from := filepath.Join(dir, roles.ControlFile)
	store, err := controlsqlite.Open(s.t.Context(), from)
	s.check(err)
	s.check(store.Close())
	b, err := os.ReadFile(from)
	s.check(err, os.WriteFile(filepath.Join(s.dir, name), b, 0o600))
}
