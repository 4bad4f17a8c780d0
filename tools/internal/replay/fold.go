package replay

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// Log is what a replay needs of the event log.
type Log interface {
	Read(ctx context.Context, f eventlog.Filter) iter.Seq2[eventlog.Record, error]
}

// Table is one table as the log tells of it.
type Table struct {
	// State is the fold; its Files holds every file that was ever accepted.
	State *lockmanager.State
	// Specs are the registrations as they were said, by version.
	Specs  map[uint64][]byte
	Events int64   // how many were folded
	Last   Place   // of the last event that was folded
	Breaks []Break // where the log is not what lock-manager writes, oldest first
	// Beyond is the newest version of which the log holds events that were left out.
	Beyond uint64
	broken bool // nothing can be folded any more
}

// Place is where an event stands: in the log, and among the events of its table.
type Place struct {
	Seq     uint64 `json:"seq"`     // in the log; 0 for an event that is only in the outbox
	Version uint64 `json:"version"` // of the table's state
	Index   uint32 `json:"index"`   // within the version
}

// Break is a place at which a table's events do not follow each other.
type Break struct {
	Place
	Detail string `json:"detail"`
}

// maxBreaks bounds the breaks that are kept for a table; the first ones tell.
const maxBreaks = 100

// Fold reads the events of lock-manager that f chooses, from the beginning of
// the log, and folds them by table. f's service and event are not looked at.
// Events after the version that until names for a table are left out; a table
// that it does not name is folded whole.
//
// A break in a table's events is told in its Breaks; an error is one of reading. With an
// *eventlog.MissingError come the folds of what is there.
func Fold(ctx context.Context, log Log, f eventlog.Filter, until map[dms.TableID]uint64) (map[dms.TableID]*Table, error) {
	f.Service, f.Event = lockmanager.ServiceName, ""
	tables := map[dms.TableID]*Table{}
	for r, err := range log.Read(ctx, f) {
		if missing := new(eventlog.MissingError); errors.As(err, &missing) {
			return tables, err // the last that a read gives
		}
		if err != nil {
			return nil, err
		}
		t, ok := tables[r.Table]
		if !ok {
			t = &Table{State: lockmanager.NewState(r.Table)}
			tables[r.Table] = t
		}
		if last, bounded := until[r.Table]; bounded && r.Envelope.GetVersion() > last {
			t.Beyond = max(t.Beyond, r.Envelope.GetVersion())
			continue
		}
		t.fold(r.Seq, r.Envelope, r.Event)
	}
	return tables, nil
}

// fold takes one event, unless it cannot be the next one.
func (t *Table) fold(seq uint64, e *blotterv1.Envelope, event proto.Message) {
	at := Place{Seq: seq, Version: e.GetVersion(), Index: e.GetIndex()}
	switch {
	case t.broken:
		return
	case event == nil:
		t.broken = true
		t.breakAt(at, fmt.Sprintf("this blotter is older than the event %s: replay with the version that wrote it, or a later one", eventlog.EventName(e)))
		return
	case at.Version < t.Last.Version, at.Version == t.Last.Version && at.Index <= t.Last.Index && t.Events > 0:
		t.breakAt(at, fmt.Sprintf("%s stands in the log again: version %d, event %d was the last one before it", eventlog.EventName(e), t.Last.Version, t.Last.Index))
		return
	case !t.Last.precedes(at, t.Events == 0):
		t.breakAt(at, fmt.Sprintf("events are missing before %s: version %d, event %d was the last one before it", eventlog.EventName(e), t.Last.Version, t.Last.Index))
	}
	if err := t.evolve(e, event); err != nil {
		t.broken = true
		t.breakAt(at, err.Error())
		return
	}
	t.Events++
	t.Last = at
}

// precedes reports whether an event may follow at once: the next one of the same
// version, or the first one of the next.
func (p Place) precedes(next Place, first bool) bool {
	if first {
		return next.Version == 1 && next.Index == 0
	}
	return next.Version == p.Version && next.Index == p.Index+1 || next.Version == p.Version+1 && next.Index == 0
}

// evolve folds an event. Evolve takes it for granted that what went before is
// there; after a break that need not be so.
func (t *Table) evolve(e *blotterv1.Envelope, event proto.Message) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s does not fit the events before it (%v): the table cannot be replayed beyond", eventlog.EventName(e), p)
		}
	}()
	t.State.Evolve(e.GetTime().AsTime(), event)
	if registered, ok := event.(*blotterv1.TableRegistered); ok {
		if t.Specs == nil {
			t.Specs = map[uint64][]byte{}
		}
		t.Specs[registered.GetSpecVersion()] = registered.GetSpecJson()
	}
	return nil
}

func (t *Table) breakAt(at Place, detail string) {
	if len(t.Breaks) < maxBreaks {
		t.Breaks = append(t.Breaks, Break{at, detail})
	}
}
