package lockmanager

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// TestALossIsAcceptedOnceItIsKnown: no word is taken for a loss that the lake has not told
// of; afterwards everything that is asked of the lake names it.
func TestALossIsAcceptedOnceItIsKnown(t *testing.T) {
	since := modelEpoch
	for name, test := range map[string]struct {
		paused    *PauseRecord
		failed    *FileEvent
		upkeep    *FailureNote
		isRefused bool
	}{
		"a publication found it":          {&PauseRecord{Reason: pauseFailure, Since: since}, &FileEvent{Time: since, Code: wire.FailureSetBack}, nil, false},
		"maintenance found it":            {&PauseRecord{Reason: pauseOperator, Since: since}, nil, &FailureNote{Code: wire.FailureSetBack}, false},
		"nothing was lost":                {&PauseRecord{Reason: pauseOperator, Since: since}, nil, nil, true},
		"another failure":                 {&PauseRecord{Reason: pauseFailure, Since: since}, &FileEvent{Time: since, Code: "publish.unavailable"}, nil, true},
		"a loss of before the last pause": {&PauseRecord{Reason: pauseFailure, Since: since}, &FileEvent{Time: since.Add(-time.Hour), Code: wire.FailureSetBack}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewState(testTable)
			s.SpecVersion, s.Token, s.Committed = 1, 7, 5
			s.Pause, s.LastFailed, s.Maintenance.Failure = test.paused, test.failed, test.upkeep
			events, err := s.Step(modelConfig(), Input{Time: since, Command: Resume{Order: Order{ID: "1", Reason: "no backup"}, AcceptLoss: true}})
			if test.isRefused {
				if !errors.Is(err, ErrRefused) || s.Pause == nil || s.LossAccepted != 0 {
					t.Errorf("it gives %v, %v", events, err)
				}
				return
			}
			if err != nil || s.Pause != nil || s.LossAccepted != 7 {
				t.Fatalf("it gives %v; the state is %+v", err, s)
			}
			if e, ok := events[0].(*blotterv1.LossAccepted); !ok || e.GetToken() != 7 || e.GetCommittedToken() != 5 || e.GetReason() != "no backup" {
				t.Errorf("it says %v", events)
			}
			if detail, _ := s.AnsweredCommand("1"); !strings.Contains(detail, "up to token 5 is accepted") {
				t.Errorf("the answer is %q", detail)
			}
			s.Grant = &Grant{Token: 8}
			if fence := s.fence(fenceForced); fence.GetAfterToken() != 5 || fence.GetLossAcceptedTo() != 7 {
				t.Errorf("a fence says %v", fence)
			}
		})
	}
}

// TestAFileThatIsTakenInAgainCountsOnce: the rows that its publication set aside count no
// more once it waits again.
func TestAFileThatIsTakenInAgainCountsOnce(t *testing.T) {
	s := NewState(testTable)
	s.SpecVersion, s.LossAccepted, s.Rejected = 1, 7, 5
	counts := &blotterv1.RowCounts{Rejected: 3}
	s.Files["f"] = &File{ID: "f", Kind: dms.KindChange, Status: Published, Token: 6, Counts: counts, Object: dms.Object{Key: "k"}, Ended: modelEpoch}
	s.Files["m"] = &File{ID: "m", Kind: dms.KindChange, Status: Published, Token: 7, Mending: dms.Mending{FileID: "f", Rows: "1-2"}, Object: dms.Object{Key: "m"}}
	if _, err := s.Step(modelConfig(), Input{Time: modelEpoch, Command: Unskip{Order: Order{ID: "1"}, Files: []dms.FileID{"f", "m"}}}); err != nil {
		t.Fatal(err)
	}
	if s.Rejected != 4 || s.Grant == nil || len(s.Grant.Files) == 0 || s.Grant.Files[0] != "f" || !s.Files["f"].Ended.IsZero() {
		t.Errorf("afterwards %d rows are set aside, and the grant is %+v", s.Rejected, s.Grant)
	}
}
