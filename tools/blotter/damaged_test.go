package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/tools/internal/fsck"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// damageLog changes one byte of an event in the files of a stopped log's server: text is
// in that event alone.
func (s *testSystem) damageLog(text string) {
	s.t.Helper()
	blocks, err := filepath.Glob(filepath.Join(s.dir, roles.LogDir, "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil || len(blocks) != 1 {
		s.t.Fatalf("the files of the log: %v, %v", blocks, err)
	}
	b, err := os.ReadFile(blocks[0])
	s.check(err)
	at := bytes.LastIndex(b, []byte(text))
	if at < 0 {
		s.t.Fatalf("the log does not hold %q", text)
	}
	b[at] ^= 1
	s.check(os.WriteFile(blocks[0], b, 0o600))
}

// One byte of the log's own files is changed. Whoever reads the log tells, after all that
// is left of it, and nobody waits for what does not come.
func TestADamagedLog(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.fill()
	s.halt()
	s.damageLog("20240304-060000000.csv")
	kinds, report, err := s.fsck()
	if !errors.Is(err, errUnsettled) || !slices.Contains(kinds, fsck.LogEventMissing) || report.Tables != 2 {
		t.Errorf("fsck finds %q in %d tables (%v)", kinds, report.Tables, err)
	}
	for _, args := range [][]string{
		{"log"}, {"log", "rms.reports"}, {"log", "--service", "curator"},
		{"replay"}, {"replay", "rms.reports"},
	} {
		out, err := s.blotter(args...)
		var missing *eventlog.MissingError
		if !errors.As(err, &missing) || missing.Events != 1 || out == "" {
			t.Errorf("%q shows %d bytes: %v", args, len(out), err)
		}
	}
	// They prove nothing of a log that is not whole.
	for _, args := range [][]string{{"replay", "rms.reports", "--rows"}, {"explain", "rms.reports", "1"}} {
		out, err := s.blotter(args...)
		var missing *eventlog.MissingError
		if out != "" || !errors.As(err, &missing) && (err == nil || !strings.Contains(err.Error(), "the log is not whole")) {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
}
