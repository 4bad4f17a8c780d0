package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/eventlog"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// paused waits until a table is, and gives why.
func (s *testSystem) paused() *blotterv1.TablePaused {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	for r, err := range s.process.Log.Read(ctx, eventlog.Filter{Table: reportsID, Service: "lock-manager", Event: "TablePaused", Follow: true}) {
		s.check(err)
		if e, ok := r.Event.(*blotterv1.TablePaused); ok {
			return e
		}
	}
	s.t.Fatal("it is not paused")
	return nil
}

// TestADamagedLake: a table whose metadata are gone pauses soon, and names them; once they are
// back it goes on, and has lost nothing.
func TestADamagedLake(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.sealed()
	metadata, err := filepath.Glob(filepath.Join(s.dir, roles.CuratedDir, "*", "*", "metadata", "*.metadata.json"))
	if err != nil || len(metadata) == 0 {
		t.Fatalf("there are no metadata (%v)", err)
	}
	was := map[string][]byte{}
	for _, path := range metadata {
		was[path] = s.read(path)
		s.check(os.Remove(path))
	}
	change := filepath.Join(s.dir, roles.RawDir, "dms/rms/reports/20240304-060000000.csv")
	s.check(os.WriteFile(change, []byte("Op,id,status,amount\nU,1,closed,2.00\n"), 0o600), s.process.WholeFiles(t.Context()))
	e := s.paused()
	named := false
	for path := range was {
		named = named || strings.Contains(e.GetDetail(), path)
	}
	if !named || e.GetFailure().GetCode() != "lake.damaged" || !strings.Contains(e.GetFailure().GetHint(), "blotter fsck") || e.GetFile() != nil {
		t.Errorf("it is paused with %v", e)
	}
	if kinds, report, _ := s.fsck(); len(kinds) == 0 || kinds[0] != "lake.unreadable" || !strings.Contains(report.Findings[0].Detail, ".metadata.json") {
		t.Errorf("fsck finds %q", kinds)
	}
	for path, content := range was {
		s.check(os.WriteFile(path, content, 0o600))
	}
	s.settle()
	s.must("resume", "rms.reports")
	s.settle()
	if out := s.must("cat", "rms.reports"); !strings.Contains(out, "1,closed,2.00") {
		t.Errorf("the table has\n%s", out)
	}
	s.must("fsck")
}
