package lockmanager

import (
	"errors"
	"slices"
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
		"a publication found it":          {&PauseRecord{Reason: pauseFailure, Since: since}, &FileEvent{Time: since, Code: wire.FailureSetBack, LakeToken: 3}, nil, false},
		"maintenance found it":            {&PauseRecord{Reason: pauseOperator, Since: since}, nil, &FailureNote{Code: wire.FailureSetBack, LakeToken: 3}, false},
		"nothing was lost":                {&PauseRecord{Reason: pauseOperator, Since: since}, nil, nil, true},
		"another failure":                 {&PauseRecord{Reason: pauseFailure, Since: since}, &FileEvent{Time: since, Code: "publish.unavailable"}, nil, true},
		"a loss of before the last pause": {&PauseRecord{Reason: pauseFailure, Since: since}, &FileEvent{Time: since.Add(-time.Hour), Code: wire.FailureSetBack, LakeToken: 3}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewState(testTable)
			s.SpecVersion, s.Token, s.Committed = 1, 7, 5
			s.Pause, s.LastFailed, s.Maintenance.Failure = test.paused, test.failed, test.upkeep
			events, err := s.Step(modelConfig(), Input{Time: since, Command: Resume{Order: Order{ID: "1", Reason: "no backup"}, AcceptLoss: true}})
			if test.isRefused {
				if !errors.Is(err, ErrRefused) || s.Pause == nil || len(s.Losses) > 0 {
					t.Errorf("it gives %v, %v", events, err)
				}
				return
			}
			if err != nil || s.Pause != nil || !slices.Equal(s.Losses, Losses{{3, 7}}) {
				t.Fatalf("it gives %v; the state is %+v", err, s)
			}
			if e, ok := events[0].(*blotterv1.LossAccepted); !ok || e.GetToken() != 7 || e.GetCommittedToken() != 5 || e.GetLakeToken() != 3 || e.GetReason() != "no backup" {
				t.Errorf("it says %v", events)
			}
			if detail, _ := s.AnsweredCommand("1"); !strings.Contains(detail, "up to token 5 is accepted") {
				t.Errorf("the answer is %q", detail)
			}
			s.Grant = &Grant{Token: 8}
			if fence := s.fence(fenceForced); fence.GetAfterToken() != 5 || fence.GetLossAcceptedTo() != 7 || fence.GetLossAcceptedFrom() != 3 {
				t.Errorf("a fence says %v", fence)
			}
		})
	}
}

// TestTheWordForOneLossCoversNoOther: what told of a loss tells of no further one.
func TestTheWordForOneLossCoversNoOther(t *testing.T) {
	s := NewState(testTable)
	s.SpecVersion, s.Token, s.Committed = 1, 7, 5
	told := &FailureNote{Code: wire.FailureSetBack, LakeToken: 3}
	s.Maintenance.Failure, s.Maintenance.Failures = told, 2
	accept := func(id string) error {
		_, err := s.Step(modelConfig(), Input{Time: modelEpoch, Command: Resume{Order: Order{ID: id}, AcceptLoss: true}})
		return err
	}
	if err := accept("1"); err != nil || !slices.Equal(s.Losses, Losses{{3, 7}}) || s.Maintenance.Failures != 0 { // it was not even paused
		t.Fatalf("it gives %v; the losses are %v", err, s.Losses)
	}
	if err := accept("2"); !errors.Is(err, ErrRefused) {
		t.Errorf("a second time it gives %v", err)
	}
	s.Token, s.Committed = 9, 9
	s.Maintenance.Failure = &FailureNote{Code: wire.FailureSetBack, LakeToken: 8}
	if err := accept("3"); err != nil || !slices.Equal(s.Losses, Losses{{3, 7}, {8, 9}}) {
		t.Errorf("of a further loss it gives %v; the losses are %v", err, s.Losses)
	}
}

// TestAFileThatIsTakenInAgainCountsOnce: the rows that its publication set aside count no
// more once it waits again, nor those of it that were mended: they are open again. Mended
// rows of a file that is whole come in again by themselves.
func TestAFileThatIsTakenInAgainCountsOnce(t *testing.T) {
	s := NewState(testTable)
	s.SpecVersion, s.Losses, s.Rejected = 1, Losses{{From: 5, To: 8}}, 1+1
	file := func(id dms.FileID, token uint64, rejected int64) *File {
		f := &File{ID: id, Kind: dms.KindChange, Status: Published, Token: token, Counts: &blotterv1.RowCounts{Rejected: rejected},
			Staged: &StagedFile{Token: token}, Object: dms.Object{Key: string(id)}, Ended: modelEpoch}
		s.Files[id] = f
		return f
	}
	mends := func(id dms.FileID, token uint64, o *File) {
		file(id, token, 0).Mending = dms.Mending{FileID: o.ID, Rows: "1-2", Token: o.Token}
		o.Mended = append(o.Mended, id)
	}
	mends("b", 7, file("lost", 6, 3))
	mends("c", 8, file("there", 5, 3))
	step := func(id string, files ...dms.FileID) error {
		_, err := s.Step(modelConfig(), Input{Time: modelEpoch, Command: Unskip{Order: Order{ID: id}, Files: files}})
		return err
	}
	if err := step("1", "b"); !errors.Is(err, ErrRefused) {
		t.Errorf("mended rows whose file was lost, too: %v", err)
	}
	if err := step("2", "there"); !errors.Is(err, ErrRefused) {
		t.Errorf("a file that the lake has: %v", err)
	}
	if err := step("3", "lost", "c"); err != nil {
		t.Fatal(err)
	}
	if detail, _ := s.AnsweredCommand("3"); !strings.Contains(detail, "rows of 1 file of them were mended: they are open again") {
		t.Errorf("it says %q", detail)
	}
	if s.Rejected != 1+2 || s.Grant == nil || !s.Files["lost"].Ended.IsZero() || s.Files["b"].Superseded || s.Files["c"].Superseded {
		t.Errorf("afterwards %d rows are set aside, and the grant is %+v", s.Rejected, s.Grant)
	}
}

// TestLosses: what the lake has is as it was at its token.
func TestLosses(t *testing.T) {
	for name, c := range map[string]struct {
		before   Losses
		from, to uint64
		want     Losses
	}{
		"the first":                             {nil, 3, 7, Losses{{3, 7}}},
		"one after it":                          {Losses{{3, 7}}, 9, 12, Losses{{3, 7}, {9, 12}}},
		"all that came since as well":           {Losses{{3, 7}}, 7, 12, Losses{{3, 7}, {7, 12}}},
		"more than then":                        {Losses{{3, 7}}, 1, 12, Losses{{1, 12}}},
		"everything":                            {Losses{{3, 7}, {9, 12}}, 0, 15, Losses{{0, 15}}},
		"a copy was put back that has all of 5": {Losses{{0, 7}}, 5, 9, Losses{{5, 9}}},
	} {
		if got := c.before.With(c.from, c.to); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
	l := Losses{{3, 7}, {9, 12}}
	for token, want := range map[uint64]bool{3: false, 4: true, 7: true, 8: false, 9: false, 10: true, 12: true, 13: false} {
		if l.Cover(token) != want {
			t.Errorf("of token %d they tell %t", token, !want)
		}
	}
	for _, c := range []struct {
		token, before uint64
		want          bool
	}{{5, 0, true}, {8, 5, false}, {10, 5, true}, {10, 8, false}, {10, 2, false}, {12, 9, false}, {12, 10, true}} {
		if l.Lack(c.token, c.before) != c.want {
			t.Errorf("committed under %d, and before under %d: they tell %t", c.token, c.before, !c.want)
		}
	}
}

// TestWhatIsThereComesInOnce: a file waits to come in again, and a copy of the table is put
// back that has it.
func TestWhatIsThereComesInOnce(t *testing.T) {
	s := NewState(testTable)
	s.SpecVersion, s.Token, s.Losses = 1, 9, Losses{{0, 7}}
	for id, token := range map[dms.FileID]uint64{"there": 4, "lost": 6} {
		s.Files[id] = &File{ID: id, Kind: dms.KindChange, Status: Waiting, Held: true, Token: token, Before: token, Counts: &blotterv1.RowCounts{Rejected: 2}}
	}
	s.Maintenance.Failure = &FailureNote{Code: wire.FailureSetBack, LakeToken: 5}
	if _, err := s.Step(modelConfig(), Input{Time: modelEpoch, Command: Resume{Order: Order{ID: "1"}, AcceptLoss: true}}); err != nil {
		t.Fatal(err)
	}
	there, lost := s.Files["there"], s.Files["lost"]
	if there.Status != Published || there.Token != 4 || there.Before != 0 || there.Held || lost.Held || s.Rejected != 2 || lost.Status != Granted || s.Lost(there) {
		t.Errorf("one is %s of token %d, the other %s; %d rows are set aside", there.Status, there.Token, lost.Status, s.Rejected)
	}
}
