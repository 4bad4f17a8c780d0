package lockmanager

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// lossIsKnown reports whether the lake has told that the table lacks commits: its pause
// says so, or the newest step of maintenance that failed.
func (s *State) lossIsKnown() bool {
	if f := s.Maintenance.Failure; f != nil && f.Code == wire.FailureSetBack {
		return true
	}
	return s.Pause != nil && s.Pause.Reason == pauseFailure &&
		s.LastFailed != nil && s.LastFailed.Code == wire.FailureSetBack && s.LastFailed.Time.Equal(s.Pause.Since)
}

// acceptLoss has the table go on from what the lake has. A loss that the lake has not told
// of is not accepted: the word for one would cover the next.
func (s *State) acceptLoss(c Resume) ([]proto.Message, string, error) {
	if !s.lossIsKnown() {
		return nil, "", refuse("the lake has not told that anything of %s was lost, so that there is no loss to accept", s.Table)
	}
	detail := fmt.Sprintf("; the loss of what was committed up to token %d is accepted: it goes on from what the lake has, and "+
		"`blotter unskip %s --lost` takes the change files of before in again", s.Committed, s.Table)
	if s.Generation > 0 {
		detail += "; the rows of its full load come back with a load alone"
	}
	return []proto.Message{&blotterv1.LossAccepted{Token: s.Token, CommittedToken: s.Committed, Reason: c.Reason}}, detail, nil
}

// Lost reports whether a published file may be one of those whose rows were lost, which was
// accepted, and is taken in again if an operator says so. The rows of load files come back
// with a load alone; of a generation that a load has replaced the table lacks nothing.
func (s *State) Lost(f *File) bool {
	return s.LossAccepted > 0 && f.Status == Published && f.Kind == dms.KindChange && f.Token <= s.LossAccepted && s.InForce(f)
}

// forgetPublished undoes what the publication of a file added to the counts of its table.
func (s *State) forgetPublished(f *File) {
	s.Rejected -= f.Counts.GetRejected()
	s.Rejected += f.Mending.Rows.Len() + f.Mending.Dropped.Len()
}
