package eventlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Raw is one event as the server holds it, undecoded: what an archive keeps, so that
// nothing of it is lost.
type Raw struct {
	Seq     uint64
	Stored  time.Time // when the server stored it, to the nanosecond
	Subject string
	// Header has the names as they were sent, and the values of each in their order.
	Header map[string][]string
	Data   []byte
}

// Record decodes the event. Its errors are permanent.
func (r Raw) Record() (Record, error) { return decodeRecord(r.Seq, r.Stored, r.Subject, r.Data) }

// Bounds gives the sequence of the oldest event that the stream still holds, and that
// of the newest that it ever took. first is last+1 if it holds none.
func (l *Log) Bounds(ctx context.Context) (first, last uint64, err error) {
	info, err := l.stream.Info(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("ask for the bounds of the log: %w", err)
	}
	first, last = bounds(info)
	return first, last, nil
}

func bounds(info *jetstream.StreamInfo) (first, last uint64) {
	first, last = info.State.FirstSeq, info.State.LastSeq
	if info.State.Msgs == 0 {
		first = last + 1
	}
	return first, last
}

// ReadRaw yields the events of the stream with sequences in [from, until], in order;
// what the stream does not hold is passed over, and so is what is archived alone. An
// error is yielded last.
func (l *Log) ReadRaw(ctx context.Context, from, until uint64) iter.Seq2[Raw, error] {
	return func(yield func(Raw, error) bool) {
		first, last, err := l.Bounds(ctx)
		if err != nil {
			yield(Raw{}, err)
			return
		}
		from, until := max(from, first, 1), min(until, last)
		if from > until {
			return
		}
		cfg := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from}
		for m, err := range l.messages(ctx, cfg, until, false) {
			if err != nil {
				yield(Raw{}, fmt.Errorf("read the log from sequence %d: %w", from, err))
				return
			}
			r := Raw{Seq: m.seq, Stored: m.stored.UTC(), Subject: m.msg.Subject(), Header: m.msg.Headers(), Data: m.msg.Data()}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// ErrNoEvent: the stream holds no event of this sequence.
var ErrNoEvent = errors.New("the log holds no event of this sequence")

// At reads one event of the stream; ErrNoEvent if it does not hold it.
func (l *Log) At(ctx context.Context, seq uint64) (Raw, error) {
	m, err := l.stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Raw{}, ErrNoEvent
	}
	if err != nil {
		return Raw{}, fmt.Errorf("read sequence %d of the log: %w", seq, denied(l.nc, err))
	}
	return Raw{Seq: m.Sequence, Stored: m.Time.UTC(), Subject: m.Subject, Header: m.Header, Data: m.Data}, nil
}
