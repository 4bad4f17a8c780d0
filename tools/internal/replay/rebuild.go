package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/holdqueue"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// Target is a control store that is filled.
type Target interface {
	control.Restorer
	control.Objects
}

// RebuiltTable is one table as it was written.
type RebuiltTable struct {
	Table   dms.TableID      `json:"table"`
	Version uint64           `json:"version"`
	Token   uint64           `json:"token"`
	Files   int              `json:"files"`
	Held    []holdqueue.Item `json:"-"` // lowest first
	HeldN   int              `json:"held"`
}

// Rebuilt is what was written.
type Rebuilt struct {
	Tables  []RebuiltTable `json:"tables"`
	Objects int            `json:"objects"`
}

// ErrNotWhole: the log is not what the services write, so that nothing can be built on
// it.
var ErrNotWhole = errors.New("the log is not whole")

// Rebuild writes the control state that the log tells of into an empty store: of each
// table the state, its files and its registrations; and what ingest-router has seen.
// What was decided and not yet said is lost, and is decided again. Memory holds one
// table at a time. check, if not nil, may refuse a table.
func Rebuild(ctx context.Context, log Log, into Target, check func(context.Context, *lockmanager.State) error) (*Rebuilt, error) {
	out := &Rebuilt{}
	ids, err := rebuildObjects(ctx, log, into, out)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		t, err := rebuildTable(ctx, log, into, id, check)
		if err != nil {
			return nil, fmt.Errorf("rebuild table %s: %w", id, err)
		}
		out.Tables = append(out.Tables, t)
	}
	return out, nil
}

func rebuildTable(ctx context.Context, log Log, into Target, id dms.TableID, check func(context.Context, *lockmanager.State) error) (RebuiltTable, error) {
	out := RebuiltTable{Table: id}
	folds, err := Fold(ctx, log, eventlog.Filter{Table: id}, nil)
	if err != nil {
		return out, err
	}
	t := folds[id]
	if len(t.Breaks) > 0 {
		return out, fmt.Errorf("%w: at event %d: %s", ErrNotWhole, t.Breaks[0].Seq, t.Breaks[0].Detail)
	}
	if check != nil {
		if err := check(ctx, t.State); err != nil {
			return out, err
		}
	}
	r := control.Restored{Table: id, Version: t.Last.Version}
	if r.State, err = t.State.Encode(); err != nil {
		return out, err
	}
	for _, f := range t.State.Files {
		row, err := t.State.Row(f)
		if err != nil {
			return out, err
		}
		r.Files = append(r.Files, row)
		if f.Held {
			out.Held = append(out.Held, holdqueue.Item{FileID: f.ID, Order: f.Order})
		}
	}
	slices.SortFunc(r.Files, func(a, b control.FileRow) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.FileID, b.FileID))
	})
	slices.SortFunc(out.Held, func(a, b holdqueue.Item) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.FileID, b.FileID))
	})
	for rec, err := range log.Read(ctx, eventlog.Filter{Table: id, Service: lockmanager.ServiceName, Event: "TableRegistered"}) {
		if err != nil {
			return out, err
		}
		if e, ok := rec.Event.(*blotterv1.TableRegistered); ok {
			r.Specs = append(r.Specs, control.Spec{Version: e.GetSpecVersion(), JSON: e.GetSpecJson()})
		}
	}
	if err := into.Restore(ctx, r); err != nil {
		return out, err
	}
	out.Version, out.Token, out.Files, out.HeldN = r.Version, t.State.Token, len(r.Files), len(out.Held)
	return out, nil
}

// rebuildObjects writes what ingest-router has said of objects, and lists the tables
// that lock-manager has spoken of.
func rebuildObjects(ctx context.Context, log Log, into control.Objects, out *Rebuilt) ([]dms.TableID, error) {
	tables := map[dms.TableID]bool{}
	for r, err := range log.Read(ctx, eventlog.Filter{}) {
		if err != nil {
			return nil, err
		}
		switch r.Service {
		case lockmanager.ServiceName:
			tables[r.Table] = true
		case ingestrouter.ServiceName:
			isNew, err := rebuildObject(ctx, into, r)
			if err != nil {
				return nil, fmt.Errorf("event %d of the log: %w", r.Seq, err)
			}
			if isNew {
				out.Objects++
			}
		}
	}
	return slices.SortedFunc(maps.Keys(tables), func(a, b dms.TableID) int { return strings.Compare(a.String(), b.String()) }), nil
}

// rebuildObject takes one event into the row of its object.
func rebuildObject(ctx context.Context, into control.Objects, r eventlog.Record) (isNew bool, err error) {
	row := control.ObjectRow{State: control.ObjectTold, Table: r.Table, After: r.Seq - 1}
	deliveries := int64(0)
	told := func(id string, o *blotterv1.ObjectRef, p *blotterv1.PartOf) {
		row.FileID, row.Object, row.Part = dms.FileID(id), wire.ObjectOf(o), wire.PartOf(p)
	}
	switch e := r.Event.(type) {
	case *blotterv1.ObjectArrived:
		told(e.GetFileId(), e.GetObject(), e.GetPart())
		if e.GetSource() == string(ingestrouter.FromEvent) {
			deliveries = 1
		}
	case *blotterv1.ObjectIgnored:
		told(e.GetFileId(), e.GetObject(), e.GetPart())
		row.State = ingestrouter.StateAfter(e)
	case *blotterv1.ObjectHeld:
		told(e.GetFileId(), e.GetObject(), e.GetPart())
		row.State = ingestrouter.StateAfter(e)
	case *blotterv1.ObjectDeleted:
		told(e.GetDeletionId(), e.GetObject(), nil)
		deliveries = 1
	case *blotterv1.DeliveryRepeated:
		told(e.GetFileId(), e.GetObject(), nil)
		deliveries = e.GetDelivery()
	default:
		return false, nil
	}
	known, err := into.Object(ctx, row.FileID)
	switch {
	case errors.Is(err, control.ErrNotFound):
		isNew = true
	case err != nil:
		return false, fmt.Errorf("read what is known of %s: %w", row.Object.Key, err)
	default:
		row.Revision, row.Part = known.Revision, known.Part
		if _, repeated := r.Event.(*blotterv1.DeliveryRepeated); repeated {
			row.State, row.Table, row.Object = known.State, known.Table, known.Object
		}
	}
	row.Deliveries = max(known.Deliveries, deliveries)
	if err := into.PutObject(ctx, row); err != nil {
		return false, fmt.Errorf("note that %s is told: %w", row.Object.Key, err)
	}
	return isNew, nil
}
