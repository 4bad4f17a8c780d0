package ingestrouter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/telemetry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// maxConflicts bounds how often one object is looked at anew because another
// replica wrote its row in between.
const maxConflicts = 16

// Offer tells the service of one version of one object; it returns when all
// that follows from it is in the log. Offering it again is safe: a listing adds
// nothing, an event is told as a repetition.
func (s *Service) Offer(ctx context.Context, o dms.Object, source Source) (dms.FileID, error) {
	id := identify(s.registered(), o)
	return id, s.offer(ctx, item{id: id, object: o}, source)
}

func (s *Service) offer(ctx context.Context, it item, source Source) error {
	for range maxConflicts {
		err := s.offerOnce(ctx, it, source)
		if err == nil {
			return nil
		}
		if !errors.Is(err, control.ErrConflict) {
			return fmt.Errorf("take in %s: %w", it.object.Key, err)
		}
	}
	return fmt.Errorf("take in %s: %w %d times in a row", it.object.Key, control.ErrConflict, maxConflicts)
}

func (s *Service) offerOnce(ctx context.Context, it item, source Source) error {
	row, err := s.deps.Objects.Object(ctx, it.id)
	switch {
	case errors.Is(err, control.ErrNotFound):
		row = control.ObjectRow{FileID: it.id, Object: it.object, Part: it.part}
		if source == FromEvent {
			row.Deliveries = 1
		}
		v, by, err := s.decide(ctx, it, source)
		if err != nil {
			return err
		}
		if err := s.tell(ctx, row, v); err != nil {
			return err
		}
		if v.state == control.ObjectHeld {
			s.doubt(by)
		}
		return nil
	case err != nil:
		return fmt.Errorf("read what is known of the object: %w", err)
	}
	if row.State == control.ObjectPending {
		if row, err = s.publish(ctx, row); err != nil {
			return err
		}
	}
	if source == FromEvent {
		row.Deliveries++
	}
	switch {
	case row.State == control.ObjectDismissed && source == FromEvent:
		return s.tellAgain(ctx, row)
	case row.State == control.ObjectHeld:
		v, by, err := s.decide(ctx, it, source)
		if err != nil {
			return err
		}
		if v.state != control.ObjectHeld {
			return s.tell(ctx, row, v)
		}
		s.doubt(by)
		if source == FromEvent {
			return s.tellAgain(ctx, row)
		}
		return nil
	case source != FromEvent:
		return nil
	}
	return s.tell(ctx, row, decideAgain(row, row.Deliveries))
}

// tell writes the row with the event it is about to say, and says it. Here the
// trace of the file begins.
func (s *Service) tell(ctx context.Context, row control.ObjectRow, v verdict) (err error) {
	file := v.file() // none of a deletion of which no version is known
	ctx, end := telemetry.Start(telemetry.FileContext(ctx, file), ServiceName+" "+v.name)
	defer func() { end(err) }()
	after, err := s.deps.Log.Last(ctx)
	if err != nil {
		return fmt.Errorf("read the end of the log: %w", err)
	}
	envelope, err := s.envelope(v, after)
	if err != nil {
		return err
	}
	if row.Event, err = eventlog.Encode(envelope); err != nil {
		return err
	}
	row.State, row.Table, row.After = control.ObjectPending, v.table, after
	if err := s.deps.Objects.PutObject(ctx, row); err != nil {
		return fmt.Errorf("note what is to be said of the object: %w", err)
	}
	row.Revision++
	_, err = s.publish(ctx, row)
	return err
}

// envelope is the event of a verdict that was reached when the log ended at after.
func (s *Service) envelope(v verdict, after uint64) (*blotterv1.Envelope, error) {
	event := eventlog.Event{
		Table: v.table, Service: ServiceName, ID: eventlog.ID(ServiceName, v.table, v.name, v.parts...),
		Correlation: v.file(), Actor: cmp.Or(v.actor, ServiceName), Time: s.deps.Now(), Message: v.event, After: after,
	}
	return event.Envelope()
}

// tellAgain says that an object was delivered again that is held or dismissed, and
// counts it. The row never stops being that, so the event comes first: should the count
// not follow, the same delivery is told under the same name, which adds nothing.
func (s *Service) tellAgain(ctx context.Context, row control.ObjectRow) error {
	envelope, err := s.envelope(decideAgain(row, row.Deliveries), row.After)
	if err != nil {
		return err
	}
	if _, err := s.deps.Log.PublishEnvelope(ctx, ServiceName, row.After, envelope); err != nil {
		return fmt.Errorf("publish %s: %w", envelope.GetId(), err)
	}
	if err := s.deps.Objects.PutObject(ctx, row); err != nil {
		return fmt.Errorf("count the delivery of %s: %w", row.Object.Key, err)
	}
	return nil
}

// publish says the event of a pending row and notes that it is said.
func (s *Service) publish(ctx context.Context, row control.ObjectRow) (control.ObjectRow, error) {
	envelope, err := eventlog.Decode(row.Event)
	if err != nil {
		return row, fmt.Errorf("decode the pending event of %s: %w", row.Object.Key, err)
	}
	event, err := envelope.GetEvent().UnmarshalNew()
	if err != nil {
		return row, fmt.Errorf("read the pending event of %s: %w", row.Object.Key, err)
	}
	_, err = s.deps.Log.PublishEnvelope(ctx, ServiceName, row.After, envelope)
	if _, arrived := event.(*blotterv1.ObjectArrived); arrived && errors.Is(err, eventlog.ErrDiffers) {
		// It names the file, which is one version of one object: the other one, too, says
		// that this arrived, and how that became known may differ.
		s.deps.Logger.WarnContext(ctx, "an object was told of before, otherwise", "key", row.Object.Key, "file", string(row.FileID))
		err = nil
	}
	if err != nil {
		return row, fmt.Errorf("publish %s: %w", envelope.GetId(), err)
	}
	row.State, row.Event = StateAfter(event), nil
	if err := s.deps.Objects.PutObject(ctx, row); err != nil {
		return row, fmt.Errorf("note that the object is told: %w", err)
	}
	row.Revision++
	return row, nil
}

// StateAfter is the state of an object once the event that ingest-router said of it
// last is told.
func StateAfter(event proto.Message) control.ObjectState {
	switch e := event.(type) {
	case *blotterv1.ObjectHeld:
		return control.ObjectHeld
	case *blotterv1.ObjectIgnored:
		if e.GetReason() == reasonDismissed {
			return control.ObjectDismissed
		}
	}
	return control.ObjectTold
}

// resume publishes what a crash left pending, and takes in held objects whose
// table is registered now.
func (s *Service) resume(ctx context.Context) error {
	for _, state := range []control.ObjectState{control.ObjectPending, control.ObjectHeld} {
		// Held objects whose table is still unknown stay in the result: the batch
		// grows until it holds them all.
		for limit := resumeBatch; ; limit *= 2 {
			rows, err := s.deps.Objects.ObjectsIn(ctx, state, limit)
			if err != nil {
				return fmt.Errorf("list %s objects: %w", state, err)
			}
			slices.SortStableFunc(rows, func(a, b control.ObjectRow) int {
				return s.loadsFirst(a.Object.Key) - s.loadsFirst(b.Object.Key)
			})
			all := len(rows) < limit
			for _, row := range rows {
				if !all && s.loadsFirst(row.Object.Key) > 0 && state == control.ObjectHeld {
					continue // more of them may be load files, which come first
				}
				if err := s.takeUp(ctx, row); err != nil {
					return err
				}
			}
			if all {
				break
			}
		}
	}
	return nil
}

// takeUp goes on with a row that is pending or held.
func (s *Service) takeUp(ctx context.Context, row control.ObjectRow) error {
	switch {
	case row.State != control.ObjectHeld:
		_, err := s.publish(ctx, row)
		if errors.Is(err, control.ErrConflict) {
			return nil // another replica has said it
		}
		return err
	case row.Part.IsZero():
		_, err := s.Offer(ctx, row.Object, FromListing)
		return err
	}
	whole, err := s.deps.Objects.Object(ctx, row.Part.FileID)
	if err != nil {
		return fmt.Errorf("find the transaction file of part %s in %s: %w", row.Part, row.Object.Key, err)
	}
	return s.offer(ctx, item{id: row.FileID, object: row.Object, part: row.Part, db: whole.Table.DB}, FromTransaction)
}

// loadsFirst ranks keys so that a load is known before the changes beside it.
func (s *Service) loadsFirst(key string) int {
	if kindOf(s.registered(), key) == dms.KindLoad {
		return 0
	}
	return 1
}

// offerListed offers an object that a listing found, unless it is told already;
// isNew tells that nothing had been said of it.
func (s *Service) offerListed(ctx context.Context, o dms.Object) (isNew bool, err error) {
	row, err := s.deps.Objects.Object(ctx, identify(s.registered(), o))
	if err != nil && !errors.Is(err, control.ErrNotFound) {
		return false, fmt.Errorf("read what is known of %s: %w", o.Key, err)
	}
	known := err == nil && row.State != control.ObjectPending
	if known && row.State != control.ObjectHeld {
		return false, nil
	}
	_, err = s.Offer(ctx, o, FromListing)
	return !known, err
}
