package archive

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
)

// cursor gives the leaves of a log, one after the other. A nil one gives none.
type cursor struct {
	log  Source
	next func() (Leaf, error, bool)
	stop func()
	at   uint64 // the sequence that next gives
	last uint64
	// first is where the log begins.
	first uint64
	// given counts the leaves that were given.
	given uint64
}

// newCursor begins at a sequence, or where the log begins.
func newCursor(ctx context.Context, log Source, from uint64) (*cursor, error) {
	first, last, err := log.Bounds(ctx)
	if err != nil {
		return nil, err
	}
	c := &cursor{log: log, at: max(first, from), first: first, last: last}
	c.next, c.stop = iter.Pull2(leaves(ctx, log, c.at, last))
	return c, nil
}

func (c *cursor) close() {
	if c != nil {
		c.stop()
	}
}

// hash gives the hash of the leaf at a sequence; nil if the log does not reach there.
// Sequences only grow from call to call.
func (c *cursor) hash(seq uint64) ([]byte, error) {
	if c == nil || seq < c.at || seq > c.last {
		return nil, nil
	}
	for {
		l, err, ok := c.next()
		if err != nil || !ok {
			return nil, err
		}
		c.at++
		if l.Seq == seq {
			c.given++
			return l.Hash(), nil
		}
	}
}

// walker goes through an archive from its beginning and proves every step of it.
type walker struct {
	store store
	tree  *tree
	live  *cursor // may be nil
	// leaf is called for each leaf, in order, before the root of its span is proven;
	// span after it is. Either may be nil.
	leaf func(Leaf, row, []byte) error
	span func(Checkpoint, []byte) error
}

// step proves the next span: its checkpoint is signed, its file has the hash that was
// signed, the tree with its leaves has the root that was signed. before is the
// checkpoint of the span before; nil for the first.
func (w *walker) step(ctx context.Context, number uint64, before *Checkpoint) (*Checkpoint, error) {
	c, signed, err := w.store.checkpoint(ctx, number)
	if err != nil {
		return nil, err
	}
	key := keyOfCheckpoint(number)
	switch {
	case before != nil && c.Origin != before.Origin:
		return nil, wrong(key, 0, "it is of the log %q, the one before it of %q", c.Origin, before.Origin)
	case c.Span.First != w.tree.size()+1:
		return nil, wrong(key, 0, "its span begins at sequence %d, the one before it ends at %d", c.Span.First, w.tree.size())
	}
	b, err := w.store.spanBytes(ctx, c)
	if err != nil {
		return nil, err
	}
	f, err := checkedSpan(b, c, w.live)
	if err != nil {
		return nil, err
	}
	if err := w.leaves(ctx, f, c); err != nil {
		return nil, err
	}
	if w.span != nil {
		err = w.span(c, signed)
	}
	return &c, err
}

// leaves proves the leaves of a span.
func (w *walker) leaves(ctx context.Context, f *spanFile, c Checkpoint) error {
	key := keyOfSpan(c.Span.Number)
	span := Span{Number: c.Span.Number, First: c.Span.First, Last: c.Span.First - 1, SHA256: c.Span.SHA256}
	var differs error
	for r, err := range f.rows() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("read %s of the archive: %w", key, err)
		}
		l, err := r.leaf()
		if err != nil {
			return wrong(key, span.Last+1, "%s", err)
		}
		if l.Seq != span.Last+1 {
			return wrong(key, span.Last+1, "there is the leaf of sequence %d", l.Seq)
		}
		hash := l.Hash()
		if want, err := newRow(l, hash); err != nil || !want.equal(&r) {
			return wrong(key, l.Seq, "its columns say something else than the event in it")
		}
		if differs == nil {
			said, err := w.live.hash(l.Seq)
			if err != nil {
				return err
			}
			if said != nil && !bytes.Equal(said, hash) {
				differs = &LogDiffers{Seq: l.Seq, What: "it holds another event there than was archived and signed"}
			}
		}
		span.note(l)
		if err := w.tree.append(hash); err != nil {
			return fmt.Errorf("grow the tree: %w", err)
		}
		if w.leaf != nil {
			if err := w.leaf(l, r, hash); err != nil {
				return err
			}
		}
	}
	root, err := w.tree.root()
	if err != nil {
		return fmt.Errorf("the root of the tree: %w", err)
	}
	switch {
	case span.Last != c.Span.Last:
		return wrong(key, span.Last+1, "its leaves end at sequence %d, %d was signed", span.Last, c.Span.Last)
	case !bytes.Equal(root, c.Root[:]):
		return wrong(key, 0, "its leaves do not give the root that was signed")
	case timeText(span.Oldest) != timeText(c.Span.Oldest) || timeText(span.Newest) != timeText(c.Span.Newest):
		return wrong(key, 0, "the times of its events are others than its checkpoint says")
	case !slices.EqualFunc(w.tree.frontier(), f.info.Frontier, bytes.Equal):
		return wrong(key, 0, "its frontier is not that of the tree")
	}
	return differs
}

// LogDiffers: the log is not what was archived of it.
type LogDiffers struct {
	Seq  uint64
	What string
}

// Error implements error.
func (d *LogDiffers) Error() string {
	return fmt.Sprintf("the log is not what was archived, from sequence %d on: %s", d.Seq, d.What)
}
