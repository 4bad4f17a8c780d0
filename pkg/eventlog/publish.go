package eventlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/telemetry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// eventHeader names the type of the event (the proto's full name), so that
// operators can tell messages apart without decoding them.
const eventHeader = "Blotter-Event"

// maxLooks bounds how often a publish looks again after it met another writer;
// a handler that is told ErrConflict then retries from its beginning.
const maxLooks = 100

// PublishOnce publishes the event unless the log has its id already, and gives
// the sequence under which it stands there. It holds beyond the server's window
// for duplicates and with any number of replicas. Errors: ErrConflict if other
// writers were faster again and again; Permanent for an event that can never be
// published, such as ErrDiffers; any other may pass, and the event may then be in the log or not:
// call again with the same id.
func (l *Log) PublishOnce(ctx context.Context, e Event) (seq uint64, err error) {
	env, err := e.Envelope()
	if err != nil {
		return 0, err
	}
	return l.PublishEnvelope(ctx, e.Service, e.After, env)
}

// PublishEnvelope is PublishOnce for an envelope that was made, and perhaps
// stored, before; after is what Event.After is.
func (l *Log) PublishEnvelope(ctx context.Context, service string, after uint64, env *blotterv1.Envelope) (uint64, error) {
	msg, table, err := l.message(ctx, service, env)
	if err != nil {
		return 0, err
	}
	c := l.chains.get(l.partitions.chain(table, service))
	if err := c.acquire(ctx); err != nil {
		return 0, err
	}
	defer c.release()
	for range maxLooks {
		seq, found, err := l.look(ctx, c, env.GetId(), after)
		if err != nil {
			return 0, fmt.Errorf("look behind for event %s: %w", env.GetId(), err)
		}
		if found && seq <= after {
			if err := l.checkDuplicate(ctx, seq, msg.Subject, env, after); !errors.Is(err, ErrConflict) {
				return 0, fmt.Errorf("publish event %s: %w", env.GetId(), err)
			}
		}
		if found {
			return seq, nil
		}
		seq, err = l.append(ctx, c, msg, env, after)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err == nil {
			l.chains.prune(c, after)
			l.chains.bound(c)
		}
		return seq, err
	}
	return 0, fmt.Errorf("publish event %s: %w after %d looks", env.GetId(), ErrConflict, maxLooks)
}

// append publishes msg if the chain still ends at c.to, and notes it. After any
// error but ErrConflict the message may be in the log or not; in each case the
// chain is stale.
func (l *Log) append(ctx context.Context, c *chain, msg *nats.Msg, env *blotterv1.Envelope, after uint64) (uint64, error) {
	if err := l.at(ctx, BeforePublish, env.GetId()); err != nil {
		return 0, err
	}
	callCtx, cancel := context.WithTimeout(ctx, l.cfg.CallTimeout)
	defer cancel()
	ack, err := l.js.PublishMsg(callCtx, msg,
		jetstream.WithMsgID(env.GetId()),
		jetstream.WithExpectStream(l.cfg.Stream),
		// Nobody answers while the replicas elect a leader: that takes longer than the
		// client tries by itself, and callCtx bounds it.
		jetstream.WithRetryAttempts(1+int(l.cfg.CallTimeout/jetstream.DefaultPubRetryWait)),
		jetstream.WithExpectLastSequenceForSubject(c.to, c.subject))
	if err == nil && ack.Duplicate {
		// The server knew the id, hence the log has it: the next look finds it in
		// this chain, or it is another chain's and two events bear one name.
		if err = l.checkDuplicate(callCtx, ack.Sequence, msg.Subject, env, after); errors.Is(err, ErrConflict) && ack.Sequence <= after {
			// No look goes back so far: whoever says it forgot that it was said.
			l.log.WarnContext(ctx, "an event was in the log before it was decided: what its service knew was lost", "id", env.GetId(), "seq", ack.Sequence)
			c.stale = true
			return ack.Sequence, nil
		}
	}
	if err != nil {
		c.stale = true
		err = denied(l.nc, classify(err))
		if errors.Is(err, ErrConflict) {
			l.log.DebugContext(ctx, ConflictMessage, "chain", c.subject, ConflictCode, code(err))
		}
		return 0, fmt.Errorf("publish event %s: %w", env.GetId(), err)
	}
	if err := l.at(ctx, AfterPublish, env.GetId()); err != nil {
		c.stale = true
		return 0, err
	}
	c.to = ack.Sequence
	if env.GetVersion() == 0 {
		l.chains.add(c, env.GetId(), ack.Sequence)
	} else {
		c.from = ack.Sequence // nobody looks for the ids of an outbox
	}
	c.placed, c.version, c.index = true, env.GetVersion(), env.GetIndex()
	return ack.Sequence, nil
}

// ErrDiffers: the log has an event of this id, from before the one to be published was
// decided, that says something else. Were the new one taken for said, it would be lost.
var ErrDiffers = errors.New("the log tells something else under the same id")

// checkDuplicate always gives an error: ErrConflict if the message that the
// server holds for the id is the one we meant. Where no look goes back so far, it must say
// the same: a service that lost what it knew may use a name, such as a token, once more.
func (l *Log) checkDuplicate(ctx context.Context, seq uint64, subject string, env *blotterv1.Envelope, after uint64) error {
	stored, err := l.stream.GetMsg(ctx, seq)
	if err != nil {
		return err
	}
	if stored.Subject != subject {
		return Permanent(fmt.Errorf("the id %s is taken by %s at sequence %d", env.GetId(), stored.Subject, seq))
	}
	if seq > after {
		return ErrConflict
	}
	was, err := Decode(stored.Data)
	if err != nil {
		return Permanent(fmt.Errorf("event at sequence %d: %w", seq, err))
	}
	if !sameMessage(was.GetEvent(), env.GetEvent()) {
		return Permanent(fmt.Errorf("%w: sequence %d, of before sequence %d at which this was decided; what the service knows (the control store) was set back: "+
			"stop the system, and restore it from a backup that is as new as the log, or write it anew from the log: blotter replay --rebuild", ErrDiffers, seq, after))
	}
	return ErrConflict
}

// sameMessage compares what two events say. A program that does not know the type compares bytes.
func sameMessage(a, b *anypb.Any) bool {
	one, errA := a.UnmarshalNew()
	other, errB := b.UnmarshalNew()
	if errA != nil || errB != nil {
		return proto.Equal(a, b)
	}
	return proto.Equal(one, other)
}

// message builds the message of an envelope; its errors are permanent.
func (l *Log) message(ctx context.Context, service string, env *blotterv1.Envelope) (*nats.Msg, dms.TableID, error) {
	table, err := dms.ParseTableID(env.GetTable())
	if err != nil {
		return nil, table, Permanent(fmt.Errorf("publish event %s: %w", env.GetId(), err))
	}
	if err := checkName(service); err != nil {
		return nil, table, Permanent(fmt.Errorf("publish event %s: %w", env.GetId(), err))
	}
	name := EventName(env)
	if env.GetId() == "" || name == "" {
		return nil, table, Permanent(fmt.Errorf("publish event %q of %s: it lacks an id or a message", env.GetId(), table))
	}
	data, err := Encode(env)
	if err != nil {
		return nil, table, Permanent(err)
	}
	msg := nats.NewMsg(l.partitions.Subject(table, service, name))
	msg.Data = data
	msg.Header[eventHeader] = []string{string(env.GetEvent().MessageName())}
	telemetry.Inject(ctx, msg.Header)
	return msg, table, nil
}
