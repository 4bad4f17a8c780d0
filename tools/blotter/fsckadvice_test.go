package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/tools/internal/fsck"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// TestFsckOfALogThatLacksEvents: what was lost of the log is not made good by a control store
// that is written from it; that is said, also once the archive has signed it as missing.
func TestFsckOfALogThatLacksEvents(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.fill()
	s.halt()
	s.damageLog("lock-manager.LockReleased")
	for _, signed := range []bool{false, true} {
		if signed {
			s.must("audit", "archive", "--gaps")
		}
		kinds, report, err := s.fsck()
		if !errors.Is(err, errUnsettled) || !slices.Contains(kinds, fsck.LogEventMissing) || !slices.Contains(kinds, fsck.ControlDiffers) {
			t.Fatalf("it finds %q (%v)", kinds, err)
		}
		for _, f := range report.Findings {
			switch {
			case f.Note:
			case !strings.Contains(f.Do, "lacks events (sequence ") || strings.Contains(f.Do, "signed them as missing") != signed:
				t.Errorf("of %s it says: %s", f.Kind, f.Do)
			case f.Kind == fsck.ControlDiffers && !strings.Contains(f.Do, "keep the control store") || strings.Contains(f.Do, "--rebuild"):
				t.Errorf("of %s it says: %s", f.Kind, f.Do)
			}
		}
	}
}

// TestFsckOfACopyThatIsLost: what cannot be made again says what ends the finding, and that
// does.
func TestFsckOfACopyThatIsLost(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.fill()
	s.halt()
	raw := filepath.Join(s.dir, roles.RawDir, "dms/rms/reports/20240304-070000000.csv")
	was := s.keepCopy(filepath.Join(roles.RawDir, "dms/rms/reports/20240304-070000000.csv"))
	s.check(os.RemoveAll(filepath.Join(s.dir, roles.FailedDir, "rms")), os.Remove(raw))
	kinds, report, err := s.fsck("--repair", "--reason", "test")
	if err == nil || !slices.Contains(kinds, fsck.FailedCopyGone) {
		t.Fatalf("it finds %q (%v)", kinds, err)
	}
	told := false
	for _, f := range report.Findings {
		told = told || f.Kind == fsck.FailedCopyGone && strings.HasSuffix(f.Object, ".csv") && strings.Contains(f.Failed, "nothing else ends this finding")
	}
	if !told {
		t.Errorf("it does not say what ends it: %+v", report.Findings)
	}
	was()
	if kinds, _, err := s.fsck("--repair", "--reason", "test"); err != nil {
		t.Errorf("once the raw version is back, %q is left (%v)", kinds, err)
	}
}

// TestVerifySaysWhatToDo of all that it finds wrong, a checkpoint of another key among it.
func TestVerifySaysWhatToDo(t *testing.T) {
	t.Parallel()
	s, other := startSystem(t), startSystem(t)
	foreign := s.keep("foreign", nil)
	for _, one := range []*testSystem{s, other} {
		one.must("audit", "archive")
		one.must("audit", "verify", "--keep", foreign)
		one.halt()
	}
	for _, flag := range []string{"--checkpoint", "--since"} {
		if out := s.unsettled("audit", "verify", flag, foreign); !strings.Contains(out, archive.ErrNotSigned.Error()) || !strings.Contains(out, "to do: find out which key") {
			t.Errorf("%s of another key: %s", flag, out)
		}
	}
	if out := s.unsettled("audit", "verify", "--checkpoint", foreign, "--json"); !strings.Contains(out, `"do": "find out`) {
		t.Errorf("as JSON: %s", out)
	}
	s.check(os.Remove(filepath.Join(s.dir, roles.AuditDir, "spans", "000000000000.parquet")))
	if out := s.unsettled("audit", "verify"); !strings.Contains(out, "to do: keep the archive as it is") {
		t.Errorf("a span is gone: %s", out)
	}
}
