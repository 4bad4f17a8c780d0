package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/tools/internal/roles"
)

// trim removes what is older than an hour, as of tomorrow.
func (s *testSystem) trim() (string, error) {
	var out bytes.Buffer
	err := runAuditTrim(s.t.Context(), inDir(s.dir), auditTrimOptions{keep: time.Hour}, time.Now().Add(24*time.Hour), &out)
	return out.String(), err
}

// TestAuditTrim removes all of a log that is archived: what looks at it sees the same,
// and the system goes on.
func TestAuditTrim(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.fill()
	looks := [][]string{
		{"log"}, {"log", "rms.reports", "--event", "FilesPublished", "--json"}, {"log", "--service", "curator"},
		{"replay"}, {"replay", "--rows"}, {"explain", "rms.reports", "id=1"},
	}
	look := func() (all []string) {
		for _, args := range looks {
			all = append(all, s.must(args...))
		}
		return all
	}
	before := look()
	if out, err := s.trim(); err == nil || !strings.Contains(err.Error(), "there is no archive") {
		t.Errorf("without an archive: %v\n%s", err, out)
	}
	s.must("audit", "archive")
	if out := s.must("audit", "trim", "--keep", "2h"); !strings.Contains(out, "nothing to remove") {
		t.Errorf("a young log:\n%s", out)
	}
	if _, err := s.blotter("audit", "trim", "--keep", "5m"); err == nil || !strings.Contains(err.Error(), "at least 1h") {
		t.Errorf("keep too little: %v", err)
	}
	span := filepath.Join(s.dir, "audit", "spans", "000000000000.parquet")
	good := s.read(span)
	if err := os.WriteFile(span, append(bytes.Clone(good), 0), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := s.trim(); !errors.Is(err, errUnsettled) || !strings.Contains(out, "nothing was removed") {
		t.Errorf("with a changed archive: %v\n%s", err, out)
	}
	if err := os.WriteFile(span, good, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := s.trim()
	if err != nil || !strings.Contains(out, "sequences 1 to ") {
		t.Fatalf("%v\n%s", err, out)
	}
	first, last, err := s.process.Log.Bounds(t.Context())
	if err != nil || first != last {
		t.Errorf("the log holds %d to %d, %v", first, last, err)
	}
	said := s.must("log", "_.log")
	if want := fmt.Sprintf("sequences 1 to %d removed, archived up to %d with root ", last-1, last-1); strings.Count(said, "LogTrimmed") != 1 || !strings.Contains(said, want) {
		t.Errorf("the log says of itself\n%s", said)
	}
	said = said[strings.Index(said, "auditor"):]
	for i, after := range look() {
		if at := strings.Index(after, said); looks[i][0] == "log" && len(looks[i]) == 1 && at >= 0 {
			after = after[:strings.LastIndexByte(after[:at], '\n')+1] // it is the last line
		}
		if after != before[i] {
			t.Errorf("%v says\n%s\nbefore the log was trimmed\n%s", looks[i], after, before[i])
		}
	}
	// It goes on, running and stopped.
	s.must("resume", "rms.reports", "--skip")
	s.settle()
	s.deliver("20240304-090000000.csv", "Op,id,status,amount\nU,1,settled,5.00\n")
	if kinds, _, err := s.fsck(); len(kinds) > 0 || err != nil {
		t.Errorf("found %v, %v\n%s", kinds, err, s.must("fsck"))
	}
	if out := s.must("replay"); !strings.Contains(out, "equal") {
		t.Errorf("replay says\n%s", out)
	}
	s.halt()
	s.must("audit", "archive")
	if out := s.must("audit", "verify", "--against"); !strings.Contains(out, "proven: ") {
		t.Errorf("verify says\n%s", out)
	}
	if out, err := s.trim(); err != nil || !strings.Contains(out, "removed from the log") {
		t.Fatalf("a stopped system: %v\n%s", err, out)
	}
	if out := s.must("log", "_.log"); strings.Count(out, "LogTrimmed") != 2 {
		t.Errorf("the log says of itself\n%s", out)
	}
	if kinds, _, err := s.fsck(); len(kinds) > 0 || err != nil {
		t.Errorf("found %v, %v", kinds, err)
	}
	rebuilt(t, s)
}

// rebuilt loses the control store and has it written anew from what is archived alone.
func rebuilt(t *testing.T, s *testSystem) {
	t.Helper()
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(filepath.Join(s.dir, "control.db"+end)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	s.must("replay", "--rebuild")
	if out := s.must("replay"); !strings.Contains(out, "equal") {
		t.Errorf("replay of the rebuilt store says\n%s", out)
	}
	for _, name := range []string{"spans/000000000001.parquet", "checkpoints/000000000001"} {
		s.check(os.Remove(filepath.Join(s.dir, "audit", filepath.FromSlash(name))))
	}
	if out := s.unsettled("audit", "verify", "--against"); !strings.Contains(out, "was taken away") {
		t.Errorf("the end of the archive is gone, and what the log says of its trims does not tell: %s", out)
	}
	if err := os.RemoveAll(filepath.Join(s.dir, "audit", "checkpoints")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.blotter("log"); err == nil || !strings.Contains(err.Error(), "archive") {
		t.Errorf("without its archive: %v", err)
	}
}

// TestATrimThatDiedIsTold: who trims and dies before the log says so is found out, and the
// next trim says it; but not of events that are nowhere.
func TestATrimThatDiedIsTold(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.fill()
	s.must("audit", "archive")
	_, last, err := s.process.Log.Bounds(t.Context())
	s.check(err, s.process.Log.Trim(t.Context(), 7, roles.Names()))
	for _, want := range []string{"did not say why", "nothing to remove"} {
		out := s.must("audit", "trim", "--keep", "1h", "--reason", "a test")
		if strings.Contains(out, "did not say why") != (want == "did not say why") || !strings.Contains(out, "nothing to remove") {
			t.Errorf("trim says\n%s", out)
		}
	}
	if out := s.must("log", "_.log"); strings.Count(out, "LogTrimmed") != 1 || !strings.Contains(out, fmt.Sprintf("found to begin at 8, archived up to %d ", last)) || !strings.Contains(out, ", a test by ") {
		t.Errorf("the log says of itself\n%s", out)
	}
	// Events that were purged before they were archived are gaps, and stay a finding.
	s.deliver("20240304-090000000.csv", "Op,id,status,amount\nU,1,settled,5.00\n")
	_, last, err = s.process.Log.Bounds(t.Context())
	s.check(err, s.process.Log.Trim(t.Context(), last, nil))
	if out := s.fails("audit", "archive"); !strings.Contains(out, "audit archive --gaps") {
		t.Errorf("of events that are lost archive says\n%s", out)
	}
	s.must("audit", "archive", "--gaps")
	if out := s.unsettled("audit", "trim", "--keep", "1h"); !strings.Contains(out, "events are lost") {
		t.Errorf("trim says\n%s", out)
	}
}
