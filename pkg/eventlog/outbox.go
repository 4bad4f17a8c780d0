package eventlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Flush brings an outbox into the log: it publishes, by (version, index), those
// envelopes that lie beyond the last one of the chain of table and service. When
// it returns nil, all of them are in the log, once and in order, whoever put them
// there. It may be called by several replicas at once, and with an outbox that was
// flushed long ago. Its condition is the one of control.Store: a newer outbox is
// decided only after the older one was flushed. Errors are those of PublishOnce.
func (l *Log) Flush(ctx context.Context, table dms.TableID, service string, envelopes []*blotterv1.Envelope) error {
	if len(envelopes) == 0 {
		return nil
	}
	outbox, err := sortedOutbox(table, envelopes)
	if err != nil {
		return Permanent(fmt.Errorf("flush the outbox of %s: %w", table, err))
	}
	c := l.chains.get(l.partitions.chain(table, service))
	if err := c.acquire(ctx); err != nil {
		return err
	}
	defer c.release()
	conflicts := 0
	for len(outbox) > 0 {
		if err := l.place(ctx, c); err != nil {
			return fmt.Errorf("flush the outbox of %s: %w", table, err)
		}
		if !beyond(outbox[0], c.version, c.index) {
			outbox = outbox[1:]
			continue
		}
		if joins, err := l.joins(ctx, c, outbox[0]); err != nil {
			return err
		} else if !joins {
			continue // more is known of the chain now
		}
		msg, _, err := l.message(ctx, service, outbox[0])
		if err != nil {
			return err
		}
		_, err = l.append(ctx, c, msg, outbox[0], 0)
		if err != nil && (!errors.Is(err, ErrConflict) || conflicts == maxLooks) {
			return err
		}
		if err != nil {
			conflicts++
		}
	}
	return nil
}

// ErrSetBack: the log ends before events that were in it, by the control store or the archive.
var ErrSetBack = errors.New("the log was lost or set back")

// joins tells whether an envelope follows what is known of the chain's end. If not, it learns
// the end anew, since another replica may have said more; it fails if a version lies between
// all the same, which was said before this one was decided.
func (l *Log) joins(ctx context.Context, c *chain, next *blotterv1.Envelope) (bool, error) {
	if next.GetVersion() <= c.version+1 {
		return true, nil
	}
	c.stale = true
	if err := l.place(ctx, c); err != nil || next.GetVersion() <= c.version+1 {
		return false, err
	}
	first, _, err := l.Bounds(ctx)
	if err != nil {
		return false, err
	}
	if c.version == 0 && first > 1 {
		return true, nil // all of the chain was trimmed
	}
	return false, Permanent(fmt.Errorf("%w: %s ends with version %d, and %d is to be said next; restore the stream from a backup", ErrSetBack, c.subject, c.version, next.GetVersion()))
}

// place learns the version and index at the chain's end, unless they are known.
func (l *Log) place(ctx context.Context, c *chain) error {
	if c.primed && c.placed && !c.stale {
		return nil
	}
	l.chains.forget(c)
	last, err := l.lastOf(ctx, c.subject)
	if err != nil {
		return err
	}
	c.from, c.to, c.version, c.index = last.Sequence, last.Sequence, 0, 0
	if last.Sequence > 0 {
		env, err := Decode(last.Data)
		if err != nil {
			return Permanent(fmt.Errorf("event at sequence %d: %w", last.Sequence, err))
		}
		c.version, c.index = env.GetVersion(), env.GetIndex()
	}
	c.primed, c.placed = true, true
	return nil
}

func beyond(env *blotterv1.Envelope, version uint64, index uint32) bool {
	return cmp.Or(cmp.Compare(env.GetVersion(), version), cmp.Compare(env.GetIndex(), index)) > 0
}

// sortedOutbox copies the outbox in order and refuses one that cannot be: without
// versions, or with a place taken twice.
func sortedOutbox(table dms.TableID, envelopes []*blotterv1.Envelope) ([]*blotterv1.Envelope, error) {
	out := slices.Clone(envelopes)
	slices.SortFunc(out, func(a, b *blotterv1.Envelope) int {
		return cmp.Or(cmp.Compare(a.GetVersion(), b.GetVersion()), cmp.Compare(a.GetIndex(), b.GetIndex()))
	})
	for i, e := range out {
		switch {
		case e.GetTable() != table.String():
			return nil, fmt.Errorf("envelope %s is of table %q", e.GetId(), e.GetTable())
		case e.GetVersion() == 0:
			return nil, fmt.Errorf("envelope %s has no version", e.GetId())
		case i > 0 && !beyond(e, out[i-1].GetVersion(), out[i-1].GetIndex()):
			return nil, fmt.Errorf("envelopes %s and %s have one version and index", out[i-1].GetId(), e.GetId())
		}
	}
	return out, nil
}
