package archive

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
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

// leaf gives the leaf at a sequence; ok tells that the log reaches there. Sequences only
// grow from call to call.
func (c *cursor) leaf(seq uint64) (_ Leaf, ok bool, err error) {
	if c == nil || seq < c.at || seq > c.last {
		return Leaf{}, false, nil
	}
	for {
		l, err, ok := c.next()
		if err != nil || !ok {
			return Leaf{}, false, err
		}
		c.at++
		if l.Seq == seq {
			c.given++
			return l, true, nil
		}
	}
}

// walker goes through an archive from its beginning and proves every step of it.
type walker struct {
	store store
	tree  *tree
	live  *cursor // may be nil
	// differs collects where the log is not what was archived; nil: it is.
	differs *LogDiffers
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
		if err := w.compare(l, hash); err != nil {
			return err
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
	return nil
}

// compare holds the log to a leaf.
func (w *walker) compare(l Leaf, hash []byte) error {
	said, there, err := w.live.leaf(l.Seq)
	switch {
	case err != nil || !there || bytes.Equal(said.Hash(), hash):
		return err
	case said.Gap:
		w.differ(l.Seq, l.Seq, "it lacks what was archived")
	case l.Gap:
		w.differ(l.Seq, l.Seq, "it holds an event where none was archived")
	default:
		w.differ(l.Seq, l.Seq, "it holds another event than was archived and signed")
	}
	return nil
}

func (w *walker) differ(first, last uint64, what string) {
	if w.differs == nil {
		w.differs = &LogDiffers{}
	}
	w.differs.add(first, last, what)
}

// maxPlaces bounds the places that a LogDiffers names.
const maxPlaces = 20

// LogDiffers: the log is not what was archived of it.
type LogDiffers struct {
	Places []Place // in order, at most maxPlaces
	Total  uint64  // sequences in all
}

// Place is where the log differs, and how. Sequences that follow each other are one.
type Place struct {
	First, Last uint64
	What        string
}

func (d *LogDiffers) add(first, last uint64, what string) {
	d.Total += last - first + 1
	n := len(d.Places)
	switch {
	case n > 0 && d.Places[n-1].Last+1 == first && d.Places[n-1].What == what:
		d.Places[n-1].Last = last
	case n < maxPlaces:
		d.Places = append(d.Places, Place{first, last, what})
	}
}

// Error implements error.
func (d *LogDiffers) Error() string {
	var b strings.Builder
	fmt.Fprint(&b, "the log is not what was archived: ")
	named := uint64(0)
	for i, p := range d.Places {
		if i > 0 {
			b.WriteString("; ")
		}
		if p.First == p.Last {
			fmt.Fprintf(&b, "at sequence %d %s", p.First, p.What)
		} else {
			fmt.Fprintf(&b, "at sequences %d to %d %s", p.First, p.Last, p.What)
		}
		named += p.Last - p.First + 1
	}
	if more := d.Total - named; more > 0 {
		fmt.Fprintf(&b, "; and at %d more", more)
	}
	return b.String()
}
