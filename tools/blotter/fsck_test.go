package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/control"
	controlsqlite "github.com/openblotter/blotter/pkg/control/sqlite"
	"github.com/openblotter/blotter/pkg/eventlog"
	holdsqlite "github.com/openblotter/blotter/pkg/holdqueue/sqlite"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/fsck"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// fsck looks at the system, and gives the kinds of what it found; notes left out.
func (s *testSystem) fsck(args ...string) (kinds []string, report *fsck.Report, err error) {
	s.t.Helper()
	out, err := s.blotter(append([]string{"fsck", "--json"}, args...)...)
	if err != nil && !errors.Is(err, errUnsettled) {
		s.t.Fatalf("fsck: %v\n%s", err, out)
	}
	if json.Unmarshal([]byte(out), &report) != nil {
		s.t.Fatalf("fsck prints no report\n%s", out)
	}
	for _, f := range report.Findings {
		if !f.Note && !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
	}
	return kinds, report, err
}

// A healthy system has no finding, with a paused table and a file that waits, and
// after that, running and stopped.
func TestFsckOfAHealthySystem(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.fill()
	for _, step := range []func(){func() {}, func() { s.must("resume", "rms.reports", "--skip"); s.settle() }, s.halt} {
		step()
		if kinds, report, err := s.fsck(); len(kinds) > 0 || err != nil || report.Tables != 2 || report.Events == 0 {
			t.Errorf("found %v (%v)\n%s", kinds, err, s.must("fsck"))
		}
	}
	if out := s.must("fsck", "rms.reports"); !strings.Contains(out, "1 table and ") || !strings.Contains(out, "0 findings left") {
		t.Errorf("it says\n%s", out)
	}
	if _, err := s.blotter("fsck", "--repair"); err == nil || !strings.Contains(err.Error(), "--reason") {
		t.Errorf("a repair without a reason: %v", err)
	}
}

// dataFile gives the path of a data file of rms.reports.
func (s *testSystem) dataFile() string {
	s.t.Helper()
	var v filesView
	if err := json.Unmarshal([]byte(s.must("table", "files", "rms.reports", "--json")), &v); err != nil || len(v.DataFiles) == 0 {
		s.t.Fatalf("rms.reports has no data file (%v)", err)
	}
	return filepath.Join(s.dir, roles.CuratedDir, filepath.FromSlash(v.DataFiles[0].Path))
}

func (s *testSystem) check(errs ...error) {
	s.t.Helper()
	if err := errors.Join(errs...); err != nil {
		s.t.Fatal(err)
	}
}

// changeState writes to the control store by other hands.
func (s *testSystem) changeState(change func(*lockmanager.State) []control.FileRow) {
	s.t.Helper()
	store, err := controlsqlite.Open(s.t.Context(), filepath.Join(s.dir, roles.ControlFile))
	s.check(err)
	item, err := store.Table(s.t.Context(), reportsID)
	s.check(err)
	state, err := lockmanager.DecodeState(item.State)
	s.check(err)
	files := change(state)
	encoded, err := state.Encode()
	s.check(err, store.Commit(s.t.Context(), control.Change{Table: reportsID, Expect: item.Version, State: encoded, Files: files}), store.Close())
}

// claimOrigin has one row of a data file say that it came from another file.
func (s *testSystem) claimOrigin(path, file string) {
	s.t.Helper()
	content, err := os.ReadFile(path)
	s.check(err)
	in, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	s.check(err)
	leaf, _ := in.Schema().Lookup(registry.ColumnFile)
	var out bytes.Buffer
	w := parquet.NewWriter(&out, in.Schema())
	for _, group := range in.RowGroups() {
		rows := group.Rows()
		buf := make([]parquet.Row, group.NumRows())
		n, _ := rows.ReadRows(buf)
		buf[0][leaf.ColumnIndex] = parquet.ByteArrayValue([]byte(file)).Level(0, 0, leaf.ColumnIndex)
		_, err := w.WriteRows(buf[:n])
		s.check(err, rows.Close())
	}
	s.check(w.Close(), os.Remove(path), os.WriteFile(path, out.Bytes(), 0o644))
}

// Every kind of damage is found, and what is safe is repaired, once, with an event.
func TestFsckFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   string
		also   []string // what comes with it
		repair bool
		plant  func(*testSystem)
	}{
		{kind: fsck.ControlDiffers, plant: func(s *testSystem) {
			s.changeState(func(state *lockmanager.State) []control.FileRow { state.Rows += 5; return nil })
		}},
		{kind: fsck.RawGone, also: []string{fsck.ControlDiffers, fsck.FileStuck}, plant: func(s *testSystem) {
			s.changeState(func(*lockmanager.State) []control.FileRow {
				f := &lockmanager.File{ID: "f00d", Status: lockmanager.Granted}
				body, err := lockmanager.EncodeFile(f)
				s.check(err)
				return []control.FileRow{{FileID: f.ID, State: string(f.Status), Live: true, Body: body}}
			})
		}},
		{kind: fsck.HoldDiffers, repair: true, plant: func(s *testSystem) {
			queue, err := holdsqlite.Open(s.t.Context(), filepath.Join(s.dir, "hold.db"))
			s.check(err)
			held, err := queue.Held(s.t.Context(), reportsID, 10)
			s.check(err)
			if len(held) != 1 {
				s.t.Fatalf("%d files are held", len(held))
			}
			s.check(queue.Release(s.t.Context(), reportsID, held[0].FileID), queue.Close())
		}},
		{kind: fsck.StagedUnknown, repair: true, plant: func(s *testSystem) {
			dir := filepath.Join(s.dir, roles.StagingDir, "rms", "reports", "f00d", "99")
			s.check(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "rows-00001.parquet"), []byte("x"), 0o644))
		}},
		{kind: fsck.LakeObjectGone, plant: func(s *testSystem) { s.check(os.Remove(s.dataFile())) }},
		{kind: fsck.LakeUnreadable, plant: func(s *testSystem) { s.check(os.WriteFile(s.dataFile(), []byte("no Parquet"), 0o644)) }},
		{kind: fsck.RowsUnknown, plant: func(s *testSystem) { s.claimOrigin(s.dataFile(), "f00d") }},
		{kind: fsck.FailedCopyGone, repair: true, plant: func(s *testSystem) {
			s.check(os.RemoveAll(filepath.Join(s.dir, roles.FailedDir, "rms")))
		}},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			s := startSystem(t)
			s.fill()
			s.halt()
			c.plant(s)
			kinds, report, err := s.fsck()
			if want := append(c.also, c.kind); !errors.Is(err, errUnsettled) || !slices.Equal(kinds, want) {
				t.Fatalf("found %q, expected %q (%v): %+v", kinds, want, err, report)
			}
			for _, f := range report.Findings {
				if f.Detail == "" || f.Do == "" || f.Table != reportsID {
					t.Errorf("the finding does not say where, what and what to do: %+v", f)
				}
			}
			kinds, report, err = s.fsck("--repair", "--reason", "a test")
			if repaired := err == nil && report.Left() == 0; repaired != c.repair {
				t.Fatalf("after the repair %q is left (%v): %+v", kinds, err, report)
			}
			said, _ := s.blotter("log", "rms.reports", "--service", "auditor") // an error says that there is none
			if strings.Contains(said, c.kind) != c.repair || strings.Contains(said, "a test") != c.repair {
				t.Errorf("the log says\n%s", said)
			}
			if !c.repair {
				return
			}
			if kinds, _, err := s.fsck(); err != nil || len(kinds) > 0 {
				t.Errorf("after the repair it finds %q (%v)", kinds, err)
			}
		})
	}
}

// Rows that were set aside are copied again from what was staged.
func TestFsckRepairsRejectedRows(t *testing.T) {
	t.Parallel()
	s, _ := rejecting(t)
	s.halt()
	s.check(os.Remove(filepath.Join(s.dir, roles.FailedDir, filepath.FromSlash(strings.Replace(s.rejectedFile().Report, "report.json", "rejected-00001.parquet", 1)))))
	if kinds, _, _ := s.fsck(); !slices.Equal(kinds, []string{fsck.RejectedCopyGone}) {
		t.Errorf("found %q", kinds)
	}
	if kinds, _, err := s.fsck("--repair", "--reason", "test"); err != nil {
		t.Errorf("repaired, it leaves %q (%v)", kinds, err)
	}
	if kinds, _, err := s.fsck(); err != nil {
		t.Errorf("after the repair it finds %q (%v)", kinds, err)
	}
}

// Rows that were set aside and altered since are found by their bytes, told of by whoever
// reads them, and copied again, as long as what was staged is whole.
func TestFsckRepairsAlteredRejectedRows(t *testing.T) {
	t.Parallel()
	prepared, _ := rejecting(t)
	prepared.halt()
	file := prepared.rejectedFile()
	report := filepath.Join(prepared.dir, roles.FailedDir, filepath.FromSlash(file.Report))
	prepared.store()
	for name, c := range map[string]struct {
		plant func(*testSystem)
		whole bool // what was staged is
	}{
		"rows": {func(s *testSystem) { s.flipIn(roles.FailedDir, "rejected-00001.parquet") }, true},
		"their report": {func(s *testSystem) {
			s.check(os.Chmod(report, 0o600), os.WriteFile(report, []byte(strings.Replace(string(s.read(report)), `"sha256": "`, `"sha256": "0`, 1)), 0o600))
		}, true},
		"rows, and what was staged": {func(s *testSystem) {
			s.flipIn(roles.FailedDir, "rejected-00001.parquet")
			s.check(os.RemoveAll(filepath.Join(s.dir, roles.StagingDir)))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepared.again(t)
			c.plant(s)
			if out, err := s.blotter("rejected", "export", "rms.reports", "--file", string(file.FileID)); err == nil || !strings.Contains(err.Error(), "rejected-00001.parquet") || !strings.Contains(err.Error(), "fsck --bytes --repair") {
				t.Errorf("an export says %v\n%s", err, out)
			}
			if kinds, _, err := s.fsck(); err != nil {
				t.Errorf("without --bytes it finds %q (%v)", kinds, err)
			}
			kinds, found, err := s.fsck("--bytes")
			if !errors.Is(err, errUnsettled) || !slices.Equal(kinds, []string{fsck.RejectedCopyChanged}) || strings.Contains(found.Findings[0].Do, "--repair") != c.whole {
				t.Fatalf("it finds %q (%v): %+v", kinds, err, found.Findings)
			}
			if kinds, _, err := s.fsck("--bytes", "--repair", "--reason", "test"); c.whole != (err == nil) {
				t.Errorf("repaired, it leaves %q (%v)", kinds, err)
			}
			if !c.whole {
				return
			}
			if kinds, _, err := s.fsck("--bytes"); err != nil {
				t.Errorf("after the repair it finds %q (%v)", kinds, err)
			}
			s.must("rejected", "export", "rms.reports", "--file", string(file.FileID))
		})
	}
}

// The lake is at another commit than the log says: one more, or one less.
func TestFsckFindsCommitsThatDoNotAgree(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.sealed()
	catalog := filepath.Join(s.dir, roles.CatalogFile)
	before, err := os.ReadFile(catalog)
	s.check(err)
	wal, _ := os.ReadFile(catalog + "-wal")
	s.deliver("20240304-060000000.csv", "Op,id,status,amount\nU,1,closed,2.00\n")
	spec, err := s.process.Specs.Spec(t.Context(), reportsID, 0)
	s.check(err)
	_, err = s.process.Lake.Fence(t.Context(), spec, lake.Turn{Token: 4711})
	s.check(err)
	if kinds, _, _ := s.fsck(); !slices.Equal(kinds, []string{fsck.SnapshotUnknown}) {
		t.Errorf("of a commit that nobody told it says %q", kinds)
	}
	s.halt()
	s.check(os.Remove(catalog), os.WriteFile(catalog, before, 0o644))
	if wal != nil {
		s.check(os.WriteFile(catalog+"-wal", wal, 0o644))
	}
	_ = os.Remove(catalog + "-shm")
	if kinds, _, _ := s.fsck(); !slices.Equal(kinds, []string{fsck.SnapshotLost}) {
		t.Errorf("of a table that was set back it says %q", kinds)
	}
}

// holedLog lacks some events.
type holedLog struct {
	fsck.Log
	lacks func(eventlog.Record) bool
}

func (l holedLog) Read(ctx context.Context, f eventlog.Filter) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for r, err := range l.Log.Read(ctx, f) {
			if err == nil && l.lacks(r) {
				continue
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// Events that the log lacks are missed, whoever said them.
func TestFsckMissesEvents(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.sealed()
	stores, err := roles.OpenStores(t.Context(), roles.Config{Dir: s.dir, Lake: roles.DefaultConfig().Lake}, newLogger(false))
	s.check(err)
	defer func() { s.check(stores.Close()) }()
	for name, c := range map[string]struct {
		want  string
		lacks func(eventlog.Record) bool
	}{
		"of lock-manager":  {fsck.LogBroken, func(r eventlog.Record) bool { _, ok := r.Event.(*blotterv1.FileStaged); return ok }},
		"of curator":       {fsck.LogEventMissing, func(r eventlog.Record) bool { _, ok := r.Event.(*blotterv1.FilesPublished); return ok }},
		"of ingest-router": {fsck.LogEventMissing, func(r eventlog.Record) bool { _, ok := r.Event.(*blotterv1.ObjectArrived); return ok }},
	} {
		report, err := fsck.Run(t.Context(), fsck.Deps{
			Log: holedLog{s.process.Log, c.lacks}, Control: s.process.Store, Hold: s.process.Hold,
			Staging: stores.Staging, Failed: stores.Failed, Lake: stores.Lake,
		}, reportsID)
		s.check(err)
		if !slices.ContainsFunc(report.Findings, func(f *fsck.Finding) bool { return f.Kind == c.want }) {
			t.Errorf("without events %s it does not find %s: %+v", name, c.want, report)
		}
	}
}
