package lockmanager

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/holdqueue"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// shell runs the same inputs through the real Service over a store in memory:
// files are put away when no decision needs them, read back when one does, and
// the process may die at any step. What it says must be the same.
type shell struct {
	service *Service
	store   *modelStore
	log     *modelLog
	hold    *modelHold
	now     time.Time
	checked int // events of the log that were compared
}

func newShell(cfg Config) *shell {
	sh := &shell{store: &modelStore{rows: map[dms.FileID]control.FileRow{}}, log: &modelLog{}, hold: &modelHold{held: map[dms.FileID]bool{}}}
	sh.restart(cfg)
	return sh
}

// restart begins a new process over the same stores.
func (sh *shell) restart(cfg Config) {
	service, err := New(cfg, Deps{
		Log: sh.log, Store: sh.store, Hold: sh.hold, Logger: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return sh.now },
	})
	if err != nil {
		panic(err)
	}
	sh.service = service
}

// apply takes an input through the shell and compares what it says with what
// the state machine alone said. An input whose handling died comes again.
func (sh *shell) apply(w *world, in Input, want []said, refused error) {
	sh.now = in.Time
	err := sh.service.apply(context.Background(), w.table, source{cause: "model", actor: "model"}, in)
	for errors.Is(err, errDied) {
		w.saw("crash between commit and publication")
		sh.restart(w.cfg)
		if in.Event == nil && in.Command == nil {
			in.Event = &blotterv1.FilesPublished{} // a tick does not come again: have the table looked at
		}
		err = sh.service.apply(context.Background(), w.table, source{cause: "model", actor: "model"}, in)
	}
	if (err == nil) != (refused == nil) || err != nil && !errors.Is(err, ErrRefused) {
		w.problem("the shell answers %v, the state machine %v", err, refused)
		return
	}
	got := sh.log.said[sh.checked:]
	sh.checked = len(sh.log.said)
	if len(got) != len(want) {
		w.problem("%T: the shell says %d events, the state machine %d", in.Event, len(got), len(want))
		return
	}
	for i, envelope := range got {
		event, err := envelope.GetEvent().UnmarshalNew()
		if err != nil || !proto.Equal(event, want[i].event) {
			w.problem("%T: the shell says %v (%v), the state machine %v", in.Event, event, err, want[i].event)
		}
	}
}

// checkEnd compares what the store holds with the state machine.
func (sh *shell) checkEnd(w *world) {
	state, err := w.state.Encode()
	if err != nil || !bytes.Equal(state, sh.store.item.State) {
		w.problem("the store holds the state %s, expected %s (%v)", sh.store.item.State, state, err)
	}
	for id, f := range w.state.Files {
		if got := sh.store.rows[id].State; got != string(f.Status) {
			w.problem("the store holds file %s as %q, expected %q", w.name(string(id)), got, f.Status)
		}
	}
	if len(sh.hold.held) != len(w.hold) {
		w.problem("the hold queue has %d files, expected %d", len(sh.hold.held), len(w.hold))
	}
}

// modelStore is a control store with one table: as much of it as a decision asks.
type modelStore struct {
	control.Store
	item control.TableItem
	rows map[dms.FileID]control.FileRow
}

func (s *modelStore) Table(context.Context, dms.TableID) (control.TableItem, error) {
	if s.item.Version == 0 {
		return control.TableItem{}, control.ErrNotFound
	}
	return s.item, nil
}

func (s *modelStore) Commit(_ context.Context, c control.Change) error {
	if c.Expect != s.item.Version || len(s.item.Outbox) > 0 {
		return control.ErrConflict
	}
	s.item = control.TableItem{Table: c.Table, Version: c.Expect + 1, State: c.State, Outbox: c.Outbox}
	for _, row := range c.Files {
		s.rows[row.FileID] = row
	}
	return nil
}

func (s *modelStore) ClearOutbox(_ context.Context, _ dms.TableID, version uint64) error {
	if s.item.Version == version {
		s.item.Outbox = nil
	}
	return nil
}

func (s *modelStore) File(_ context.Context, _ dms.TableID, id dms.FileID) (control.FileRow, error) {
	row, ok := s.rows[id]
	if !ok {
		return row, control.ErrNotFound
	}
	return row, nil
}

func (s *modelStore) find(keep func(control.FileRow) bool) []control.FileRow {
	var out []control.FileRow
	for _, row := range s.rows {
		if keep(row) {
			out = append(out, row)
		}
	}
	slices.SortFunc(out, func(a, b control.FileRow) int { return cmp.Compare(a.Order, b.Order) })
	return out
}

func (s *modelStore) LiveFiles(context.Context, dms.TableID) ([]control.FileRow, error) {
	return s.find(func(r control.FileRow) bool { return r.Live }), nil
}

func (s *modelStore) PublishedChanges(_ context.Context, _ dms.TableID, since time.Time) ([]control.FileRow, error) {
	return s.find(func(r control.FileRow) bool {
		return r.Kind == dms.KindChange && r.State == string(Published) && !r.LastModified.Before(since)
	}), nil
}

// errDied is what a process that dies before it publishes its outbox returns.
var errDied = errors.New("the process died")

// modelLog keeps the events of one table, each once by version and index.
type modelLog struct {
	Log  // for what the model does itself: nothing consumes
	said []*blotterv1.Envelope
	die  bool // before the next publication
}

func (l *modelLog) Flush(_ context.Context, _ dms.TableID, _ string, outbox []*blotterv1.Envelope) error {
	if l.die && len(outbox) > 0 {
		l.die = false
		l.publish(outbox[:len(outbox)/2])
		return errDied
	}
	l.publish(outbox)
	return nil
}

func (l *modelLog) publish(outbox []*blotterv1.Envelope) {
	for _, e := range outbox {
		if n := len(l.said); n > 0 {
			last := l.said[n-1]
			if cmp.Or(cmp.Compare(e.GetVersion(), last.GetVersion()), cmp.Compare(e.GetIndex(), last.GetIndex())) <= 0 {
				continue
			}
		}
		l.said = append(l.said, e)
	}
}

// modelHold is the hold queue of one table.
type modelHold struct {
	holdqueue.Queue
	held map[dms.FileID]bool
}

func (h *modelHold) Hold(_ context.Context, _ dms.TableID, item holdqueue.Item) error {
	h.held[item.FileID] = true
	return nil
}

func (h *modelHold) Release(_ context.Context, _ dms.TableID, id dms.FileID) error {
	delete(h.held, id)
	return nil
}
