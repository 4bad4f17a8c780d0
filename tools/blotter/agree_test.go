package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// keepCopy copies a file or folder of a stopped system; restore puts it back.
func (s *testSystem) keepCopy(name string) (restore func()) {
	s.t.Helper()
	from, kept := filepath.Join(s.dir, name), filepath.Join(s.t.TempDir(), name)
	info, err := os.Stat(from)
	s.check(err)
	if info.IsDir() {
		s.check(os.CopyFS(kept, os.DirFS(from)))
		return func() { s.check(os.RemoveAll(from), os.CopyFS(from, os.DirFS(kept))) }
	}
	b, err := os.ReadFile(from)
	s.check(err)
	return func() { s.lose(name); s.check(os.WriteFile(from, b, 0o600)) }
}

// TestPartsOfTwoMoments: a system whose log, control store or archive was lost or set back
// does not go on as if nothing had been, and says what to do.
func TestPartsOfTwoMoments(t *testing.T) {
	t.Parallel()
	tables := filepath.Join(t.TempDir(), "tables.yaml")
	if err := os.WriteFile(tables, []byte(testTables), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		want  error
		says  string
		plant func(s *testSystem, store, log func())
	}{
		"the control store is lost":     {roles.ErrStoreBehind, "replay --rebuild", func(s *testSystem, _, _ func()) { s.lose(roles.ControlFile) }},
		"the control store is set back": {roles.ErrStoreBehind, "replay --rebuild", func(_ *testSystem, store, _ func()) { store() }},
		"the log is lost": {eventlog.ErrSetBack, "the log from a backup", func(s *testSystem, _, _ func()) {
			s.check(os.RemoveAll(filepath.Join(s.dir, roles.LogDir)))
		}},
		"the log is set back": {eventlog.ErrSetBack, "the log from a backup", func(_ *testSystem, _, log func()) { log() }},
		"all but the archive is lost": {eventlog.ErrSetBack, "an archive of its own", func(s *testSystem, _, _ func()) {
			s.lose(roles.ControlFile)
			s.check(os.RemoveAll(filepath.Join(s.dir, roles.LogDir)))
		}},
		"both are set back, and the lake is not": {roles.ErrStoreBehind, "in the lake", func(s *testSystem, store, log func()) {
			store()
			log()
			s.check(os.RemoveAll(filepath.Join(s.dir, roles.AuditDir)), os.Remove(filepath.Join(s.dir, archive.KeptFile)))
		}},
		"both are set back": {eventlog.ErrSetBack, "an archive of its own", func(_ *testSystem, store, log func()) { store(); log() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSystem(t)
			s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
			s.sealed()
			s.halt()
			store, log := s.keepCopy(roles.ControlFile), s.keepCopy(roles.LogDir)
			s.restart()
			s.deliver("20240304-060000000.csv", "Op,id,status,amount\nU,1,closed,2.00\n")
			s.must("audit", "archive")
			s.halt()
			if out, err := s.blotter("up", "--until-idle", "--tables", tables); err != nil {
				t.Fatalf("as it was left it does not start: %v\n%s", err, out)
			}
			c.plant(s, store, log)
			for range 2 { // a refusal changes nothing
				out, err := s.blotter("up", "--until-idle", "--tables", tables)
				if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("it says %v, expected %v with %q\n%s", err, c.want, c.says, out)
				}
			}
			if c.says == "replay --rebuild" {
				s.lose(roles.ControlFile)
				s.must("replay", "--rebuild")
				if out, err := s.blotter("up", "--until-idle", "--tables", tables); err != nil {
					t.Errorf("written anew it does not start: %v\n%s", err, out)
				}
			}
		})
	}
}

// TestALakeThatIsOlderThanItsSystem: a new system that is given the lake of another one ends
// at the first token that the lake knows already, and at each start after that.
func TestALakeThatIsOlderThanItsSystem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before []string // each is a publication of the system that is gone
		want   error
	}{
		"ahead":                     {[]string{"20240304-060000000.csv", "20240304-070000000.csv"}, roles.ErrStoreBehind},
		"at the token of the first": {[]string{"20240304-060000000.csv"}, lake.ErrOtherFiles},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSystem(t)
			for _, file := range c.before {
				s.deliver(file, "Op,id,status,amount\nI,1,open,1.50\n")
			}
			s.halt()
			raw := t.TempDir()
			folder := filepath.Join(raw, "dms", "rms", "reports")
			s.check(os.MkdirAll(folder, 0o750), os.WriteFile(filepath.Join(folder, "20240304-080000000.csv"), []byte("Op,id,status,amount\nI,2,open,2.50\n"), 0o600))
			up := []string{"up", "--until-idle", "--tables", s.write("tables.yaml", testTables), "--dir", filepath.Join(t.TempDir(), "data"), "--raw", raw,
				"--lake", filepath.Join(s.dir, roles.CuratedDir), "--catalog", filepath.Join(s.dir, roles.CatalogFile)}
			for range 2 {
				out, err := command(t.Context(), nil, up...)
				if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "a lake of its own") {
					t.Fatalf("it says %v, expected %v\n%s", err, c.want, out)
				}
			}
			if out := s.must("cat", "rms.reports"); !strings.HasSuffix(out, "amount\n1,open,1.50\n") {
				t.Errorf("the rows of the lake are\n%s", out)
			}
		})
	}
}

// TestADamagedControlStore: a control store that is empty or no database is told with what
// to do, and is written anew once it is away.
func TestADamagedControlStore(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.sealed()
	s.halt()
	for content, commands := range map[string][]string{
		"":                                   {"fsck"}, // it is given time, since somebody may be making it
		strings.Repeat("no database ", 1000): {"up", "tables", "fsck", "replay"},
	} {
		s.lose(roles.ControlFile)
		s.check(os.WriteFile(filepath.Join(s.dir, roles.ControlFile), []byte(content), 0o600))
		for _, command := range commands {
			out, err := s.blotter(command)
			if err == nil || !strings.Contains(err.Error(), "restore it from a backup") || !strings.Contains(err.Error(), "; or move it away and write it anew from the log: blotter replay --rebuild") {
				t.Errorf("with %.12q in it `%s` says %v\n%s", content, command, err, out)
			}
		}
	}
	s.lose(roles.ControlFile)
	s.must("replay", "--rebuild")
	if kinds, report, err := s.fsck(); err != nil {
		t.Errorf("written anew it has %q: %+v", kinds, report.Findings)
	}
}
