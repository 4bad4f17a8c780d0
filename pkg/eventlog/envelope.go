package eventlog

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Event is what a service wants in the log.
type Event struct {
	Table   dms.TableID
	Service string // who says it: names the chain
	ID      string // names the event for ever, see ID
	// Cause is the id of the event or command that this one answers, Correlation
	// the file it belongs to, Actor who brought it about; empty Actor: the service.
	Cause, Correlation, Actor string
	Time                      time.Time // when the service decided
	Message                   proto.Message
	// After is the stream sequence of the input, or the log's last sequence when
	// the event was decided. The event cannot be in the log at or before it, so
	// the look-behind begins there; 0 is always right, and slow.
	After uint64
}

// ID builds the id of an event from what makes it the only one of its kind:
// the service, the table, the name of the event, and parts such as file id,
// token or step. A repeated attempt builds the same id. Parts hold no "/".
func ID(service string, table dms.TableID, event string, parts ...string) string {
	return strings.Join(append([]string{service, table.String(), event}, parts...), "/")
}

// Envelope wraps the event. Version and index stay 0: a service with state sets
// them before it stores the envelope.
func (e Event) Envelope() (*blotterv1.Envelope, error) {
	if err := e.check(); err != nil {
		return nil, Permanent(err)
	}
	body, err := anypb.New(e.Message)
	if err != nil {
		return nil, Permanent(fmt.Errorf("encode event %s: %w", e.ID, err))
	}
	actor := e.Actor
	if actor == "" {
		actor = e.Service
	}
	return &blotterv1.Envelope{
		Id:          e.ID,
		Table:       e.Table.String(),
		Time:        timestamppb.New(e.Time),
		Cause:       e.Cause,
		Correlation: e.Correlation,
		Actor:       actor,
		Event:       body,
	}, nil
}

func (e Event) check() error {
	var faults []error
	if e.ID == "" || strings.ContainsFunc(e.ID, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		faults = append(faults, fmt.Errorf("its id %q is empty or holds control characters", e.ID))
	}
	if e.Table.DB == "" || e.Table.Table == "" {
		faults = append(faults, fmt.Errorf("its table %q is no <db>.<table>", e.Table))
	}
	if err := checkName(e.Service); err != nil {
		faults = append(faults, err)
	}
	if e.Message == nil {
		faults = append(faults, errors.New("it has no message"))
	}
	if e.Time.IsZero() {
		faults = append(faults, errors.New("it has no time"))
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("event %s: %w", e.ID, errors.Join(faults...))
}

// Encode gives the bytes of an envelope: the payload on the log, and what
// outboxes store.
func Encode(env *blotterv1.Envelope) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(env)
	if err != nil {
		return nil, fmt.Errorf("encode envelope %s: %w", env.GetId(), err)
	}
	return b, nil
}

// Decode reads what Encode wrote.
func Decode(b []byte) (*blotterv1.Envelope, error) {
	env := new(blotterv1.Envelope)
	if err := proto.Unmarshal(b, env); err != nil {
		return nil, fmt.Errorf("decode envelope: %w", err)
	}
	return env, nil
}

// EventName is the own name of the message in an envelope, such as
// "FilesPublished": the last token of its subject.
func EventName(env *blotterv1.Envelope) string {
	return string(env.GetEvent().MessageName().Name())
}
