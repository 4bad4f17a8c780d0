package rebuild

import (
	"context"
	"fmt"
	"iter"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Log is what a rebuild needs of the event log.
type Log interface {
	Read(ctx context.Context, f eventlog.Filter) iter.Seq2[eventlog.Record, error]
}

// History is what a table's rows were made of at some time, by the log.
type History struct {
	Table dms.TableID
	// Specs are the registrations by version.
	Specs map[uint64]registry.Table
	// Publications begin with the last replacement, if there was one.
	Publications []Publication
	// Snapshots are those that show the rows of the last publication, oldest first: its
	// own, and those of fences and of maintenance after it.
	Snapshots []Snapshot
	// Token is that of the newest of them.
	Token uint64
	// Rows are the table's live rows after the last publication, by the curator's count.
	Rows int64
	// RowsHash is their lake.RowsHash, in hex; empty where it was not known.
	RowsHash string
	// Last is the sequence in the log of the last event of the table that counts.
	Last uint64

	grants  map[uint64]uint64 // registration by token
	pending map[uint64]*blotterv1.PublishRequested
	again   *again // nil: no loss was accepted, and no file is published twice
}

// Publication is one commit that made rows visible.
type Publication struct {
	Seq         uint64 // of its event in the log
	Time        time.Time
	Token       uint64
	Snapshot    int64
	Replace     bool
	SpecVersion uint64
	Files       []File
}

// File is one file of a publication, and how it was staged.
type File struct {
	dms.File
	Token          uint64 // under which it was staged
	SpecVersion    uint64 // in which it was staged
	ManifestKey    string
	ManifestSHA256 string
}

// Snapshot is one state of the table in the lake.
type Snapshot struct {
	ID   int64     `json:"id"`
	Time time.Time `json:"time"` // of its event in the log
}

// ReadHistory folds the events of one table, which f names, up to where f ends.
func ReadHistory(ctx context.Context, log Log, f eventlog.Filter) (*History, error) {
	h := &History{
		Table: f.Table, Specs: map[uint64]registry.Table{},
		grants: map[uint64]uint64{}, pending: map[uint64]*blotterv1.PublishRequested{},
	}
	f.Service, f.Event = "", ""
	for r, err := range log.Read(ctx, f) {
		if err != nil {
			return nil, err
		}
		if err := h.fold(r.Seq, r.Stored, r.Event); err != nil {
			return nil, fmt.Errorf("event %d of the log, of %s: %w", r.Seq, f.Table, err)
		}
		h.Last = r.Seq
	}
	return h, nil
}

// Files counts the files that the rows were made of.
func (h *History) Files() int {
	n := 0
	for _, p := range h.Publications {
		n += len(p.Files)
	}
	return n
}

// Spec is the registration of the last publication.
func (h *History) Spec() registry.Table {
	return h.Specs[h.Publications[len(h.Publications)-1].SpecVersion]
}

func (h *History) fold(seq uint64, at time.Time, event proto.Message) error {
	switch e := event.(type) {
	case *blotterv1.TableRegistered:
		spec, err := registry.ParseTable(e.GetSpecJson())
		if err != nil {
			return fmt.Errorf("read registration %d: %w", e.GetSpecVersion(), err)
		}
		h.Specs[e.GetSpecVersion()] = spec
	case *blotterv1.LockGranted:
		if e.GetTransform() {
			h.grants[e.GetToken()] = e.GetSpecVersion()
		}
	case *blotterv1.PublishRequested:
		h.pending[e.GetToken()] = e
	case *blotterv1.GrantFenced:
		delete(h.pending, e.GetToken())
		h.same(e.GetSnapshotId(), e.GetToken(), at)
	case *blotterv1.TableMaintained:
		h.same(e.GetSnapshotId(), e.GetToken(), at)
	case *blotterv1.LossAccepted:
		h.again = newAgain(h)
	case *blotterv1.FilesPublished:
		return h.published(seq, at, e)
	}
	return nil
}

// same notes a snapshot with the rows of the one before.
func (h *History) same(id int64, token uint64, at time.Time) {
	if id == 0 || len(h.Snapshots) == 0 || h.Snapshots[len(h.Snapshots)-1].ID == id {
		return
	}
	h.Snapshots, h.Token = append(h.Snapshots, Snapshot{ID: id, Time: at}), token
}

func (h *History) published(seq uint64, at time.Time, e *blotterv1.FilesPublished) error {
	asked, ok := h.pending[e.GetToken()]
	if !ok {
		return fmt.Errorf("token %d was published without being asked for: the log is not whole, see `blotter replay %s`", e.GetToken(), h.Table)
	}
	delete(h.pending, e.GetToken())
	p := Publication{
		Seq: seq, Time: at, Token: e.GetToken(), Snapshot: e.GetSnapshotId(),
		Replace: asked.GetMode() == blotterv1.PublishMode_PUBLISH_MODE_REPLACE, SpecVersion: asked.GetSpecVersion(),
	}
	if _, ok := h.Specs[p.SpecVersion]; !ok {
		return fmt.Errorf("token %d was published by registration %d, which the log does not hold", p.Token, p.SpecVersion)
	}
	for _, part := range asked.GetParts() {
		f := File{
			File: wire.FileOf(part.GetFile()), Token: part.GetStaged().GetToken(),
			ManifestKey: part.GetStaged().GetManifestKey(), ManifestSHA256: part.GetStaged().GetManifestSha256(),
		}
		if f.SpecVersion, ok = h.grants[f.Token]; !ok {
			return fmt.Errorf("file %s was staged under token %d, which the log does not grant", f.ID, f.Token)
		}
		p.Files = append(p.Files, f)
	}
	if p.Replace {
		h.Publications, h.again = nil, nil
	}
	if h.again != nil {
		h.again.replace(h, p)
		h.again.note(len(h.Publications), p)
	}
	h.Publications = append(h.Publications, p)
	h.Snapshots, h.Token = []Snapshot{{ID: p.Snapshot, Time: at}}, p.Token
	h.Rows, h.RowsHash = e.GetTableRows(), e.GetRowsHash()
	return nil
}
