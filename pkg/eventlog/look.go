package eventlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// look tells whether the chain holds an event of that id beyond after, and sees
// to it that c knows the chain's end, so that a publish may follow. The caller
// holds the chain's turn.
func (l *Log) look(ctx context.Context, c *chain, id string, after uint64) (seq uint64, found bool, err error) {
	if err := l.learn(ctx, c, after); err != nil {
		return 0, false, err
	}
	seq, hit := c.ids[l.chains.hash(id)]
	if !hit {
		return 0, false, nil
	}
	stored, err := l.stream.GetMsg(ctx, seq)
	if err != nil {
		return 0, false, err
	}
	if stored.Header.Get(jetstream.MsgIDHeader) == id {
		return seq, true, nil
	}
	// Two ids share a hash: only reading tells.
	err = l.scan(ctx, c.subject, after, c.to, func(m scanned) {
		if m.id == id {
			seq, found = m.seq, true
		}
	})
	return seq, found, err
}

// learn reads what c has to know for a look behind that begins after `after`:
// all of the chain from there to its end.
func (l *Log) learn(ctx context.Context, c *chain, after uint64) error {
	if !c.primed || c.stale {
		end, err := l.lastOf(ctx, c.subject)
		if err != nil {
			return err
		}
		last := end.Sequence
		if c.primed && last < c.to {
			// Chains only grow, so this is another stream of the same name, or one
			// that an operator has trimmed. Nothing we knew holds.
			l.chains.forget(c)
		}
		if !c.primed {
			c.from, c.to = min(after, last), min(after, last)
			c.primed = true
		}
		if err := l.extendUp(ctx, c, last); err != nil {
			return err
		}
		c.stale = false
	}
	if after < c.from {
		return l.extendDown(ctx, c, after)
	}
	return nil
}

// extendUp reads (c.to, last]. On an error c keeps what it knew, and stays stale.
func (l *Log) extendUp(ctx context.Context, c *chain, last uint64) error {
	c.stale = true
	var news []scanned
	if err := l.scan(ctx, c.subject, c.to, last, func(m scanned) { news = append(news, m) }); err != nil {
		return err
	}
	for _, m := range news {
		l.chains.add(c, m.id, m.seq)
	}
	if last > c.to {
		c.to, c.placed = last, false
	}
	return nil
}

// extendDown reads (after, c.from].
func (l *Log) extendDown(ctx context.Context, c *chain, after uint64) error {
	newer := c.order
	var older []scanned
	if err := l.scan(ctx, c.subject, after, c.from, func(m scanned) { older = append(older, m) }); err != nil {
		return err
	}
	c.order = make([]uint64, 0, len(older)+len(newer))
	for _, m := range older {
		// A newer message of the same hash keeps its place in ids.
		if _, taken := c.ids[l.chains.hash(m.id)]; !taken {
			l.chains.add(c, m.id, m.seq)
		}
	}
	c.order = append(c.order, newer...)
	c.from = after
	return nil
}

// lastOf gives the last message of a chain, one with sequence 0 if it has none.
func (l *Log) lastOf(ctx context.Context, chain string) (*jetstream.RawStreamMsg, error) {
	m, err := l.stream.GetLastMsgForSubject(ctx, chain)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return &jetstream.RawStreamMsg{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the end of %s: %w", chain, denied(l.nc, err))
	}
	return m, nil
}

// scanned is what a look behind needs of a message.
type scanned struct {
	seq uint64
	id  string
}

// singleReads is how many messages a scan asks for one by one before it takes a
// consumer, which costs a few calls but then streams.
const singleReads = 16

// scan calls fn for the messages of a chain in (lo, hi], in order.
func (l *Log) scan(ctx context.Context, chain string, lo, hi uint64, fn func(scanned)) error {
	next := lo + 1
	for range singleReads {
		if next > hi {
			return nil
		}
		m, err := l.stream.GetMsg(ctx, next, jetstream.WithGetMsgSubject(chain))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s from sequence %d: %w", chain, next, denied(l.nc, err))
		}
		if m.Sequence > hi {
			return nil
		}
		fn(scanned{m.Sequence, m.Header.Get(jetstream.MsgIDHeader)})
		next = m.Sequence + 1
	}
	return l.scanOn(ctx, chain, next, hi, fn)
}

// scanOn is the rest of a scan that is too long for single reads.
func (l *Log) scanOn(ctx context.Context, chain string, from, hi uint64, fn func(scanned)) error {
	if from > hi {
		return nil
	}
	for m, err := range l.messages(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{chain},
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:    from,
		HeadersOnly:    true,
	}, hi, false) {
		if err != nil {
			return fmt.Errorf("read %s from sequence %d: %w", chain, from, err)
		}
		fn(scanned{m.seq, m.msg.Headers().Get(jetstream.MsgIDHeader)})
	}
	return nil
}
