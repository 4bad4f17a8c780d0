package lockmanager

import (
	"testing"
	"time"

	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// TestGrantsOfOlderLogsKeepNothing: an event that names no staged files that stay has them
// wait again, as the control store has it from when it was said.
func TestGrantsOfOlderLogsKeepNothing(t *testing.T) {
	for name, c := range map[string]struct {
		kept    []string
		status  Status
		staged  bool
		expired int
	}{
		"of an older version": {nil, Waiting, false, 1},
		"of this one":         {[]string{string(loadFile(1, 1, "v1").id())}, Staged, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
			s, one, two := NewState(testTable), loadFile(1, 1, "v1"), loadFile(2, 2, "v1")
			s.Evolve(now, &blotterv1.LoadOpened{Generation: 1})
			s.Evolve(now, &blotterv1.FileAccepted{File: one.ref})
			s.Evolve(now, &blotterv1.FileAccepted{File: two.ref})
			s.Evolve(now, &blotterv1.LockGranted{Token: 1, Files: []*blotterv1.FileRef{one.ref, two.ref}, Transform: true})
			s.Evolve(now, &blotterv1.FileStaged{Staged: one.staged(1)})
			s.Evolve(now, &blotterv1.FenceRequested{Token: 1, Reason: fenceDeadline})
			s.Evolve(now, &blotterv1.LockReleased{Token: 1, Outcome: fenceDeadline, KeptFileIds: c.kept})
			a, b := s.Files[one.id()], s.Files[two.id()]
			if a.Status != c.status || (a.Staged != nil) != c.staged || a.Expired != c.expired {
				t.Errorf("the staged file is %+v", a)
			}
			if b.Status != Waiting || b.Staged != nil || b.Expired != 1 {
				t.Errorf("the other file is %+v", b)
			}
		})
	}
}
