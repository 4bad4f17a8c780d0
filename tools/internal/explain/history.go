package explain

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// Log is what an explanation needs of the event log.
type Log interface {
	Read(ctx context.Context, f eventlog.Filter) iter.Seq2[eventlog.Record, error]
}

// publication is a commit that made a file's rows visible.
type publication struct {
	seq      uint64
	at       time.Time
	token    uint64
	snapshot int64
}

// file is one file of the table, and what the log tells of its way.
type file struct {
	*lockmanager.File
	// published is its first publication; nil if there was none. replacedBy is the first
	// publication that replaced the table without it.
	published, replacedBy *publication
	// spec is the registration in which it was staged last.
	spec uint64
}

// inForce reports whether the file's rows count for the table as it is.
func (f *file) inForce() bool { return f.published != nil && f.replacedBy == nil }

// history is what the log tells of a table's files.
type history struct {
	table    dms.TableID
	specs    map[uint64]registry.Table
	state    *lockmanager.State
	files    map[dms.FileID]*file
	last     uint64 // the newest event
	snapshot int64  // the newest one with the table's rows

	grants  map[uint64]uint64 // registration by token
	pending map[uint64]*blotterv1.PublishRequested
}

func readHistory(ctx context.Context, log Log, f eventlog.Filter) (*history, error) {
	h := &history{
		table: f.Table, specs: map[uint64]registry.Table{}, state: lockmanager.NewState(f.Table), files: map[dms.FileID]*file{},
		grants: map[uint64]uint64{}, pending: map[uint64]*blotterv1.PublishRequested{},
	}
	f.Service, f.Event = "", ""
	for r, err := range log.Read(ctx, f) {
		if err != nil {
			return nil, err
		}
		if err := h.fold(r); err != nil {
			return nil, fmt.Errorf("event %d of the log, of %s: %w", r.Seq, f.Table, err)
		}
		h.last = r.Seq
	}
	for id, f := range h.state.Files {
		if f.Status == lockmanager.Deleted {
			continue
		}
		known := h.file(id)
		known.File = f
		if known.spec == 0 {
			known.spec = h.state.SpecVersion
		}
	}
	return h, nil
}

// sorted gives the files by order.
func (h *history) sorted() []*file {
	out := make([]*file, 0, len(h.files))
	for _, f := range h.files {
		if f.File != nil {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b *file) int { return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.ID, b.ID)) })
	return out
}

func (h *history) file(id dms.FileID) *file {
	f, ok := h.files[id]
	if !ok {
		f = &file{}
		h.files[id] = f
	}
	return f
}

func (h *history) fold(r eventlog.Record) (err error) {
	if r.Service == lockmanager.ServiceName {
		if err := h.evolve(r); err != nil {
			return err
		}
	}
	switch e := r.Event.(type) {
	case *blotterv1.TableRegistered:
		spec, err := registry.ParseTable(e.GetSpecJson())
		if err != nil {
			return fmt.Errorf("read registration %d: %w", e.GetSpecVersion(), err)
		}
		h.specs[e.GetSpecVersion()] = spec
	case *blotterv1.LockGranted:
		if e.GetTransform() {
			h.grants[e.GetToken()] = e.GetSpecVersion()
		}
	case *blotterv1.FileStaged:
		h.file(dms.FileID(e.GetStaged().GetFileId())).spec = h.grants[e.GetStaged().GetToken()]
	case *blotterv1.PublishRequested:
		h.pending[e.GetToken()] = e
	case *blotterv1.FilesPublished:
		h.published(r, e)
	case *blotterv1.GrantFenced:
		delete(h.pending, e.GetToken())
		h.snapshot = cmp.Or(e.GetSnapshotId(), h.snapshot)
	case *blotterv1.TableMaintained:
		h.snapshot = cmp.Or(e.GetSnapshotId(), h.snapshot)
	}
	return nil
}

func (h *history) evolve(r eventlog.Record) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it does not fit the events before it (%v); see `blotter replay %s`", p, h.table)
		}
	}()
	if r.Event == nil {
		return fmt.Errorf("this blotter is older than the event %s: use the version that wrote it, or a later one", eventlog.EventName(r.Envelope))
	}
	h.state.Evolve(r.Envelope.GetTime().AsTime(), r.Event)
	return nil
}

func (h *history) published(r eventlog.Record, e *blotterv1.FilesPublished) {
	p := &publication{seq: r.Seq, at: r.Envelope.GetTime().AsTime(), token: e.GetToken(), snapshot: e.GetSnapshotId()}
	h.snapshot = p.snapshot
	asked := h.pending[e.GetToken()]
	delete(h.pending, e.GetToken())
	if asked.GetMode() == blotterv1.PublishMode_PUBLISH_MODE_REPLACE {
		for _, f := range h.files {
			if f.inForce() {
				f.replacedBy = p
			}
		}
	}
	for _, published := range e.GetFiles() {
		f := h.file(dms.FileID(published.GetFileId()))
		f.replacedBy = nil
		if f.published == nil {
			f.published = p
		}
	}
}
