package ingestrouter

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// FromReplay says that an operator mended the rows of the object.
const FromReplay Source = "replay"

// replayTimeout bounds the work on one mended file.
const replayTimeout = time.Minute

// ReplayRequest has mended rows come in: those of a mended file that lies in the
// failed bucket, beside the rows as they were.
type ReplayRequest struct {
	Actor  string `json:"actor"`  // who: "operator:<name>"
	Reason string `json:"reason"` // why; it stands in the log
	Table  string `json:"table"`  // <db>.<table>
	Key    string `json:"key"`    // of the mended file
}

// Replayed is the answer.
type Replayed struct {
	FileID dms.FileID `json:"file_id"`
	// Rows come in, Dropped are given up; empty if nothing was said.
	Rows    dms.RowSet `json:"rows"`
	Dropped dms.RowSet `json:"dropped"`
	// Again: the same mended file came in before, and nothing was said.
	Again   bool   `json:"again,omitempty"`
	Refused string `json:"refused,omitempty"` // why nothing was done, and what to do
	// Faults are what is wrong with rows that are bad again: at most 100, without
	// values.
	Faults []RowFault `json:"faults,omitempty"`
}

// RowFault is what is wrong with a mended row.
type RowFault struct {
	Row      int64  `json:"row"` // its number in the file that it belongs to
	Code     string `json:"code"`
	Column   string `json:"column,omitempty"`
	Message  string `json:"message"`
	Expected string `json:"expected"`
}

// Replay says that a mended file arrived, once: asked for again, it says nothing.
// It refuses rows that were not set aside, rows that are bad again by the
// registration in force, and to drop rows without a reason: then nothing is said.
// Whether a row was mended before, lock-manager decides.
func (s *Service) Replay(ctx context.Context, r ReplayRequest) (Replayed, error) {
	ctx, cancel := context.WithTimeout(ctx, replayTimeout)
	defer cancel()
	table, err := dms.ParseTableID(r.Table)
	if err != nil {
		return Replayed{Refused: err.Error()}, nil
	}
	spec, known, err := s.spec(ctx, table)
	if err != nil {
		return Replayed{}, err
	}
	if !known {
		return Replayed{Refused: fmt.Sprintf("table %s is not registered", table)}, nil
	}
	info, err := s.deps.Failed.Stat(ctx, r.Key)
	if errors.Is(err, objects.ErrNotFound) {
		return Replayed{Refused: "there is no mended file " + r.Key}, nil
	}
	if err != nil {
		return Replayed{}, fmt.Errorf("find mended file %s: %w", r.Key, err)
	}
	o := dms.Object{Bucket: s.deps.Failed.Name(), Key: r.Key, VersionID: info.VersionID, ETag: info.ETag,
		Size: info.Size, LastModified: info.LastModified.UTC()}
	id := dms.NewFileID(o, dms.KindChange)
	if again, err := s.toldMended(ctx, id); again || err != nil {
		return Replayed{FileID: id, Again: true}, err
	}
	mended, why, err := s.checkMended(ctx, spec, o, id)
	if err == nil && why == "" && mended.Dropped != "" && r.Reason == "" {
		why = "rows are dropped, and no reason is given: say why, it stands in the log"
	}
	if err != nil || why != "" {
		return Replayed{FileID: id, Refused: why}, err
	}
	if len(mended.Faults) > 0 {
		return Replayed{FileID: id, Refused: "the file is refused whole: rows of it are bad again", Faults: rowFaults(mended.Faults)}, nil
	}
	m := mended.Header.Mending()
	m.Rows, m.Dropped = mended.Rows, mended.Dropped
	again, err := s.tellMended(ctx, table, id, o, &blotterv1.ObjectArrived{
		FileId: string(id), Object: wire.Object(o), Source: string(FromReplay),
		Part: wire.Part(mended.Header.Part), Mending: wire.Mending(m), Reason: r.Reason,
	}, r.Actor)
	return Replayed{FileID: id, Rows: m.Rows, Dropped: m.Dropped, Again: again}, err
}

func rowFaults(failures []transform.Failure) []RowFault {
	out := make([]RowFault, len(failures))
	for i, f := range failures {
		out[i] = RowFault{Row: f.Row, Code: f.Code, Column: f.Column, Message: f.Message, Expected: f.Expected}
	}
	return out
}

func (s *Service) spec(ctx context.Context, table dms.TableID) (registry.Table, bool, error) {
	specs, err := s.deps.Specs.Newest(ctx)
	if err != nil {
		return registry.Table{}, false, fmt.Errorf("read the registrations: %w", err)
	}
	for _, spec := range specs {
		if spec.ID == table {
			return spec, true, nil
		}
	}
	return registry.Table{}, false, nil
}

// checkMended reads a mended file and compares it with the rows that were set
// aside; why tells what is wrong with it.
func (s *Service) checkMended(ctx context.Context, spec registry.Table, o dms.Object, id dms.FileID) (m *transform.MendedFile, why string, err error) {
	h, err := transform.ReadMendedHeader(ctx, s.deps.Failed, o.Key)
	switch {
	case errors.Is(err, transform.ErrCorrupt):
		return nil, err.Error(), nil
	case err != nil:
		return nil, "", err
	case h.Table != spec.ID:
		return nil, fmt.Sprintf("the mended rows are of table %s", h.Table), nil
	}
	m, err = transform.CheckMended(ctx, s.deps.Transform, s.deps.Failed, transform.Job{Table: spec, Token: 1, File: dms.File{
		ID: id, Object: o, Kind: dms.KindChange, Order: dms.MendedOrder(h.Order, id), Part: h.Part, Mending: h.Mending(),
	}})
	var failure *transform.Failure
	switch {
	case errors.As(err, &failure):
		return nil, failure.Error(), nil
	case err != nil:
		return nil, "", err
	case m.Rows == "" && m.Dropped == "":
		return nil, "no rows are named", nil
	}
	var rejected dms.RowSetBuilder
	prefix := path.Dir(o.Key) + "/"
	for info, err := range s.deps.Failed.List(ctx, prefix) {
		if err != nil {
			return nil, "", fmt.Errorf("list the rows that were set aside: %w", err)
		}
		if strings.HasSuffix(info.Key, ".parquet") {
			if why, err := s.rejectedRows(ctx, info.Key, m.Header, &rejected); err != nil || why != "" {
				return nil, why, err
			}
		}
	}
	if others := m.Rows.With(m.Dropped).Without(rejected.Set()); others != "" {
		return nil, fmt.Sprintf("rows %s of the file were not set aside", others), nil
	}
	return m, "", nil
}

func (s *Service) rejectedRows(ctx context.Context, key string, h transform.RejectedHeader, into *dms.RowSetBuilder) (why string, err error) {
	r, err := transform.OpenRejected(ctx, s.deps.Failed, key)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if !r.Header.Same(h) {
		return "the mended rows are of another file than those beside them", nil
	}
	for row, err := range r.Rows(ctx) {
		if err != nil {
			return "", err
		}
		into.Add(row.Row)
	}
	return "", nil
}

// toldMended reports whether a mended file is told of already; one that a crash
// left pending is told of now.
func (s *Service) toldMended(ctx context.Context, id dms.FileID) (told bool, err error) {
	for range maxConflicts {
		row, err := s.deps.Objects.Object(ctx, id)
		switch {
		case errors.Is(err, control.ErrNotFound):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("read what is known of mended file %s: %w", id, err)
		case row.State != control.ObjectPending:
			return true, nil
		}
		if _, err = s.publish(ctx, row); !errors.Is(err, control.ErrConflict) {
			return true, err
		}
	}
	return false, fmt.Errorf("take in mended file %s: %w %d times in a row", id, control.ErrConflict, maxConflicts)
}

// tellMended says that a mended file arrived, unless another replica is faster.
func (s *Service) tellMended(ctx context.Context, table dms.TableID, id dms.FileID, o dms.Object, e *blotterv1.ObjectArrived, actor string) (again bool, err error) {
	err = s.tell(ctx, control.ObjectRow{FileID: id, Object: o}, verdict{
		table: table, name: "arrived", parts: []string{string(id)}, state: control.ObjectTold, actor: actor, event: e,
	})
	if errors.Is(err, control.ErrConflict) {
		return s.toldMended(ctx, id)
	}
	return false, err
}
