package lockmanager

import (
	"fmt"
	"slices"

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
	// Ambiguous: its tokens do not tell what a copy of the table has of it. Files of it were
	// taken in again, which such a copy has under their first token; or it takes the place of
	// losses that were accepted before, so that copies of several lines have tokens of it.
	Ambiguous bool `json:"ambiguous,omitempty"`
}

// covers reports whether what was committed under a token is a part of it.
func (l Loss) covers(token uint64) bool { return l.From < token && token <= l.To }

// Losses are those that were accepted, oldest first; the tokens of one are above those of
// the one before.
type Losses []Loss

// maxLosses bounds those that are remembered: an older one only tells which files may come
// in again, and that a copy of before it is refused.
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
	return slices.ContainsFunc(l, func(one Loss) bool { return one.covers(token) })
}

// Ambiguous reports whether a token does not tell what a copy of the table has that is at it.
func (l Losses) Ambiguous(token uint64) bool {
	return slices.ContainsFunc(l, func(one Loss) bool { return one.Ambiguous && one.covers(token) })
}

// With adds the loss of what was committed above a token, up to another. What the lake has
// up to the first is as it was then: of a loss that was accepted later it knows nothing.
func (l Losses) With(from, to uint64) Losses {
	with := Loss{From: from, To: to}
	all := slices.DeleteFunc(slices.Clone(l), func(one Loss) bool { return one.To >= from })
	with.Ambiguous = len(all) < len(l)
	return append(all, with)[max(0, len(all)+1-maxLosses):]
}

// takenAgain notes that a file was taken in again whose rows were lost under a token.
func (l Losses) takenAgain(token uint64) Losses {
	all := slices.Clone(l)
	for i := range all {
		all[i].Ambiguous = all[i].Ambiguous || all[i].covers(token)
	}
	return all
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
// of is not accepted: the word for one would cover the next. Neither is one that an older copy
// brings of which its token does not tell what it has.
func (s *State) acceptLoss(c Resume) ([]proto.Message, string, error) {
	has, known := s.lossIsKnown()
	switch {
	case !known && s.Pause != nil:
		return nil, "", refuse("%s; where `blotter fsck` finds one, let the table go on (`blotter resume %s`), and have the lake tell of it: "+
			"`blotter table maintain %s`", s.noLoss(), s.Table, s.Table)
	case !known:
		return nil, "", refuse("%s; where `blotter fsck` finds one, `blotter table maintain %s` has the lake tell of it", s.noLoss(), s.Table)
	case s.Grant != nil: // a fence of it would make the lake look like one that has what was lost
		return nil, "", refuse("transaction %d of %s still runs; try again when it has ended", s.Grant.Token, s.Table)
	case s.Losses.Ambiguous(has):
		return nil, "", refuse("the lake has a copy of %s of before a loss that was accepted: its newest commit is that of token %d. Since then "+
			"files were taken in again, which would be in it twice, or another loss was accepted, so that nothing tells which files it has. Put the copy back that the table had last (if it had none when that was accepted, "+
			"drop it in the catalog), and resume; if that is gone, have DMS load the table anew", s.Table, has)
	}
	detail := fmt.Sprintf("; the loss of what was committed up to token %d is accepted: it goes on from what the lake has, and "+
		"`blotter unskip %s --lost` takes the change files of before in again", s.Committed, s.Table)
	if s.Generation > 0 {
		detail += "; the rows of its full load come back with a load alone"
	}
	return []proto.Message{&blotterv1.LossAccepted{Token: s.Token, CommittedToken: s.Committed, Reason: c.Reason, LakeToken: has}}, detail, nil
}

func (s *State) noLoss() string {
	return fmt.Sprintf("the lake has not told that anything of %s was lost, so that there is no loss to accept", s.Table)
}

// evolveLoss notes a loss. What told of it counts for no other.
func (s *State) evolveLoss(e *blotterv1.LossAccepted) {
	s.Losses = s.Losses.With(e.GetLakeToken(), e.GetToken())
	if f := s.Maintenance.Failure; f != nil && f.Code == wire.FailureSetBack {
		s.Maintenance.Failure, s.Maintenance.Failures = nil, 0
	}
	// Mended rows that are on their way come in with their file or not at all: once it comes
	// again, it shows which of its rows are bad.
	for _, m := range s.Files {
		if m.Mending.Kind == dms.KindChange && (m.Status == Waiting || m.Status == Quarantined) && s.Losses.Cover(m.Mending.Token) {
			s.touch(m).Superseded = true
		}
	}
}

// Lost reports whether a published file is one of those whose rows were lost, which was
// accepted, and is taken in again if an operator says so. The rows of load files come back
// with a load alone; of a generation that a load has replaced the table lacks nothing.
// Mended rows come in again by themselves only if their file does not: else it shows again
// which of its rows are bad.
func (s *State) Lost(f *File) bool {
	if f.Status != Published || f.Kind != dms.KindChange || !s.Losses.Cover(f.Token) || !s.InForce(f) {
		return false
	}
	if f.Mending.IsZero() {
		return true
	}
	o, known := s.Files[f.Mending.FileID]
	return known && o.Status == Published && o.MendedBy(f) && !s.Lost(o)
}

// forgetPublished undoes what the publication of a file that is taken in again, and of its
// mended rows, added to the counts of its table.
func (s *State) forgetPublished(f *File) {
	s.Losses = s.Losses.takenAgain(f.Token)
	s.Rejected -= f.Counts.GetRejected()
	s.Rejected += f.Mending.Rows.Len() + f.Mending.Dropped.Len()
	for _, id := range f.Mended {
		if m, known := s.Files[id]; known && m.Status == Published && f.MendedBy(m) {
			s.Rejected += m.Mending.Rows.Len() + m.Mending.Dropped.Len()
		}
	}
}
