package ingestrouter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/ingress"
	"github.com/openblotter/blotter/pkg/lifecycle"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

const (
	// taskTimeout bounds the work on one delivery of an event of DMS: no message can be
	// kept out of sight for longer than 12 hours. The next delivery goes on from there.
	taskTimeout = 10 * time.Hour
	// holdFor is how long the message of an event of DMS is kept out of sight at a time,
	// which is longer than a step of a listing takes, and holdAgain when that is said anew.
	// So what a killed process worked on comes to another one soon.
	holdFor   = 3 * time.Minute
	holdAgain = time.Minute
	// maxAside bounds the listings that run beside the polls, and maxWaiting those that wait
	// for their turn. Beyond, a message is left in the queue for a while.
	maxAside   = 4
	maxWaiting = 256
	// maxPlace bounds what is kept of where a listing stands: what the control store takes.
	maxPlace = 256 << 10
)

// lists reports whether a message may list the bucket, which takes long.
func lists(m ingress.Message) bool {
	parsed, err := parseMessage(m.Body)
	return err == nil && parsed.task != nil && parsed.task.state == taskLoadFinished
}

// setAside works on a message that may list the bucket beside the polls, which go on. Where
// many are worked on, it waits for its turn, and is kept out of sight meanwhile.
func (e *Entrypoint) setAside(ctx context.Context, m ingress.Message) error {
	select {
	case e.waiting <- struct{}{}:
	default:
		return e.deps.Queue.Hide(ctx, m, holdFor)
	}
	e.apart.Go(func() {
		defer func() { <-e.waiting }()
		err := e.waitForTurn(ctx, m)
		if err == nil {
			err = e.take(ctx, m)
			<-e.aside
		}
		if err != nil && ctx.Err() == nil {
			e.router.deps.Logger.ErrorContext(ctx, "take in what DMS tells of the end of a full load", "error", err)
		}
	})
	return nil
}

// waitForTurn returns once the message may be worked on: whoever has that gives it back.
func (e *Entrypoint) waitForTurn(ctx context.Context, m ingress.Message) error {
	again := time.NewTicker(holdAgain)
	defer again.Stop()
	for {
		if err := e.deps.Queue.Hide(ctx, m, holdFor); err != nil {
			return err
		}
		select {
		case e.aside <- struct{}{}:
			return nil
		case <-ctx.Done():
			return e.release(ctx, m)
		case <-again.C:
		}
	}
}

// release brings a message in sight again, of which this process is ending.
func (e *Entrypoint) release(ctx context.Context, m ingress.Message) error {
	settling, cancel := lifecycle.Outlive(ctx, releaseTimeout)
	defer cancel()
	return errors.Join(ctx.Err(), e.deps.Queue.Hide(settling, m, 0))
}

// holding keeps a message out of sight while it is worked on.
type holding struct {
	queue   ingress.Queue
	message ingress.Message
	now     func() time.Time
	since   time.Time
}

func (h *holding) keep(ctx context.Context) error {
	now := h.now()
	if !h.since.IsZero() && now.Sub(h.since) < holdAgain {
		return nil
	}
	h.since = now
	return h.queue.Hide(ctx, h.message, holdFor)
}

// taskChanged tells each table of a task what DMS says of it. The end of a full load is
// a listing: every object that the load wrote is told before its tables hear of it.
func (e *Entrypoint) taskChanged(ctx context.Context, t taskEvent, held *holding) error {
	s := e.router
	if err := held.keep(ctx); err != nil {
		return err
	}
	if err := s.Learn(ctx); err != nil {
		return err
	}
	specs, err := s.deps.Specs.Newest(ctx)
	if err != nil {
		return fmt.Errorf("read the registrations: %w", err)
	}
	tables := map[dms.TableID]bool{}
	name := hashed("task", t.task, t.code, t.time.Format(time.RFC3339Nano), t.detail)
	for _, spec := range specs {
		if spec.Task != t.task {
			continue
		}
		tables[spec.ID] = true
		if err := held.keep(ctx); err != nil {
			return err
		}
		err := s.tellSignal(ctx, "task/"+name+"/"+spec.ID.String(), dms.Object{LastModified: t.time}, verdict{
			table: spec.ID, name: "task", parts: []string{name}, state: control.ObjectTold,
			event: &blotterv1.SourceTaskChanged{
				Task: t.task, EventId: t.code, State: t.state, Time: timestamppb.New(t.time),
				Detail: strings.ToValidUTF8(t.detail[:min(len(t.detail), maxDetail)], ""),
			},
		})
		if err != nil {
			return err
		}
	}
	if t.state != taskLoadFinished || len(tables) == 0 {
		return nil
	}
	return s.listInSteps(ctx, ReconcileRequest{
		ID: "task/" + name, Actor: ServiceName, Reason: t.detail, seal: &sealing{cause: "dms_event", tables: tables},
	}, held.keep)
}

// listInSteps makes a reconcile of all steps, and keeps in the control store where it
// stands: asked for again with its id, after a crash or an error, it goes on from there.
// Before each step it says that it lives.
func (s *Service) listInSteps(ctx context.Context, r ReconcileRequest, lives func(context.Context) error) error {
	row := control.ObjectRow{FileID: dms.FileID("listing-place/" + r.ID), State: control.ObjectTold, Table: dms.RawTable}
	known, err := s.deps.Objects.Object(ctx, row.FileID)
	switch {
	case errors.Is(err, control.ErrNotFound):
		row.Object.LastModified = s.deps.Now()
	case err != nil:
		return fmt.Errorf("read where listing %s stands: %w", r.ID, err)
	default:
		row = known
		if err := json.Unmarshal(row.Event, &r.At); err != nil {
			return fmt.Errorf("read where listing %s stands: %w", r.ID, err)
		}
	}
	for r.At.Pass != PassDone {
		if err := lives(ctx); err != nil {
			return err
		}
		next, err := s.boundedStep(ctx, r)
		if err != nil && !errors.Is(err, errIncomplete) {
			return fmt.Errorf("list the raw bucket behind %q: %w", r.At.Key, err)
		}
		if r.At = next; err != nil {
			r.At = Place{} // what was passed over may be whole when it is listed anew
		}
		if err := errors.Join(err, s.keepPlace(ctx, &row, r.At)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) boundedStep(ctx context.Context, r ReconcileRequest) (Place, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	return s.Reconcile(ctx, r)
}

// keepPlace notes where a listing stands. Counts of very many tables are not kept: such a
// listing goes on, after a crash, from the last place that was.
func (s *Service) keepPlace(ctx context.Context, row *control.ObjectRow, at Place) error {
	place, err := json.Marshal(at)
	if err != nil {
		return fmt.Errorf("encode where a listing stands: %w", err)
	}
	if len(place) > maxPlace {
		return nil
	}
	row.Event = place
	if err := s.deps.Objects.PutObject(ctx, *row); err != nil {
		return fmt.Errorf("note where a listing stands: %w", err)
	}
	row.Revision++
	return nil
}
