package lockmanager

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// next decides what the table can do by itself now: the rules stand in the
// order in which they are tried, the first that has something to say is
// followed, and next is asked again.
func (s *State) next(cfg Config, now time.Time) []proto.Message {
	for _, rule := range []func(Config, time.Time) []proto.Message{
		s.joinLate, s.dropSuperseded, s.openNext, s.stopChanges, s.hold, s.abandon,
		s.maintainBetween, s.grantNext, s.maintainIdle,
	} {
		if events := rule(cfg, now); len(events) > 0 {
			return events
		}
	}
	return nil
}

// joinLate lifts the pause for late load files when a newer load took them in.
func (s *State) joinLate(Config, time.Time) []proto.Message {
	if s.Pause == nil || s.Pause.Reason != pauseLate || len(s.late()) > 0 {
		return nil
	}
	return []proto.Message{&blotterv1.TableResumed{Reason: "no load file is late any more"}}
}

// openNext opens the load of files that came again while the load before them
// was being published, or of those that an abandoned one would have replaced.
func (s *State) openNext(Config, time.Time) []proto.Message {
	if s.Load != nil {
		return nil
	}
	if len(s.files(func(f *File) bool { return loadCandidate(f) && f.Status != Quarantined })) == 0 {
		return nil
	}
	return []proto.Message{&blotterv1.LoadOpened{Generation: s.openingBase() + 1, Cause: "load_file"}}
}

// stopChanges fences a transaction of change files that has not asked to be
// published when a load opens: from then on no change file is published before
// the replacement. One that has asked already may land; its files are folded
// into the replacement like all that were published before.
func (s *State) stopChanges(Config, time.Time) []proto.Message {
	g := s.Grant
	if s.Load == nil || g == nil || !g.Publish || g.Replace || g.Publishing || g.Fencing != "" {
		return nil
	}
	return []proto.Message{s.fence(fenceForced)}
}

// dropSuperseded ends the files of replaced generations. Those that a sealed
// load is about to replace wait for that: it may yet be abandoned.
func (s *State) dropSuperseded(Config, time.Time) []proto.Message {
	var events []proto.Message
	for _, f := range s.files(func(f *File) bool {
		switch {
		case f.Kind == dms.KindLoad:
			return s.Load == nil && f.Superseded && (f.Status == Waiting || f.Status == Staged)
		case f.Kind == dms.KindChange:
			return f.Status == Waiting && (f.Superseded || s.replaced(f))
		}
		return false
	}) {
		if f.Held {
			events = append(events, &blotterv1.FileReleased{FileId: string(f.ID)})
		}
		ignored := ignoreSuperseded(string(f.ID), s.Generation)
		if !f.Mending.IsZero() && f.Superseded {
			ignored.Detail = fmt.Sprintf("file %s, whose rows it mends, was read anew, skipped, or lost in the lake", f.Mending.FileID)
		}
		events = append(events, ignored)
		if len(events) >= maxStepEvents/2 {
			break
		}
	}
	return events
}

func ignoreSuperseded(id string, generation uint64) *blotterv1.FileIgnored {
	return &blotterv1.FileIgnored{
		FileId: id, Reason: ReasonSuperseded,
		Detail: fmt.Sprintf("it belongs to a full load that generation %d replaced", generation),
	}
}

// hold puts the files that must wait for the table, not only for their turn,
// into the hold queue.
func (s *State) hold(Config, time.Time) []proto.Message {
	var events []proto.Message
	for _, f := range s.files(func(f *File) bool { return f.Status == Waiting && !f.Held && !s.inGrant(f) }) {
		reason := ""
		switch {
		case s.Pause != nil:
			reason = "paused"
		case s.Load != nil && f.Kind == dms.KindChange:
			reason = "loading"
		default:
			continue
		}
		events = append(events, &blotterv1.FileHeld{FileId: string(f.ID), Order: string(f.Order), Reason: reason})
		if len(events) >= maxStepEvents/2 {
			break
		}
	}
	return events
}

// abandon ends a sealed load of which every file was skipped or refused.
func (s *State) abandon(Config, time.Time) []proto.Message {
	if s.Load == nil || !s.Load.Sealed || s.Grant != nil || len(s.sealedFiles()) > 0 {
		return nil
	}
	return []proto.Message{&blotterv1.LoadAbandoned{Generation: s.Load.Generation, Cause: abandonedSkipped}}
}

// grantNext begins the next transaction if none runs and the table may run one.
func (s *State) grantNext(cfg Config, now time.Time) []proto.Message {
	if s.Grant != nil || s.Pause != nil || !s.Registered() {
		return nil
	}
	if s.Load != nil {
		return s.grantLoad(cfg, now)
	}
	if s.Table.IsTransactions() {
		return s.grantTransaction(cfg, now)
	}
	waiting := s.files(func(f *File) bool { return f.Kind == dms.KindChange && f.Status == Waiting })
	if len(waiting) == 0 {
		return nil
	}
	next := firstOf(waiting, cfg.BatchFiles, cfg.BatchBytes)
	return s.grant(cfg, now, next, next, true)
}

// firstOf gives the files of the next grant, at least one: the lowest that wait,
// up to a number and a size. A file that ran out of time, or over which a grant
// failed, is granted by itself, after those before it: it must not take good ones
// with it again.
func firstOf(waiting []*File, most int, bytes int64) []*File {
	var size int64
	for i, f := range waiting {
		size += f.Object.Size
		alone := f.Expired > 0 || f.Suspect
		switch {
		case i > 0 && (alone || i == most || size > bytes):
			return waiting[:i]
		case alone:
			return waiting[:1]
		}
	}
	return waiting
}

// grantTransaction has the next transaction file read and split. One at a time:
// what its split says of its tables may be large, and stands in the state's outbox.
func (s *State) grantTransaction(cfg Config, now time.Time) []proto.Message {
	waiting := s.files(func(f *File) bool { return f.Kind == dms.KindTransaction && f.Status == Waiting })
	if len(waiting) == 0 {
		return nil
	}
	return s.grant(cfg, now, waiting[:1], waiting[:1], false)
}
