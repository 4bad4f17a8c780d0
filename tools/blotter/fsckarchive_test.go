package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/tools/internal/fsck"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// flip changes one bit in the middle of a file of the system.
func (s *testSystem) flip(path ...string) {
	s.t.Helper()
	name := filepath.Join(append([]string{s.dir}, path...)...)
	b := s.read(name)
	b[len(b)/2] ^= 1
	s.check(os.WriteFile(name, b, 0o600))
}

// TestFsckOfLogAndArchive: where the log and its archive do not join, or do not say what
// they are, that is found, running and stopped.
func TestFsckOfLogAndArchive(t *testing.T) {
	t.Parallel()
	audit := func(s *testSystem, name string) string { return filepath.Join(s.dir, roles.AuditDir, name) }
	trim := func(s *testSystem) {
		s.t.Helper()
		if out, err := s.trim(); err != nil {
			s.t.Fatalf("%v\n%s", err, out)
		}
	}
	for name, c := range map[string]struct {
		want   string
		tables int // that are looked at all the same
		plant  func(*testSystem)
	}{
		"the archive is gone":                        {fsck.ArchiveTaken + " " + fsck.LogEventsGone, 0, func(s *testSystem) { trim(s); s.check(os.RemoveAll(audit(s, ""))) }},
		"the archive of a log that is whole is gone": {fsck.ArchiveTaken, 2, func(s *testSystem) { s.check(os.RemoveAll(audit(s, ""))) }},
		"its end is gone": {fsck.ArchiveTaken + " " + fsck.LogEventsGone, 0, func(s *testSystem) {
			s.must("resume", "rms.reports", "--skip")
			s.settle()
			s.must("audit", "archive")
			trim(s)
			s.check(os.Remove(audit(s, "spans/000000000001.parquet")), os.Remove(audit(s, "checkpoints/000000000001")))
		}},
		"the stream was purged beyond it": {fsck.LogEventsGone, 0, func(s *testSystem) {
			s.must("resume", "rms.reports", "--skip")
			s.settle()
			last, err := s.process.Log.Last(s.t.Context())
			s.check(err, s.process.Log.Trim(s.t.Context(), last, nil))
		}},
		"the stream was purged": {fsck.LogTrimUntold, 2, func(s *testSystem) { s.check(s.process.Log.Trim(s.t.Context(), 9, nil)) }},
		"a span is changed":     {fsck.ArchiveChanged, 0, func(s *testSystem) { trim(s); s.flip(roles.AuditDir, "spans", "000000000000.parquet") }},
		"a checkpoint is changed": {fsck.ArchiveChanged, 0, func(s *testSystem) {
			trim(s)
			s.flip(roles.AuditDir, "checkpoints", "000000000000")
		}},
		"a span is gone, of a log that is whole": {fsck.ArchiveChanged, 2, func(s *testSystem) {
			s.check(os.Remove(audit(s, "spans/000000000000.parquet")))
		}},
		"a checkpoint is changed, of a log that is whole": {fsck.ArchiveChanged, 2, func(s *testSystem) {
			s.flip(roles.AuditDir, "checkpoints", "000000000000")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSystem(t)
			s.fill()
			s.must("audit", "archive")
			if kinds, report, err := s.fsck("--bytes"); err != nil {
				t.Fatalf("as it was written it finds %q: %+v", kinds, report.Findings)
			}
			c.plant(s)
			for _, step := range []func(){func() {}, s.halt} {
				step()
				kinds, report, err := s.fsck()
				if !errors.Is(err, errUnsettled) || !slices.Equal(kinds, strings.Fields(c.want)) || report.Tables != c.tables {
					t.Fatalf("found %q in %d tables, expected %q (%v): %+v", kinds, report.Tables, c.want, err, report)
				}
				if f := report.Findings[0]; f.Table != dms.LogTable || f.Detail == "" || f.Do == "" {
					t.Errorf("the finding does not say where, what and what to do: %+v", f)
				}
			}
		})
	}
}

// TestFsckOfALogThatWasSetBack: the log is restored from an old copy, and the archive knows
// more.
func TestFsckOfALogThatWasSetBack(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.sealed()
	s.halt()
	old := t.TempDir()
	s.check(os.CopyFS(old, os.DirFS(filepath.Join(s.dir, roles.LogDir))))
	s.restart()
	s.deliver("20240304-060000000.csv", "Op,id,status,amount\nU,1,closed,2.00\n")
	s.must("audit", "archive")
	s.halt()
	s.check(os.RemoveAll(filepath.Join(s.dir, roles.LogDir)), os.CopyFS(filepath.Join(s.dir, roles.LogDir), os.DirFS(old)))
	kinds, report, err := s.fsck()
	if !errors.Is(err, errUnsettled) || !slices.Contains(kinds, fsck.LogBehind) || report.Tables != 2 {
		t.Errorf("found %q in %d tables (%v)", kinds, report.Tables, err)
	}
	// What it does not ask for any more is kept: the events that did are only lost.
	staged := func() (n int) {
		s.check(filepath.WalkDir(filepath.Join(s.dir, roles.StagingDir), func(_ string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				n++
			}
			return err
		}))
		return n
	}
	before := staged()
	out, err := s.blotter("fsck", "--repair", "--reason", "test")
	if after := staged(); err == nil || before == 0 || after != before || !strings.Contains(out, "nothing is repaired: ") || !strings.Contains(out, "the log was lost or set back") {
		t.Errorf("of %d staged objects %d are left (%v):\n%s", before, after, err, out)
	}
	// Nor is it archived any more, as if nothing had been.
	if out, err := s.blotter("audit", "archive"); err == nil {
		t.Errorf("it is archived:\n%s", out)
	}
}

// TestFsckProvesTheArchive: a byte of a span that nothing else reads is found with --bytes,
// as long as the signing key is there; without the key that is told.
func TestFsckProvesTheArchive(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.must("audit", "archive")
	s.sealed()
	s.must("audit", "archive")
	s.halt()
	key := s.keepCopy(archive.SecretFile)
	s.flip(roles.AuditDir, "spans", "000000000000.parquet")
	for _, c := range []struct {
		args []string
		want []string
	}{{nil, nil}, {[]string{"--bytes"}, []string{fsck.ArchiveChanged}}} {
		if kinds, _, _ := s.fsck(c.args...); !slices.Equal(kinds, c.want) {
			t.Errorf("with %q it finds %q, expected %q", c.args, kinds, c.want)
		}
	}
	s.lose(archive.SecretFile)
	if kinds, _, _ := s.fsck("--bytes"); !slices.Equal(kinds, []string{fsck.ArchiveUnproven}) {
		t.Errorf("without the key it finds %q", kinds)
	}
	if out := s.fails("audit", "archive"); !strings.Contains(out, "put it back from a backup") {
		t.Errorf("without the key it is archived:\n%s", out)
	}
	key()
	s.check(os.WriteFile(filepath.Join(s.dir, archive.KeptFile), nil, 0o600))
	if kinds, _, _ := s.fsck(); !slices.Equal(kinds, []string{fsck.ArchiveUnproven}) {
		t.Errorf("of an empty checkpoint it says %q", kinds)
	}
}
