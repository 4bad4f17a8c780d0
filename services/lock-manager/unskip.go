package lockmanager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Unskip takes back that files were skipped, or has change files taken in again whose rows
// were lost: they wait, each at its own place in the order, whatever was published since.
// All of them, or none.
type Unskip struct {
	Order
	Files []dms.FileID
}

// MaxUnskipped bounds the files of one Unskip: each is read from the store.
const MaxUnskipped = 100

func (s *State) unskip(c Unskip) ([]proto.Message, string, error) {
	files := slices.Clone(c.Files)
	slices.Sort(files)
	files = slices.Compact(files)
	if len(files) == 0 || len(files) > MaxUnskipped {
		return nil, "", refuse("%d files are named, expected 1 to %d", len(files), MaxUnskipped)
	}
	var events []proto.Message
	loads, mended := 0, 0
	for _, id := range files {
		f, known := s.Files[id]
		if !known {
			return nil, "", refuse("table %s knows no file %s; `blotter table show %s` lists the files that it lacks", s.Table, id, s.Table)
		}
		if why := s.staysSkipped(f); why != "" {
			return nil, "", refuse("%s %s", f.Object.Key, why)
		}
		if f.Kind == dms.KindLoad {
			loads++
		}
		if f.Status == Published && len(f.Mended) > 0 {
			mended++
		}
		events = append(events, &blotterv1.FileRetried{FileId: string(id)})
	}
	detail := fmt.Sprintf("%s takes %s in after all, at its place in the order", s.Table, s.Files[files[0]].Object.Key)
	if n := len(files); n > 1 {
		detail = fmt.Sprintf("%s takes %d files in after all, each at its place in the order", s.Table, n)
	}
	if mended > 0 {
		detail += fmt.Sprintf("; rows of %s of them were mended or dropped: they are open again, see `blotter rejected list %s`", counted(mended, "file"), s.Table)
	}
	switch {
	case s.Pause != nil:
		detail += "; the table is paused: once it is resumed"
	case s.Load != nil && loads < len(files):
		detail += "; change files once the load that is open is published"
	}
	return events, detail, nil
}

// staysSkipped says why a file cannot be taken in any more, and what to do instead;
// empty if it can. A change is merged wherever it stands in the order; a load file only
// counts until its load takes the place of the table.
func (s *State) staysSkipped(f *File) string {
	switch {
	case s.Lost(f):
		return ""
	case f.Status == Published && len(s.Losses) > 0:
		return "is published, and its rows are not among those whose loss was accepted"
	case f.Status != Skipped:
		return fmt.Sprintf("was not skipped: it is %s", f.Status)
	case !f.Mending.IsZero():
		return "holds mended rows, which are open again since it was skipped; mend them with `blotter rejected replay`"
	case f.Abandoned:
		return "is of a load that was given up; have DMS load the table again"
	case f.Replaced:
		return "was mended: a later version of it is in the table in its place"
	case f.Superseded, !s.InForce(f):
		return fmt.Sprintf("is of a full load that a newer one has replaced: the table, of generation %d, lacks nothing of it. If that was no "+
			"whole load, such as a mended file alone, have DMS load the table again", s.Generation)
	case f.Kind != dms.KindLoad:
		return ""
	}
	for _, other := range s.Files {
		if s.ofLoad(f) && s.ofLoad(other) && other.Object.Key == f.Object.Key && laterVersion(other, f) {
			return "is a load file that came again since, as a later version of it: that one counts"
		}
	}
	l := s.Load
	switch {
	case l == nil, !s.ofLoad(f), l.Sealed && !slices.Contains(l.Files, f.ID):
		return "is a load file, and its load is published without it. Have it written again (copied over itself, it comes anew), " +
			"and see `blotter load complete --help` for how it joins the others"
	case s.Grant != nil && s.Grant.Replace:
		return fmt.Sprintf("is a load file, and its load is being published without it by transaction %d; try again when that has ended", s.Grant.Token)
	}
	return ""
}

func (s *State) evolveRetried(at time.Time, e *blotterv1.FileRetried) {
	s.over(e.GetFileId(), func(f *File) {
		switch f.Status {
		case Skipped:
			s.takeBack(at, f)
		case Published:
			f.Ended = time.Time{}
			s.forgetPublished(f)
		}
		f.Status, f.Failure, f.Expired, f.Suspect = Waiting, nil, 0, false
	})
}

// takeBack undoes that a file was skipped. With a load file of it the open load is
// another one: what was asked and said about that is asked anew.
func (s *State) takeBack(at time.Time, f *File) {
	f.Ended = time.Time{}
	l := s.Load
	if l == nil || f.Kind != dms.KindLoad {
		return
	}
	l.HeldReason, l.HeldDetail = "", ""
	if !l.Sealed {
		l.LastFile, l.Confirmed, l.ConfirmedFor = at, false, nil
	}
}

// bring brings the row of a file back from history, if there is one.
func (s *Service) bring(ctx context.Context, t *table, id dms.FileID) error {
	if _, known := t.state.Files[id]; known {
		return nil
	}
	row, err := s.deps.Store.File(ctx, t.id, id)
	if err == nil {
		err = t.state.AddRows(row)
	}
	if err != nil && !errors.Is(err, control.ErrNotFound) {
		return fmt.Errorf("read the history of file %s: %w", id, err)
	}
	return nil
}
