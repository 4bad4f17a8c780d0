package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/objects"
)

// Verify says what an archive is held to.
type Verify struct {
	Bucket objects.Bucket
	// Keys are believed, and nothing else is.
	Keys Keys
	// Kept are signed checkpoints that were kept elsewhere: the archive must extend
	// each. Without one, an archive whose newest spans were taken away, checkpoints and
	// all, is a shorter archive and nothing else.
	Kept [][]byte
	// Known are checkpoints that somebody says there were; of each only origin, size and
	// root are looked at, and no signature. They are held to like those that were kept.
	Known []Checkpoint
	// Since is the signed checkpoint of an archive that was verified before: what comes
	// after it is proven, and that it extends it. The files before it are not looked at
	// again. Empty: everything is.
	Since []byte
	// Against is a log to compare with, as far as it reaches back; may be nil.
	Against Source
	// Before has Report.Older count; zero: it stays 0.
	Before time.Time
	// Progress is called after each span; may be nil.
	Progress func(Checkpoint)
}

// Report is what an archive proved to be.
type Report struct {
	Origin string `json:"origin"`
	Spans  uint64 `json:"spans"`
	Size   uint64 `json:"size"` // leaves: the last sequence
	// Since is the last sequence that was not looked at, see Verify.Since; what follows
	// here counts what comes after it.
	Since  uint64    `json:"since,omitempty"`
	Events uint64    `json:"events"`
	Oldest time.Time `json:"oldest,omitzero"`
	Newest time.Time `json:"newest,omitzero"`
	// Gaps are sequences at which the log held nothing when it was archived.
	Gaps uint64 `json:"gaps"`
	// FirstGap is the first of them, 0 without any.
	FirstGap uint64 `json:"first_gap,omitempty"`
	// Compared counts the leaves that were compared with the log, Unarchived the events
	// that the log has beyond the archive.
	Compared   uint64 `json:"compared,omitempty"`
	Unarchived uint64 `json:"unarchived,omitempty"`
	// Unsigned is a file that a writer has left without signing it; no part of the
	// archive yet. Empty if there is none.
	Unsigned string `json:"unsigned,omitempty"`
	// Checkpoint is the last one, signed, to be kept.
	Checkpoint string `json:"checkpoint,omitempty"`

	// Older is the sequence up to which everything was stored before Verify.Before.
	Older uint64 `json:"-"`

	last *Checkpoint
}

// Head is the last checkpoint; only of a report without error.
func (r *Report) Head() Checkpoint { return *r.last }

// Run proves the archive from its first byte (or from Since) to its last: each checkpoint is signed by
// one of the keys, each file has the hash that was signed, all leaves are there in their
// order, and each checkpoint's tree extends the one before. It holds one span in memory
// at a time. The error is *Wrong for what is not as it was signed, naming the object and
// the sequence; *LogDiffers if the log is not what was archived; any other if it could
// not look.
func (v Verify) Run(ctx context.Context) (*Report, error) { return v.run(ctx, nil) }

// run has each be told of every leaf; each may be nil.
func (v Verify) run(ctx context.Context, each func(Leaf) error) (*Report, error) {
	r := &Report{}
	kept, err := v.kept()
	if err != nil {
		return r, err
	}
	if err := v.objects(ctx, r); err != nil {
		return r, err
	}
	w := &walker{store: store{v.Bucket, v.Keys}, tree: newTree()}
	if err := v.since(ctx, w, r, kept); err != nil {
		return r, err
	}
	if v.Against != nil {
		if w.live, err = newCursor(ctx, v.Against, r.Since+1); err != nil {
			return r, err
		}
		defer w.live.close()
	}
	w.leaf = func(l Leaf, _ row, _ []byte) error {
		r.note(l, w.live)
		if r.Older == l.Seq-1 && (l.Gap || l.Stored.Before(v.Before)) {
			r.Older = l.Seq
		}
		if each != nil {
			if err := each(l); err != nil {
				return err
			}
		}
		return holdTo(kept, w.tree, r)
	}
	w.span = func(c Checkpoint, signed []byte) error {
		r.Checkpoint = string(signed)
		if v.Progress != nil {
			v.Progress(c)
		}
		return nil
	}
	first := uint64(0)
	if r.last != nil {
		first = r.last.Span.Number + 1
	}
	for n := first; n < r.Spans; n++ {
		if r.last, err = w.step(ctx, n, r.last); err != nil {
			return r, err
		}
		r.Origin = r.last.Origin
	}
	if err := v.end(r, kept, w.live); err != nil {
		return r, err
	}
	if w.live != nil && w.live.last < r.Size {
		w.differ(w.live.last+1, r.Size, fmt.Sprintf("it holds nothing: it ends at %d", w.live.last))
	}
	if w.differs != nil {
		return r, w.differs
	}
	return r, nil
}

// since begins the walk behind the checkpoint that was verified before. Its tree is that
// of the span's file, which must give the root.
func (v Verify) since(ctx context.Context, w *walker, r *Report, kept []Checkpoint) error {
	if len(v.Since) == 0 {
		return nil
	}
	known, err := OpenKept(v.Since, v.Keys)
	if err != nil {
		return fmt.Errorf("the checkpoint to begin behind: %w", err)
	}
	if known.Span.Number >= r.Spans {
		return wrong("", 0, "it has %d spans, and was verified up to sequence %d of span %d: what was archived last was taken away", r.Spans, known.Size, known.Span.Number)
	}
	for _, k := range kept[len(v.Known):] {
		if k.Size < known.Size {
			return fmt.Errorf("the checkpoint of %d events cannot be compared where only what comes after %d is looked at: verify all", k.Size, known.Size)
		}
	}
	c, signed, err := w.store.checkpoint(ctx, known.Span.Number)
	if err != nil {
		return err
	}
	if c.text() != known.text() {
		return wrong(keyOfCheckpoint(c.Span.Number), 0, "it is another one than was verified before: what it tells of was signed anew")
	}
	f, err := w.store.span(ctx, c)
	if err != nil {
		return err
	}
	if w.tree, err = f.tree(c); err != nil {
		return err
	}
	r.Origin, r.Size, r.Since, r.Checkpoint, r.last = c.Origin, c.Size, c.Size, string(signed), &c
	return holdTo(kept, w.tree, r)
}

func (r *Report) note(l Leaf, live *cursor) {
	r.Size = l.Seq
	if live != nil {
		r.Compared = live.given
	}
	if l.Gap {
		if r.Gaps++; r.FirstGap == 0 {
			r.FirstGap = l.Seq
		}
		return
	}
	r.Events++
	if r.Oldest.IsZero() || l.Stored.Before(r.Oldest) {
		r.Oldest = l.Stored
	}
	if l.Stored.After(r.Newest) {
		r.Newest = l.Stored
	}
}

// kept gives the checkpoints to hold to; those that are known come first.
func (v Verify) kept() ([]Checkpoint, error) {
	out := slices.Clone(v.Known)
	for i, signed := range v.Kept {
		c, err := OpenKept(signed, v.Keys)
		if err != nil {
			return nil, fmt.Errorf("checkpoint %d of those that were kept: %w", i+1, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// holdTo compares the tree with the kept checkpoints of its size.
func holdTo(kept []Checkpoint, t *tree, r *Report) error {
	for _, c := range kept {
		if c.Size != t.size() {
			continue
		}
		root, err := t.root()
		if err != nil {
			return fmt.Errorf("the root of the tree: %w", err)
		}
		if !bytes.Equal(root, c.Root[:]) {
			return wrong("", r.Size, "the checkpoint that was kept, of %d events, has another root: the events before it were signed anew", c.Size)
		}
	}
	return nil
}

// end compares the end of the archive with what is known of it from elsewhere.
func (v Verify) end(r *Report, kept []Checkpoint, live *cursor) error {
	for _, c := range kept {
		if c.Size > r.Size {
			return wrong("", r.Size+1, "it ends at sequence %d, the checkpoint that was kept at %d: what was archived last was taken away", r.Size, c.Size)
		}
		if c.Origin != r.Origin {
			return wrong("", 0, "it is of the log %q, the checkpoint that was kept of %q", r.Origin, c.Origin)
		}
	}
	switch {
	case live == nil:
	case live.first > r.Size+1:
		return wrong("", r.Size+1, "it ends at sequence %d, and the log begins at %d: what was archived last was taken away, or the log was purged of what was not archived", r.Size, live.first)
	case live.last > r.Size:
		r.Unarchived = live.last - r.Size
	}
	return nil
}

// maxLists bounds how often the objects are listed: a list is no snapshot, so that one
// that is made while a writer is at work may show a later object without an earlier one.
const maxLists = 3

// objects looks at what objects the archive has: numbers without gaps, and nothing
// beside them. It counts the spans.
func (v Verify) objects(ctx context.Context, r *Report) error {
	return listed(ctx, v.Bucket, r, v.published)
}

// Objects looks whether an archive has all of its objects, by their names alone, and none
// beside them: *Wrong if not, ErrEmpty if there is none. It reads nothing, so that it proves
// nothing.
func Objects(ctx context.Context, bucket objects.Bucket) error {
	return listed(ctx, bucket, &Report{}, func(context.Context, string) error { return nil })
}

func listed(ctx context.Context, bucket objects.Bucket, r *Report, published func(context.Context, string) error) error {
	var err error
	for range maxLists {
		r.Spans, r.Unsigned = 0, ""
		err = list(ctx, bucket, r, published)
		var bad *Wrong
		if !errors.As(err, &bad) {
			break
		}
	}
	return err
}

func list(ctx context.Context, bucket objects.Bucket, r *Report, published func(context.Context, string) error) error {
	var spans, checkpoints uint64
	for info, err := range bucket.List(ctx, "") {
		if err != nil {
			return fmt.Errorf("list the archive: %w", err)
		}
		switch key := info.Key; {
		case key == keyOfCheckpoint(checkpoints):
			checkpoints++
		case key == keyOfSpan(spans):
			spans++
		case strings.HasPrefix(key, publishedKeys):
			if err := published(ctx, key); err != nil {
				return err
			}
		case strings.HasPrefix(key, checkpointsPrefix):
			return wrong(keyOfCheckpoint(checkpoints), 0, "it is missing; the next object there is %s", key)
		case strings.HasPrefix(key, spansPrefix):
			return wrong(keyOfSpan(spans), 0, "it is missing; the next object there is %s", key)
		default:
			return wrong(key, 0, "no writer has written it")
		}
	}
	switch {
	case spans < checkpoints:
		return wrong(keyOfSpan(spans), 0, "it is missing, though its checkpoint is there")
	case spans > checkpoints+1:
		return wrong(keyOfCheckpoint(checkpoints), 0, "it is missing, though %d spans are there", spans)
	case spans == checkpoints+1:
		r.Unsigned = keyOfSpan(checkpoints)
	}
	r.Spans = checkpoints
	if checkpoints == 0 {
		return ErrEmpty
	}
	return nil
}

// ErrEmpty: there is no archive at the place.
var ErrEmpty = errors.New("there is no archive: nothing was written yet, or this is not its place")

// published holds a key that lies in the archive to those that are believed: the tools
// that only look take what they find there.
func (v Verify) published(ctx context.Context, key string) error {
	b, err := (store{v.Bucket, v.Keys}).get(ctx, key, maxCheckpoint)
	if err != nil {
		return err
	}
	for _, text := range v.Keys.texts {
		if string(b) == text+"\n" {
			return nil
		}
	}
	return wrong(key, 0, "it is not one of the verifier keys that were given (those who look at the archive without a key of their own would believe it)")
}
