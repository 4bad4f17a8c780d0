package lockmanager

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// bound is the time by which a change file is bound to a generation: when its
// object was modified, and for mended rows when that of their own file was.
func (f *File) bound() time.Time {
	if f.Mending.IsZero() {
		return f.Object.LastModified
	}
	if t, ok := f.Mending.Order.LastModified(); ok {
		return t
	}
	return f.Object.LastModified
}

// MendedBy reports whether the file's rows came in by m, or are on their way: not
// if m was refused, or skipped, or belongs to a replaced generation; and not if the
// file was staged anew since, with or without those rows.
func (f *File) MendedBy(m *File) bool {
	return m.Mending.FileID == f.ID && f.Staged != nil && m.Mending.Token == f.Staged.Token &&
		m.Status != Skipped && m.Status != Ignored
}

// replaced reports whether a change file belongs to a generation that a newer one
// replaced. Mended rows share the fate of the file that they belong to: of a load
// file, as long as that is of the generation in force.
func (s *State) replaced(f *File) bool {
	if f.Mending.Kind == dms.KindLoad {
		o, ok := s.Files[f.Mending.FileID]
		return !ok || o.Generation != s.Generation
	}
	return (!takesAll(s.Generation) || s.LeavesOlder) && f.bound().Before(s.FirstModified)
}

// foldsIn reports whether a published change file belongs into the replacement by
// the sealed load. Mended rows do together with the file that they belong to.
func (s *State) foldsIn(f *File) bool {
	if !f.Mending.IsZero() {
		o, known := s.Files[f.Mending.FileID]
		switch {
		case !known || !o.MendedBy(f):
			return false
		case o.Kind == dms.KindLoad:
			return slices.Contains(s.Load.Files, o.ID) && o.Status != Skipped && o.Status != Ignored
		case o.Status != Published:
			return false
		}
	}
	return takesAll(s.Load.Generation) && !s.Load.LeavesOlder || !f.bound().Before(s.Load.FirstModified)
}

// over is with for a file that is read anew or skipped. It marks the mended rows of
// it that have not come in: it shows then which rows are bad, or they share its fate.
func (s *State) over(id string, change func(*File)) {
	s.with(id, change)
	for _, m := range s.Files {
		if m.Mending.FileID == dms.FileID(id) && (m.Status == Waiting || m.Status == Quarantined) {
			s.touch(m).Superseded = true
		}
	}
}

// acceptMended decides whether mended rows come in: each row of a file once, as
// long as its file is published without it.
func (s *State) acceptMended(ref *blotterv1.FileRef, f *File) []proto.Message {
	events := []proto.Message{&blotterv1.FileAccepted{File: ref}}
	if why := s.refusesMended(f); why != "" {
		events = append(events, &blotterv1.FileIgnored{FileId: string(f.ID), Reason: reasonRefused, Detail: why, Unlisted: true})
	}
	return events
}

// maxMendings bounds how often rows of one file are brought in: all are named in the
// file's row of history, which has a limit in the control store. Those that were
// refused are not among them, but for those that older versions refused.
const maxMendings = 1000

func (s *State) refusesMended(f *File) string {
	o, known := s.Files[f.Mending.FileID]
	switch {
	case !known || o.Ended.IsZero() || o.Counts.GetRejected() == 0 || o.Staged == nil || o.Status != Published && o.Status != Staged:
		return fmt.Sprintf("no rows of file %s are set aside", f.Mending.FileID)
	case s.Lost(o):
		return "the rows of its file were lost in the lake: `blotter unskip --lost` takes it in again first"
	case o.Kind != f.Mending.Kind || o.Order != f.Mending.Order || o.Part != f.Part:
		return "its rows have another place in the order than their file"
	case o.Staged.Token != f.Mending.Token:
		return fmt.Sprintf("its rows are those of token %d, the file was published without those of token %d", f.Mending.Token, o.Staged.Token)
	case f.Mending.Rows == "" && f.Mending.Dropped == "":
		return "it names no rows"
	case f.Mending.Rows.Both(f.Mending.Dropped) != "":
		return "it mends rows that it drops"
	}
	if len(o.Mended) >= maxMendings {
		return fmt.Sprintf("rows of the file were brought in %d times already, which is as often as is kept", len(o.Mended))
	}
	rows := f.Mending.Rows.With(f.Mending.Dropped)
	all := rows
	for _, id := range o.Mended {
		other, known := s.Files[id]
		if !known || !o.MendedBy(other) {
			continue
		}
		before := other.Mending.Rows.With(other.Mending.Dropped)
		if twice := rows.Both(before); twice != "" {
			return fmt.Sprintf("rows %s of the file were mended or dropped already, by %s", twice, id)
		}
		all = all.With(before)
	}
	if most := o.Counts.GetRejected(); all.Len() > most {
		return fmt.Sprintf("it names more rows than the %d that are set aside", most)
	}
	return ""
}

// hydrateMending brings back from history the file that mended rows belong to,
// and the files whose rows of it were mended before.
func (s *Service) hydrateMending(ctx context.Context, t *table, original dms.FileID) error {
	if original == "" {
		return nil
	}
	if err := s.bring(ctx, t, original); err != nil {
		return err
	}
	o, known := t.state.Files[original]
	if !known {
		return nil
	}
	for _, id := range o.Mended {
		if err := s.bring(ctx, t, id); err != nil {
			return err
		}
	}
	return nil
}
