package lockmanager

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/holdqueue"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// maxConflicts bounds how often one input is decided anew because another
// replica changed the table in between.
const maxConflicts = 16

// table is a table's state in memory: a copy of what the store holds, thrown
// away as soon as it might not be.
type table struct {
	id      dms.TableID
	mu      sync.Mutex
	state   *State // nil: not loaded
	version uint64
	// hydrated is since when published change files are in state.Files; nil: none.
	hydrated *time.Time
	timed    atomic.Bool // a deadline or a quiet period runs
	cutShort bool        // the last step left something to do
}

// source says what brought an input about.
type source struct {
	cause string
	actor string
}

func (s *Service) table(id dms.TableID) *table {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.tables.Get(id); ok {
		return t
	}
	t := &table{id: id}
	s.tables.Add(id, t)
	return t
}

// apply takes one input through the shell's order: load, flush, decide, commit,
// publish, effects, clear. A conflict with another replica begins it anew.
func (s *Service) apply(ctx context.Context, id dms.TableID, src source, in Input) error {
	t := s.table(id)
	t.mu.Lock()
	defer t.mu.Unlock()
	for range maxConflicts {
		err := s.applyOnce(ctx, t, src, in)
		for err == nil && t.cutShort {
			err = s.applyOnce(ctx, t, src, Input{Time: in.Time, Since: in.Since})
		}
		if err == nil || errors.Is(err, ErrRefused) {
			return err
		}
		t.state, t.cutShort = nil, false
		if !errors.Is(err, control.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("table %s: %w %d times in a row", id, control.ErrConflict, maxConflicts)
}

func (s *Service) applyOnce(ctx context.Context, t *table, src source, in Input) error {
	cached := t.state != nil
	if err := s.load(ctx, t); err != nil {
		return err
	}
	if err := s.hydrate(ctx, t, in); err != nil {
		return err
	}
	events, refusal := t.state.Step(s.cfg, in)
	if refusal != nil || len(events) == 0 {
		t.settle(false)
		if cached && (in.Event != nil || in.Command != nil) {
			if err := s.unchanged(ctx, t); err != nil {
				return err
			}
		}
		return refusal
	}
	change, outbox, err := t.change(in.Time, src, events)
	if err != nil {
		return err
	}
	if err := s.deps.Store.Commit(ctx, change); err != nil {
		return fmt.Errorf("commit %s: %w", t.id, err)
	}
	t.version++
	if err := s.flush(ctx, t.id, t.version, outbox); err != nil {
		return err
	}
	t.settle(len(events) >= maxStepEvents)
	return nil
}

// unchanged makes sure that a copy in memory is still what the store holds. A
// write would find out by its condition; an input that changes nothing must ask,
// since another replica's state may say otherwise.
func (s *Service) unchanged(ctx context.Context, t *table) error {
	return s.sameVersion(ctx, t.id, t.version)
}

// sameVersion fails with ErrConflict if a table is of another version by now.
func (s *Service) sameVersion(ctx context.Context, id dms.TableID, version uint64) error {
	item, err := s.deps.Store.Table(ctx, id)
	if err != nil && !errors.Is(err, control.ErrNotFound) {
		return fmt.Errorf("read the state of %s: %w", id, err)
	}
	if item.Version != version {
		return fmt.Errorf("table %s: %w", id, control.ErrConflict)
	}
	return nil
}

// settle puts away what no later decision needs and notes whether the clock matters.
func (t *table) settle(cutShort bool) {
	st := t.state
	if st.Load == nil {
		t.hydrated = nil
	}
	for id, f := range st.Files {
		if !st.Live(f) && (st.Load == nil || f.Status == Deleted) {
			delete(st.Files, id)
		}
	}
	t.cutShort = cutShort
	t.timed.Store(st.Grant != nil || (st.Load != nil && st.QuietPeriod > 0))
}

// load reads the table if it is not in memory, and says what its outbox still
// has to say.
func (s *Service) load(ctx context.Context, t *table) error {
	if t.state != nil {
		return nil
	}
	item, state, err := s.read(ctx, t.id)
	if errors.Is(err, control.ErrNotFound) {
		t.state, t.version, t.hydrated = NewState(t.id), 0, nil
		return nil
	}
	if err != nil {
		return err
	}
	if len(item.Outbox) > 0 {
		outbox := make([]*blotterv1.Envelope, len(item.Outbox))
		for i, b := range item.Outbox {
			if outbox[i], err = eventlog.Decode(b); err != nil {
				return fmt.Errorf("read the outbox of %s: %w", t.id, err)
			}
		}
		if err := s.flush(ctx, t.id, item.Version, outbox); err != nil {
			return err
		}
	}
	t.state, t.version, t.hydrated = state, item.Version, nil
	return nil
}

// read gives a table with its live files, of one version. They are two reads: where
// another replica decides between them, the grant may name files that are not there any
// more, and both are read again.
func (s *Service) read(ctx context.Context, id dms.TableID) (item control.TableItem, state *State, err error) {
	for range maxConflicts {
		if item, err = s.deps.Store.Table(ctx, id); err != nil {
			return item, nil, fmt.Errorf("read the state of %s: %w", id, err)
		}
		rows, err := s.deps.Store.LiveFiles(ctx, id)
		if err != nil {
			return item, nil, fmt.Errorf("read the live files of %s: %w", id, err)
		}
		err = s.sameVersion(ctx, id, item.Version)
		if errors.Is(err, control.ErrConflict) {
			continue
		}
		if err != nil {
			return item, nil, err
		}
		if state, err = DecodeState(item.State); err != nil {
			return item, nil, err
		}
		return item, state, state.AddRows(rows...)
	}
	return item, nil, fmt.Errorf("table %s: %w %d times in a row", id, control.ErrConflict, maxConflicts)
}

// hydrate brings back from history what the input's decision may need: the row
// of a file or of a deletion that is told again, those of files that were skipped, the newest file where the order is to
// change, and, while a load is open or may open, the published change files that the
// replacement must fold in.
func (s *Service) hydrate(ctx context.Context, t *table, in Input) error {
	st := t.state
	if id, ok := told(in.Event); ok {
		if err := s.bring(ctx, t, id); err != nil {
			return err
		}
	}
	if c, ok := in.Command.(Unskip); ok {
		for _, id := range c.Files[:min(len(c.Files), MaxUnskipped)] {
			if err := s.bring(ctx, t, id); err != nil {
				return err
			}
			if f, known := st.Files[id]; known && f.Status == Published {
				if err := s.hydrateMending(ctx, t, cmp.Or(f.Mending.FileID, id)); err != nil {
					return err
				}
			}
		}
	}
	if e, ok := in.Event.(*blotterv1.FileClassified); ok {
		if err := s.hydrateMending(ctx, t, dms.FileID(e.GetFile().GetMending().GetFileId())); err != nil {
			return err
		}
	}
	if c, ok := in.Command.(Register); ok && c.Reorders != "" {
		if err := s.hydrateNewest(ctx, t); err != nil {
			return err
		}
	}
	since, need := st.foldsSince(in)
	if !need || (t.hydrated != nil && !since.Before(*t.hydrated)) {
		return nil
	}
	rows, err := s.deps.Store.PublishedChanges(ctx, t.id, since)
	if err != nil {
		return fmt.Errorf("read the published change files of %s: %w", t.id, err)
	}
	t.hydrated = &since
	return st.AddRows(rows...)
}

// hydrateNewest brings back the published file that is the last in the order: a change,
// if any was published, since load files come before all of them.
func (s *Service) hydrateNewest(ctx context.Context, t *table) error {
	rows, err := s.deps.Store.Files(ctx, t.id, []string{string(Published)}, 1)
	if err != nil {
		return fmt.Errorf("read the newest published file of %s: %w", t.id, err)
	}
	return t.state.AddRows(rows...)
}

// told gives the id under which an input would be remembered as a file or as a
// deletion.
func told(event proto.Message) (id dms.FileID, ok bool) {
	switch e := event.(type) {
	case *blotterv1.FileClassified:
		return dms.FileID(e.GetFile().GetFileId()), true
	case *blotterv1.ObjectDeleted:
		return dms.FileID(e.GetDeletionId()), true
	}
	return "", false
}

// foldsSince tells from which time on published change files may belong into a
// replacement, if there is or may be one after this input.
func (s *State) foldsSince(in Input) (time.Time, bool) {
	var since time.Time
	base := s.Generation
	bound := func(t time.Time) {
		if since.IsZero() || t.Before(since) {
			since = t
		}
	}
	need := s.Load != nil
	if need {
		base = s.Load.Base
	}
	for _, f := range s.Files {
		if f.Kind == dms.KindLoad && s.Live(f) && f.Status != Published {
			bound(f.Object.LastModified)
		}
	}
	if e, ok := in.Event.(*blotterv1.FileClassified); ok && e.GetFile().GetKind() == blotterv1.FileKind_FILE_KIND_LOAD {
		need = true
		bound(e.GetFile().GetObject().GetLastModified().AsTime())
	}
	if s.openAgain() {
		bound(s.FirstModified)
	}
	if reopens(in.Command) {
		need = true
		bound(s.FirstModified)
		if s.Load == nil || !s.Load.Sealed {
			base = max(s.Generation, 1) - 1
		}
		for _, f := range s.Files { // mended rows of a load file are as old as it
			if f.Kind == dms.KindLoad && f.Generation == s.Generation {
				bound(f.Object.LastModified)
			}
		}
	}
	if base == 0 {
		return time.Time{}, need // the first generation takes all
	}
	return since, need
}

// reopens reports whether a command may open the generation in force again.
func reopens(c Command) bool {
	switch c := c.(type) {
	case LoadReopen:
		return true
	case LoadComplete:
		return c.Mended
	}
	return false
}

// change makes the conditional write of a step, and its outbox decoded.
func (t *table) change(at time.Time, src source, events []proto.Message) (control.Change, []*blotterv1.Envelope, error) {
	state, err := t.state.Encode()
	if err != nil {
		return control.Change{}, nil, err
	}
	c := control.Change{Table: t.id, Expect: t.version, State: state}
	for _, f := range t.state.TakeChanged() {
		row, err := t.state.Row(f)
		if err != nil {
			return control.Change{}, nil, err
		}
		c.Files = append(c.Files, row)
	}
	outbox := make([]*blotterv1.Envelope, len(events))
	for i, e := range events {
		if registered, ok := e.(*blotterv1.TableRegistered); ok {
			c.Spec = &control.Spec{Version: registered.GetSpecVersion(), JSON: registered.GetSpecJson()}
		}
		envelope, err := t.envelope(at, src, t.version+1, i, e)
		if err != nil {
			return control.Change{}, nil, err
		}
		b, err := eventlog.Encode(envelope)
		if err != nil {
			return control.Change{}, nil, err
		}
		outbox[i], c.Outbox = envelope, append(c.Outbox, b)
	}
	return c, outbox, nil
}

func (t *table) envelope(at time.Time, src source, version uint64, index int, e proto.Message) (*blotterv1.Envelope, error) {
	payload, err := anypb.New(e)
	if err != nil {
		return nil, fmt.Errorf("wrap %T: %w", e, err)
	}
	return &blotterv1.Envelope{
		Id:    eventlog.ID(ServiceName, t.id, "state", strconv.FormatUint(version, 10), strconv.Itoa(index)),
		Table: t.id.String(), Time: timestamppb.New(at),
		Cause: src.cause, Correlation: correlation(e), Actor: src.actor,
		Version: version, Index: uint32(index), Event: payload,
	}, nil
}

// correlation names the one file that an event is about; empty for several or none.
func correlation(e proto.Message) string {
	switch e := e.(type) {
	case interface{ GetFileId() string }:
		return e.GetFileId()
	case interface{ GetFile() *blotterv1.FileRef }:
		return e.GetFile().GetFileId()
	case interface{ GetStaged() *blotterv1.StagedFile }:
		return e.GetStaged().GetFileId()
	case *blotterv1.LockGranted:
		if len(e.GetFiles()) == 1 {
			return e.GetFiles()[0].GetFileId()
		}
	}
	return ""
}

// flush publishes an outbox, carries out what follows from it, and clears it.
// All three may be repeated.
func (s *Service) flush(ctx context.Context, id dms.TableID, version uint64, outbox []*blotterv1.Envelope) error {
	if err := s.deps.Log.Flush(ctx, id, ServiceName, outbox); err != nil {
		return fmt.Errorf("publish the outbox of %s: %w", id, err)
	}
	for _, envelope := range outbox {
		if err := s.effect(ctx, id, envelope); err != nil {
			return err
		}
	}
	if err := s.deps.Store.ClearOutbox(ctx, id, version); err != nil {
		return fmt.Errorf("clear the outbox of %s: %w", id, err)
	}
	return nil
}

func (s *Service) effect(ctx context.Context, id dms.TableID, envelope *blotterv1.Envelope) error {
	event, err := envelope.GetEvent().UnmarshalNew()
	if err != nil {
		return fmt.Errorf("decode event %s: %w", envelope.GetId(), err)
	}
	switch e := event.(type) {
	case *blotterv1.FileHeld:
		err = s.deps.Hold.Hold(ctx, id, holdqueue.Item{FileID: dms.FileID(e.GetFileId()), Order: dms.FileOrder(e.GetOrder())})
	case *blotterv1.FileReleased:
		err = s.deps.Hold.Release(ctx, id, dms.FileID(e.GetFileId()))
	}
	if err != nil {
		return fmt.Errorf("bring the hold queue of %s up to date: %w", id, err)
	}
	return nil
}

// AddRows takes stored rows into the state; rows that are there already stay.
func (s *State) AddRows(rows ...control.FileRow) error {
	for _, row := range rows {
		if _, ok := s.Files[row.FileID]; ok {
			continue
		}
		f, err := DecodeFile(row.Body)
		if err != nil {
			return err
		}
		s.Files[f.ID] = f
	}
	return nil
}

// Row gives a file of the state as the control store keeps it.
func (s *State) Row(f *File) (control.FileRow, error) {
	body, err := EncodeFile(f)
	if err != nil {
		return control.FileRow{}, err
	}
	return control.FileRow{
		FileID: f.ID, Kind: f.Kind, State: string(f.Status), Order: f.Order,
		LastModified: f.bound(), Live: s.Live(f), Body: body,
	}, nil
}

// EncodeFile gives the history of a file as the control store keeps it.
func EncodeFile(f *File) ([]byte, error) {
	body, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode the history of file %s: %w", f.ID, err)
	}
	return body, nil
}

// DecodeFile reads what EncodeFile wrote.
func DecodeFile(body []byte) (*File, error) {
	f := &File{}
	if err := json.Unmarshal(body, f); err != nil {
		return nil, fmt.Errorf("decode the history of a file: %w", err)
	}
	return f, nil
}
