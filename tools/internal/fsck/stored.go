package fsck

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
)

// objectFacts is what ingest-router said of objects, by the last event of each.
type objectFacts map[dms.FileID]objectFact

// objectFact is the state of an object after an event, and the object as it names it.
type objectFact struct {
	state  control.ObjectState
	object dms.Object
}

func (f objectFacts) fold(r eventlog.Record) {
	var id string
	switch e := r.Event.(type) {
	case *blotterv1.ObjectArrived:
		id = e.GetFileId()
	case *blotterv1.ObjectHeld:
		id = e.GetFileId()
	case *blotterv1.ObjectIgnored:
		id = e.GetFileId()
	case *blotterv1.ObjectDeleted:
		id = e.GetDeletionId()
	default:
		return
	}
	fact := objectFact{state: ingestrouter.StateAfter(r.Event)}
	// Of a deletion the row keeps less than the event tells.
	if e, ok := r.Event.(interface{ GetObject() *blotterv1.ObjectRef }); ok && id != deletionOf(r.Event) {
		fact.object = wire.ObjectOf(e.GetObject())
	}
	f[dms.FileID(id)] = fact
}

// deletionOf gives the id of a deletion; empty for any other event.
func deletionOf(event proto.Message) string {
	e, ok := event.(*blotterv1.ObjectDeleted)
	if !ok {
		return ""
	}
	return e.GetDeletionId()
}

func (l *look) readObjectFacts(ctx context.Context, table dms.TableID) (objectFacts, error) {
	f := objectFacts{}
	return f, read(ctx, l.deps.Log, eventlog.Filter{Table: table, Service: ingestrouter.ServiceName}, f.fold)
}

const anew = "stop the system, move the control store away, and write it anew from the log: `blotter replay --rebuild`"

// checkObjects: ingest-router knows of each object what it said last. Of one that it does
// not know, a second delivery would be taken for a new file. What differs is asked once more,
// with what again reads, since it may have changed meanwhile.
func (l *look) checkObjects(ctx context.Context, facts objectFacts, again func() (objectFacts, error)) error {
	if l.deps.Objects == nil {
		return nil
	}
	suspects := map[dms.FileID]uint64{} // by the revision of what is known
	for id, want := range facts {
		row, differs, err := l.objectDiffers(ctx, id, want)
		if err != nil {
			return err
		}
		if differs != "" {
			suspects[id] = row.Revision
		}
	}
	if len(suspects) == 0 {
		return nil
	}
	facts, err := again()
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(suspects)) {
		row, differs, err := l.objectDiffers(ctx, id, facts[id])
		if err != nil {
			return err
		}
		if differs != "" && row.Revision == suspects[id] {
			l.add(Finding{Kind: ControlDiffers, FileID: id, Object: row.Object.Key, Detail: differs, Do: anew})
		}
	}
	return nil
}

// objectDiffers says how what is known of an object is not what was said; empty if it is.
func (l *look) objectDiffers(ctx context.Context, id dms.FileID, want objectFact) (row control.ObjectRow, differs string, err error) {
	row, err = l.deps.Objects.Object(ctx, id)
	switch {
	case errors.Is(err, control.ErrNotFound):
		return row, fmt.Sprintf("the log tells of an object that is %s, and the control store does not know it: delivered again, it would be taken for a new one", want.state), nil
	case err != nil:
		return row, "", fmt.Errorf("read what is known of object %s: %w", id, err)
	case row.State == control.ObjectPending: // its event is still to be said
	case row.State != want.state:
		return row, fmt.Sprintf("the object is %s by the log, %s in the control store", want.state, row.State), nil
	case !sameObject(row.Object, want.object):
		return row, fmt.Sprintf("by the log it is version %q, ETag %q, %d bytes of %s; the control store has version %q, ETag %q, %d bytes of %s",
			want.object.VersionID, want.object.ETag, want.object.Size, want.object.Key, row.Object.VersionID, row.Object.ETag, row.Object.Size, row.Object.Key), nil
	}
	return row, "", nil
}

// sameObject compares what names the bytes of an object: when it was written, a listing may
// tell otherwise than the event that told of it first. Of a deletion nothing is compared.
func sameObject(row, said dms.Object) bool {
	row.LastModified = said.LastModified
	return said.Key == "" || row == said
}

// checkUnowned looks at the objects that belonged to no table when they came. One that was
// held, and whose table was registered since, is told of there.
func (l *look) checkUnowned(ctx context.Context) error {
	if l.deps.Objects == nil {
		return nil
	}
	l.id = dms.RawTable
	unowned := func() (objectFacts, error) { return l.unowned(ctx) }
	facts, err := unowned()
	if err != nil {
		return err
	}
	return l.checkObjects(ctx, facts, unowned)
}

// unowned reads what was said of objects that belong to no table, by now.
func (l *look) unowned(ctx context.Context) (objectFacts, error) {
	facts, err := l.readObjectFacts(ctx, dms.RawTable)
	if err != nil {
		return nil, err
	}
	owned := map[dms.TableID][]dms.FileID{}
	for id, fact := range facts {
		if fact.state != control.ObjectHeld {
			continue
		}
		row, err := l.deps.Objects.Object(ctx, id)
		if err != nil && !errors.Is(err, control.ErrNotFound) {
			return nil, fmt.Errorf("read what is known of object %s: %w", id, err)
		}
		if err == nil && row.State == control.ObjectTold && !row.Table.IsZero() && row.Table != dms.RawTable {
			owned[row.Table] = append(owned[row.Table], id)
		}
	}
	for table, ids := range owned {
		there, err := l.readObjectFacts(ctx, table)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if _, told := there[id]; told {
				delete(facts, id)
			}
		}
	}
	return facts, nil
}

// checkStored: the control store has the objects that the log tells of.
func (l *look) checkStored(ctx context.Context) error {
	return l.checkObjects(ctx, l.facts.objects, func() (objectFacts, error) { return l.readObjectFacts(ctx, l.id) })
}
