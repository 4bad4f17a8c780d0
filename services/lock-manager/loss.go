package lockmanager

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Loss is what was committed to the table under the tokens above From, up to To. The zero
// value is none.
type Loss struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// Losses are those that were accepted, oldest first; the tokens of one are above those of
// the one before.
type Losses []Loss

// maxLosses bounds those that are remembered: an older one only tells which files may come
// in again.
const maxLosses = 16

// Last is the newest; the zero value where there is none.
func (l Losses) Last() Loss {
	if len(l) == 0 {
		return Loss{}
	}
	return l[len(l)-1]
}

// Cover reports whether what was committed under a token is a part of one of them.
func (l Losses) Cover(token uint64) bool {
	return slices.ContainsFunc(l, func(one Loss) bool { return one.From < token && token <= one.To })
}

// Lack reports whether the lake lacks what was committed under a token, and also under one
// before it; 0: there was none.
func (l Losses) Lack(token, before uint64) bool {
	i := slices.IndexFunc(l, func(one Loss) bool { return one.From < token && token <= one.To })
	return i >= 0 && (before == 0 || before > l[i].From || l.Cover(before))
}

// With adds the loss of what was committed above a token, up to another. What the lake has
// up to the first is as it was then: of a loss that was accepted later it knows nothing.
func (l Losses) With(from, to uint64) Losses {
	all := slices.DeleteFunc(slices.Clone(l), func(one Loss) bool { return one.To > from })
	all = append(all, Loss{From: from, To: to})
	return all[max(0, len(all)-maxLosses):]
}

// lossIsKnown reports whether the lake has told that the table lacks commits, and up to
// which token it has them: its pause says so, or the newest step of maintenance that failed.
func (s *State) lossIsKnown() (has uint64, known bool) {
	if f := s.LastFailed; f != nil && f.Code == wire.FailureSetBack &&
		s.Pause != nil && s.Pause.Reason == pauseFailure && f.Time.Equal(s.Pause.Since) {
		return f.LakeToken, true
	}
	if f := s.Maintenance.Failure; f != nil && f.Code == wire.FailureSetBack {
		return f.LakeToken, true
	}
	return 0, false
}

// acceptLoss has the table go on from what the lake has. A loss that the lake has not told
// of is not accepted: the word for one would cover the next.
func (s *State) acceptLoss(c Resume) ([]proto.Message, string, error) {
	has, known := s.lossIsKnown()
	if !known && s.Pause != nil {
		return nil, "", refuse("the lake has not told that anything of %s was lost, so that there is no loss to accept; where `blotter fsck` "+
			"finds one, let the table go on (`blotter resume %s`): its next change has the lake tell of it, or `blotter table maintain %s`", s.Table, s.Table, s.Table)
	}
	if !known {
		return nil, "", refuse("the lake has not told that anything of %s was lost, so that there is no loss to accept; where `blotter fsck` "+
			"finds one, `blotter table maintain %s` has the lake tell of it", s.Table, s.Table)
	}
	detail := fmt.Sprintf("; the loss of what was committed up to token %d is accepted: it goes on from what the lake has, and "+
		"`blotter unskip %s --lost` takes the change files of before in again", s.Committed, s.Table)
	if s.Generation > 0 {
		detail += "; the rows of its full load come back with a load alone"
	}
	var events []proto.Message
	losses := s.Losses.With(has, s.Token)
	for _, f := range s.files(func(f *File) bool { return f.Held && isThere(f, has, losses) }) {
		events = append(events, &blotterv1.FileReleased{FileId: string(f.ID)})
	}
	return append(events, &blotterv1.LossAccepted{Token: s.Token, CommittedToken: s.Committed, Reason: c.Reason, LakeToken: has}), detail, nil
}

// evolveLoss notes a loss. What told of it counts for no other. Files that wait to come in
// again, and are there, since an older copy was put back that has them, do so no more.
func (s *State) evolveLoss(at time.Time, e *blotterv1.LossAccepted) {
	s.Losses = s.Losses.With(e.GetLakeToken(), e.GetToken())
	if f := s.Maintenance.Failure; f != nil && f.Code == wire.FailureSetBack {
		s.Maintenance.Failure, s.Maintenance.Failures = nil, 0
	}
	for _, f := range s.Files {
		if !isThere(f, e.GetLakeToken(), s.Losses) {
			continue
		}
		f = s.touch(f)
		f.end(Published, at)
		f.Token, f.Before = f.Before, 0
		s.Rejected += f.Counts.GetRejected()
		s.Rejected -= f.Mending.Rows.Len() + f.Mending.Dropped.Len()
	}
}

// isThere reports whether a file waits to come in again that the lake has: it has what was
// committed up to a token, but these losses.
func isThere(f *File, has uint64, losses Losses) bool {
	return f.Status == Waiting && f.Before > 0 && f.Before <= has && !losses.Cover(f.Before)
}

// Lost reports whether a published file is one of those whose rows were lost, which was
// accepted, and is taken in again if an operator says so. The rows of load files come back
// with a load alone; of a generation that a load has replaced the table lacks nothing.
// Mended rows come in again by themselves only if their file does not: else it shows again
// which of its rows are bad.
func (s *State) Lost(f *File) bool {
	if f.Status != Published || f.Kind != dms.KindChange || !s.Losses.Lack(f.Token, f.Before) || !s.InForce(f) {
		return false
	}
	if f.Mending.IsZero() {
		return true
	}
	o, known := s.Files[f.Mending.FileID]
	return known && o.Status == Published && o.MendedBy(f) && !s.Lost(o)
}

// forgetPublished undoes what the publication of a file, and of its mended rows, added to
// the counts of its table.
func (s *State) forgetPublished(f *File) {
	s.Rejected -= f.Counts.GetRejected()
	s.Rejected += f.Mending.Rows.Len() + f.Mending.Dropped.Len()
	for _, id := range f.Mended {
		if m, known := s.Files[id]; known && m.Status == Published && f.MendedBy(m) {
			s.Rejected += m.Mending.Rows.Len() + m.Mending.Dropped.Len()
		}
	}
}
