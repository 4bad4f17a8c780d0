package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// restart has the system run again.
func (s *testSystem) restart() {
	s.t.Helper()
	cfg := roles.DefaultConfig()
	cfg.Dir, cfg.Watch.StableFor = s.dir, 10*time.Millisecond
	var err error
	s.process, err = roles.Open(s.t.Context(), cfg, slog.New(slog.DiscardHandler))
	s.check(err)
	s.stop, _ = s.process.Start(context.WithoutCancel(s.t.Context()))
	s.settle()
}

// lose removes the files of a store.
func (s *testSystem) lose(name string) {
	s.t.Helper()
	left, err := filepath.Glob(filepath.Join(s.dir, name+"*"))
	s.check(err)
	for _, path := range left {
		s.check(os.Remove(path))
	}
}

// state gives all that the control store holds of rms.reports, times apart.
func (s *testSystem) state() string {
	s.t.Helper()
	item, err := s.process.Store.Table(s.t.Context(), reportsID)
	s.check(err)
	files, err := s.process.Store.Files(s.t.Context(), reportsID, nil, 100)
	s.check(err)
	spec, err := s.process.Store.Spec(s.t.Context(), reportsID, 0)
	s.check(err)
	said := string(item.State) + string(spec.JSON)
	for _, f := range files {
		said += "\n" + string(f.Body)
		object, err := s.process.Store.Object(s.t.Context(), f.FileID)
		s.check(err)
		b, err := json.Marshal(control.ObjectRow{State: object.State, Object: object.Object, Table: object.Table, Deliveries: object.Deliveries})
		s.check(err)
		said += string(b)
	}
	said = regexp.MustCompile(`20[2-9]\d-\d\d-\d\dT[0-9:.]+Z`).ReplaceAllString(said, "TIME")
	return regexp.MustCompile(`"command_id":"[^"]*"`).ReplaceAllString(said, "ID")
}

// A system whose control store and hold queue were lost, and are written anew, goes on
// exactly as one that lost nothing: the files that waited, those that come again, new
// ones, and a second load.
func TestReplayRebuild(t *testing.T) {
	t.Parallel()
	twins := []*testSystem{startSystem(t), startSystem(t)}
	for _, s := range twins {
		s.fill()
		s.halt()
	}
	lost := twins[0]
	if out, err := lost.blotter("replay", "--rebuild"); err == nil || !strings.Contains(err.Error(), "it is not written over") {
		t.Errorf("with the store in its place it says %v\n%s", err, out)
	}
	lost.lose("control.db")
	lost.lose("hold.db")
	if out := lost.must("replay", "--rebuild"); !strings.Contains(out, "2 tables, 4 objects") || !strings.Contains(out, "4 files, 1 of them held") {
		t.Errorf("it says\n%s", out)
	}
	if kinds, report, err := lost.fsck(); err != nil {
		t.Errorf("fsck finds %q (%v): %+v", kinds, err, report)
	}
	for _, s := range twins {
		s.restart()
		if s == lost {
			if out, err := s.blotter("replay", "--rebuild"); err == nil || !strings.Contains(err.Error(), "stop it first") {
				t.Errorf("while it runs it says %v\n%s", err, out)
			}
		}
		s.deliver("20240304-060000000.csv", "Op,id,status,amount\nU,1,closed,2.00\nD,3,\\N,-0.05\nI,10,NULL,NULL\nI,9,\\N,0\n") // again
		s.must("resume", "rms.reports", "--skip")
		s.settle()
		s.deliver("20240304-090000000.csv", "Op,id,status,amount\nU,9,late,4.00\nD,10,\\N,\\N\n")
		s.deliverAt(time.Date(2024, 3, 5, 8, 0, 0, 0, time.UTC), "LOAD00000001.csv", "id,status,amount\n1,again,1.50\n2,again,NULL\n7,new,1\n")
		s.sealed()
		s.deliverAt(time.Date(2024, 3, 5, 9, 0, 0, 0, time.UTC), "20240305-090000000.csv", "Op,id,status,amount\nU,7,newer,4.00\n")
	}
	if a, b := twins[0].state(), twins[1].state(); a != b {
		t.Errorf("the one that lost its store has\n%s\nthe other one\n%s", a, b)
	}
	if a, b := twins[0].must("cat", "rms.reports", "--provenance"), twins[1].must("cat", "rms.reports", "--provenance"); a != b {
		t.Errorf("the one that lost its store has\n%s\nthe other one\n%s", a, b)
	}
	for _, s := range twins {
		s.must("replay")
		s.must("fsck")
		s.halt()
		s.must("replay", "--rows")
	}
}

// A log that ends before the lake does is no ground to build on.
func TestReplayRebuildRefusesALogThatIsBehind(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.sealed()
	spec, err := s.process.Specs.Spec(t.Context(), reportsID, 0)
	s.check(err)
	_, err = s.process.Lake.Fence(t.Context(), spec, lake.Turn{Token: 4711})
	s.check(err)
	s.halt()
	s.lose("control.db")
	if out, err := s.blotter("replay", "--rebuild"); err == nil || !strings.Contains(err.Error(), "the table in the lake has token 4711") {
		t.Errorf("it says %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "control.db.rebuilding")); !os.IsNotExist(err) {
		t.Errorf("it leaves what it began (%v)", err)
	}
	for args, want := range map[string]string{
		"replay rms.reports --rebuild":          "goes with no table",
		"replay --rebuild --dir " + t.TempDir(): "there is no log in",
	} {
		if _, err := command(t.Context(), nil, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
}
