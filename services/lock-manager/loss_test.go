package lockmanager

import (
	"errors"
	"fmt"
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
			if err != nil || s.Pause != nil || !slices.Equal(s.Losses, Losses{{From: 3, To: 7}}) {
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
	if err := accept("1"); err != nil || !slices.Equal(s.Losses, Losses{{From: 3, To: 7}}) || s.Maintenance.Failures != 0 { // it was not even paused
		t.Fatalf("it gives %v; the losses are %v", err, s.Losses)
	}
	if err := accept("2"); !errors.Is(err, ErrRefused) {
		t.Errorf("a second time it gives %v", err)
	}
	s.Token, s.Committed = 9, 9
	s.Maintenance.Failure = &FailureNote{Code: wire.FailureSetBack, LakeToken: 8}
	if err := accept("3"); err != nil || !slices.Equal(s.Losses, Losses{{From: 3, To: 7}, {From: 8, To: 9}}) {
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
	if detail, _ := s.AnsweredCommand("3"); !strings.Contains(detail, "rows of 1 file of them were mended or dropped: they are open again") {
		t.Errorf("it says %q", detail)
	}
	if s.Rejected != 1+2 || s.Grant == nil || !s.Files["lost"].Ended.IsZero() || s.Files["b"].Superseded || s.Files["c"].Superseded {
		t.Errorf("afterwards %d rows are set aside, and the grant is %+v", s.Rejected, s.Grant)
	}
}

// TestMendedRowsOnTheirWay: those of a file that was lost do not come in without it.
func TestMendedRowsOnTheirWay(t *testing.T) {
	s := NewState(testTable)
	s.SpecVersion, s.Token, s.Committed = 1, 7, 7
	s.Pause = &PauseRecord{Reason: pauseOperator, Since: modelEpoch}
	for id, token := range map[dms.FileID]uint64{"lost": 6, "there": 2} {
		s.Files[id] = &File{ID: id, Kind: dms.KindChange, Status: Published, Token: token, Counts: &blotterv1.RowCounts{Rejected: 1}, Staged: &StagedFile{Token: token}, Mended: []dms.FileID{"of-" + id}}
		s.Files["of-"+id] = &File{ID: "of-" + id, Kind: dms.KindChange, Status: Waiting, Mending: dms.Mending{FileID: id, Kind: dms.KindChange, Rows: "1", Token: token}}
	}
	s.Maintenance.Failure = &FailureNote{Code: wire.FailureSetBack, LakeToken: 3}
	if _, err := s.Step(modelConfig(), Input{Time: modelEpoch, Command: Resume{Order: Order{ID: "1"}, AcceptLoss: true}}); err != nil {
		t.Fatal(err)
	}
	if lost, there := s.Files["of-lost"], s.Files["of-there"]; lost.Status != Ignored || s.Files["lost"].MendedBy(lost) || there.Status == Ignored {
		t.Errorf("one is %s, the other %s", lost.Status, there.Status)
	}
}

// TestLosses: what the lake has is as it was at its token.
func TestLosses(t *testing.T) {
	for name, c := range map[string]struct {
		before   Losses
		from, to uint64
		want     Losses
	}{
		"the first":                             {nil, 3, 7, Losses{{From: 3, To: 7}}},
		"one after it":                          {Losses{{From: 3, To: 7}}, 9, 12, Losses{{From: 3, To: 7}, {From: 9, To: 12}}},
		"all that came since as well":           {Losses{{From: 3, To: 7}}, 8, 12, Losses{{From: 3, To: 7}, {From: 8, To: 12}}},
		"a copy was put back that has all":      {Losses{{From: 3, To: 7}}, 7, 9, Losses{{From: 7, To: 9, Ambiguous: true}}},
		"more than then":                        {Losses{{From: 3, To: 7}}, 1, 12, Losses{{From: 1, To: 12, Ambiguous: true}}},
		"everything":                            {Losses{{From: 3, To: 7}, {From: 9, To: 12}}, 0, 15, Losses{{From: 0, To: 15, Ambiguous: true}}},
		"files of it came again":                {Losses{{From: 3, To: 7, Ambiguous: true}}, 1, 12, Losses{{From: 1, To: 12, Ambiguous: true}}},
		"a copy was put back that has all of 5": {Losses{{From: 0, To: 7}}, 5, 9, Losses{{From: 5, To: 9, Ambiguous: true}}},
	} {
		if got := c.before.With(c.from, c.to); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
	l := Losses{{From: 3, To: 7}, {From: 9, To: 12}}
	for token, want := range map[uint64]bool{3: false, 4: true, 7: true, 8: false, 9: false, 10: true, 12: true, 13: false} {
		if l.Cover(token) != want {
			t.Errorf("of token %d they tell %t", token, !want)
		}
	}
}

// TestACopyOfBeforeALoss: a copy that is put back may have what was lost, unless that was
// taken in again: then it would be in the table twice.
func TestACopyOfBeforeALoss(t *testing.T) {
	for name, c := range map[string]struct {
		has              uint64
		retaken          dms.FileID
		isRefused, newer bool
	}{
		"nothing was taken in again":              {has: 5},
		"it has a file that was taken in again":   {5, "first", true, false},
		"it has one file, another was taken in":   {5, "second", true, false},
		"it is of before all that":                {has: 2, retaken: "second"},
		"it is of after the word":                 {has: 8, retaken: "second", newer: true},
		"it has everything that was lost":         {7, "first", true, false},
		"it has everything, nothing was taken in": {has: 7},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewState(testTable)
			s.SpecVersion, s.Token, s.Committed = 1, 7, 6
			for id, token := range map[dms.FileID]uint64{"first": 4, "second": 6} {
				s.Files[id] = &File{ID: id, Kind: dms.KindChange, Status: Published, Token: token, Counts: &blotterv1.RowCounts{}, Staged: &StagedFile{Token: token}}
			}
			steps := 0
			step := func(c Command) error {
				steps++
				s.Pause = &PauseRecord{Reason: pauseOperator, Since: modelEpoch}
				_, err := s.Step(modelConfig(), Input{Time: modelEpoch, Command: c})
				return err
			}
			accept := func(has uint64) error {
				s.Maintenance.Failure = &FailureNote{Code: wire.FailureSetBack, LakeToken: has}
				return step(Resume{Order: Order{ID: fmt.Sprint(steps)}, AcceptLoss: true})
			}
			if err := accept(3); err != nil {
				t.Fatal(err)
			}
			if c.retaken != "" {
				if err := step(Unskip{Order: Order{ID: fmt.Sprint(steps)}, Files: []dms.FileID{c.retaken}}); err != nil {
					t.Fatal(err)
				}
			}
			before := s.Losses
			s.Token = max(s.Token, c.has)
			err := accept(c.has)
			if c.isRefused {
				if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "Put the copy back that the table had last") || !slices.Equal(s.Losses, before) {
					t.Errorf("it gives %v", err)
				}
				return
			}
			if err != nil || s.Losses.Last().From != c.has || s.Losses.Cover(7) != (c.newer || c.has < 7) {
				t.Errorf("it gives %v; the losses are %v", err, s.Losses)
			}
			for id, f := range s.Files {
				if want := f.Status == Published && (c.newer || f.Token > c.has); s.Lost(f) != want {
					t.Errorf("%s, of token %d, is lost: %t", id, f.Token, !want)
				}
			}
		})
	}
}
