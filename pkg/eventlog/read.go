package eventlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/openblotter/blotter/pkg/dms"
)

// Filter chooses events; a zero field chooses all.
type Filter struct {
	Table   dms.TableID
	Service string
	Event   string // the message's own name, such as "FilesPublished"
	// FromSeq and UntilSeq, From and Until are inclusive; times are the server's
	// times of storing.
	FromSeq, UntilSeq uint64
	From, Until       time.Time
	// Follow goes on with new events until the context ends.
	Follow bool
}

// Read yields the chosen events in the order of the log. It ends at what is the
// log's end when it begins, or never if f.Follow is set; an error is yielded last.
// Breaking off is fine at any place. It disturbs no consumer. Where the stream was
// trimmed it begins in the archive (see WithArchive); without one, where the stream does.
// If the stream lacks some of what was to be read, all that is there comes before a
// *MissingError. A read of one table or event finds that out if it is one of the whole log.
func (l *Log) Read(ctx context.Context, f Filter) iter.Seq2[Record, error] {
	cfg := f.consumer(l.partitions)
	return func(yield func(Record, error) bool) {
		until := f.UntilSeq
		p, err := l.begin(ctx, cfg.FilterSubjects, f)
		if err != nil {
			yield(Record{}, err)
			return
		}
		if !l.readTrimmed(ctx, f, p.first, yield) {
			return
		}
		if !f.Follow {
			if until == 0 || until > p.last {
				until = p.last
			}
			if until == 0 || f.FromSeq > until {
				return
			}
		}
		for m, err := range l.messages(ctx, cfg, until, f.Follow) {
			if err != nil {
				yield(Record{}, fmt.Errorf("read the log: %w", err))
				return
			}
			p.pass(m.seq)
			if !f.From.IsZero() && m.stored.Before(f.From) {
				continue
			}
			if !f.Until.IsZero() && m.stored.After(f.Until) {
				until = m.seq
				break
			}
			if !f.wants(m.msg.Subject()) {
				continue
			}
			rec, err := decodeRecord(m.seq, m.stored, m.msg.Subject(), m.msg.Data())
			if !yield(rec, err) || err != nil {
				return
			}
		}
		err = l.stillFrom(ctx, p.first)
		if err == nil {
			err = p.end(ctx, until)
		}
		if err != nil {
			yield(Record{}, err)
		}
	}
}

// consumer is the temporary consumer of a read.
func (f Filter) consumer(n Partitions) jetstream.OrderedConsumerConfig {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: n.filters(f)}
	switch {
	case f.FromSeq > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, f.FromSeq
	case !f.From.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &f.From
	default:
		cfg.DeliverPolicy = jetstream.DeliverAllPolicy
	}
	return cfg
}

// begins gives the sequence with which a read begins of a stream that begins with first; 0
// if it begins at a time.
func (f Filter) begins(first uint64) uint64 {
	if f.FromSeq == 0 && !f.From.IsZero() {
		return 0
	}
	return max(f.FromSeq, first)
}

// wants reports whether a message is one that the reader, not the server, has to
// choose: see filterSubjects. A subject that cannot be read is wanted, so that
// it is told.
func (f Filter) wants(subject string) bool {
	if f.Service == "" || !f.Table.IsZero() || f.Event != "" {
		return true
	}
	addr, err := ParseSubject(subject)
	return err != nil || addr.Service == f.Service
}

// stored is a message of a read.
type stored struct {
	seq    uint64
	stored time.Time
	msg    jetstream.Msg
}

// readAhead is how many messages a read keeps in memory.
const readAhead = 2000

// messages yields what a temporary consumer gives, up to sequence until (0: no
// bound), and ends when nothing is left that the server can give unless follow is set.
func (l *Log) messages(ctx context.Context, cfg jetstream.OrderedConsumerConfig, until uint64, follow bool) iter.Seq2[stored, error] {
	cfg.InactiveThreshold = 30 * time.Second
	cfg.MaxResetAttempts = 1 // else the client tries for ever, whatever becomes of ctx
	return func(yield func(stored, error) bool) {
		begun := false
		for stalls := 0; ; {
			before := cfg.OptStartSeq
			done, err := l.someMessages(ctx, &cfg, until, follow, yield, &begun)
			if done {
				return
			}
			if stalls++; cfg.OptStartSeq > before {
				stalls = 0
			}
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			// What ends a read in the beginning is waited for in the middle, such as a server
			// that restarts; by who follows for as long as it takes.
			if ctx.Err() != nil || !begun || stalls >= patience && !follow {
				yield(stored{}, err)
				return
			}
			if !errors.Is(err, errStalled) {
				l.pause(ctx)
			}
		}
	}
}

// pause waits a little before something is tried again.
func (l *Log) pause(ctx context.Context) {
	timer := time.NewTimer(l.cfg.CallTimeout / quietPart)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// someMessages is messages by one consumer, and notes that it has begun once there is one. It
// reports whether that was all; if not, cfg says where the next one begins, and an error why.
func (l *Log) someMessages(ctx context.Context, cfg *jetstream.OrderedConsumerConfig, until uint64, follow bool, yield func(stored, error) bool, begun *bool) (done bool, err error) {
	cons, err := l.stream.OrderedConsumer(ctx, *cfg)
	if err != nil {
		return false, denied(l.nc, err)
	}
	*begun = true
	defer l.drop(ctx, cons)
	if !follow && cons.CachedInfo().NumPending == 0 {
		return true, nil
	}
	it, err := cons.Messages(jetstream.PullMaxMessages(readAhead))
	if err != nil {
		return false, err
	}
	defer it.Stop()
	w := waiter{it: it, quiet: l.cfg.CallTimeout / quietPart}
	defer w.stop()
	for {
		msg, err := l.next(ctx, &w, *cfg, until, follow)
		if errors.Is(err, errNoMore) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return false, err
		}
		seq := meta.Sequence.Stream
		if until > 0 && seq > until {
			return true, nil
		}
		if !yield(stored{seq, meta.Timestamp, msg}, nil) {
			return true, nil
		}
		if seq == until || !follow && meta.NumPending == 0 {
			return true, nil
		}
		cfg.DeliverPolicy, cfg.OptStartSeq, cfg.OptStartTime = jetstream.DeliverByStartSequencePolicy, seq+1, nil
	}
}

var (
	// errNoMore: the server can give no further message of those that it counts.
	errNoMore = errors.New("no more messages")
	// errStalled: the consumer gives nothing although there is more, as one does whose
	// server ended.
	errStalled = errors.New("the server gave no message for some time, although it holds more")
)

// A read that is given nothing for a part of Config.CallTimeout, although the server counts
// more, asks for it by itself. If that is there, it waits for it this many times as long,
// and then has another consumer begin, this often in a row at most.
const (
	quietPart = 5
	quietAsks = 3
	patience  = 10
)

// waiter waits for messages, for a time at a time. All waits share a context and its timer,
// until that has run out: making them anew would cost a read of many messages a part of its
// time.
type waiter struct {
	it    jetstream.MessagesContext
	quiet time.Duration

	cancel context.CancelFunc // nil: there is no context
	timer  *time.Timer
	option jetstream.NextOpt
}

// next gives the next message, or errQuiet if none came in time.
func (w *waiter) next(ctx context.Context) (jetstream.Msg, error) {
	if w.cancel == nil {
		waiting, cancel := context.WithCancel(ctx)
		w.cancel, w.option, w.timer = cancel, jetstream.NextContext(waiting), time.AfterFunc(w.quiet, cancel)
	} else {
		w.timer.Reset(w.quiet)
	}
	msg, err := w.it.Next(w.option)
	if !w.timer.Stop() { // it ran out; else it stands still while the message is handled
		w.stop()
	}
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		err = errQuiet
	}
	return msg, err
}

func (w *waiter) stop() {
	if w.cancel != nil {
		w.timer.Stop()
		w.cancel()
		w.cancel = nil
	}
}

// errQuiet: no message came in time.
var errQuiet = errors.New("no message came in time")

// next waits for the next message of an iterator. Unless it is one to follow with, it does
// not wait for messages that the server cannot give: those that it finds damaged it passes
// over, and goes on to count them as pending. Waiting in parts keeps the client from
// missing the heartbeats of a consumer that is gone, hence errStalled.
func (l *Log) next(ctx context.Context, w *waiter, cfg jetstream.OrderedConsumerConfig, until uint64, follow bool) (jetstream.Msg, error) {
	if follow {
		return w.it.Next(jetstream.NextContext(ctx))
	}
	for asked := 1; ; asked++ {
		msg, err := w.next(ctx)
		if !errors.Is(err, errQuiet) {
			return msg, err
		}
		more, err := l.readable(ctx, cfg.FilterSubjects, cfg.OptStartSeq, until)
		switch {
		case err == nil && !more:
			return nil, errNoMore
		case ctx.Err() != nil || asked == quietAsks:
			return nil, errors.Join(errStalled, err)
		}
	}
}

// readable tells whether the server can give a message of one of the subjects, of all if
// there are none, from a sequence to another (0: no bound).
func (l *Log) readable(ctx context.Context, subjects []string, from, until uint64) (bool, error) {
	if len(subjects) == 0 {
		subjects = []string{allSubjects()}
	}
	for _, subject := range subjects {
		m, err := l.stream.GetMsg(ctx, max(from, 1), jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return false, denied(l.nc, err)
		}
		if until == 0 || m.Sequence <= until {
			return true, nil
		}
	}
	return false, nil
}

// drop removes a temporary consumer at once: waiting for the server to find it
// inactive would hold on to one of the stream's places for consumers.
func (l *Log) drop(ctx context.Context, cons jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.cfg.CallTimeout)
	defer cancel()
	err := l.stream.DeleteConsumer(ctx, cons.CachedInfo().Name)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		l.log.DebugContext(ctx, "temporary consumer is left to the server", "error", err)
	}
}
