package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/objects"
)

// Source is the log that is archived. *eventlog.Log is one.
type Source interface {
	Bounds(ctx context.Context) (first, last uint64, err error)
	ReadRaw(ctx context.Context, from, until uint64) iter.Seq2[eventlog.Raw, error]
	At(ctx context.Context, seq uint64) (eventlog.Raw, error)
}

var _ Source = (*eventlog.Log)(nil)

// What a writer refuses to go on with.
var (
	// ErrOtherLog: the log is not the one that was archived.
	ErrOtherLog = errors.New("the log is not the one that this archive is of")
	// ErrNoPast: the log was trimmed, and the archive is empty.
	ErrNoPast = errors.New("the log was trimmed, and what was before is not in this archive")
	// ErrLacks: the log lacks an event, see Config.SignGaps.
	ErrLacks = errors.New("the log lacks an event, though none is ever deleted: its files were damaged")
	// ErrOtherKey: the archive was signed with a key that the writer does not know.
	ErrOtherKey = errors.New("the archive is signed with another key")
)

// Writer writes the archive of a log. It may die at any moment: what it left is taken
// up by the next one. Any number may write at once, with the same key: each object is
// written once, and who comes second goes on from what is there. Not for concurrent
// use.
type Writer struct {
	cfg    Config
	store  store
	signer note.Signer
	public string
	log    Source
	keepIn string // see KeepIn

	opened bool
	head   *Checkpoint // of the last span; nil: there is none
	tree   *tree       // up to the head
}

// NewWriter makes a writer with this signing key. older are verifier keys that have
// signed the beginning of the archive; empty if there were none.
func NewWriter(cfg Config, bucket objects.Bucket, log Source, secret, older string) (*Writer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	signer, err := ParseSigner(secret)
	if err != nil {
		return nil, err
	}
	public, err := PublicOf(secret)
	if err != nil {
		return nil, err
	}
	keys, err := ParseKeys(public + "\n" + older)
	if err != nil {
		return nil, err
	}
	return &Writer{cfg: cfg, store: store{bucket, keys}, signer: signer, public: public, log: log}, nil
}

// Begun reports whether a bucket holds an archive.
func Begun(ctx context.Context, bucket objects.Bucket) (bool, error) {
	n, err := store{bucket: bucket}.count(ctx)
	return n > 0, err
}

// Head gives the checkpoint of the last span; nil if there is none.
func (w *Writer) Head(ctx context.Context) (*Checkpoint, error) {
	err := w.open(ctx)
	return w.head, err
}

// open finds the end of the archive, and holds it to the log.
func (w *Writer) open(ctx context.Context) error {
	if w.opened {
		return nil
	}
	n, err := w.store.count(ctx)
	if err != nil {
		return err
	}
	w.head, w.tree = nil, newTree()
	if n == 0 {
		err = w.mayBegin(ctx)
	} else {
		err = w.goOnAfter(ctx, n-1)
	}
	w.opened = err == nil
	return err
}

// mayBegin refuses to begin the archive of a log that was trimmed.
func (w *Writer) mayBegin(ctx context.Context) error {
	if err := w.notTaken(0); err != nil {
		return err
	}
	if left, err := w.store.afterFirst(ctx); err != nil {
		return err
	} else if left != "" {
		return fmt.Errorf("%w: its first checkpoint is not there, and %s is; restore it from a copy, or move what is left of it away", ErrTaken, left)
	}
	first, _, err := w.log.Bounds(ctx)
	if err == nil && first > 1 {
		err = fmt.Errorf("%w: the log begins at sequence %d, and the archive is empty: it was lost, or is another one; restore it, or name its place (--audit)", ErrNoPast, first)
	}
	return err
}

// goOnAfter takes up the archive after its last span.
func (w *Writer) goOnAfter(ctx context.Context, number uint64) error {
	c, signed, err := w.store.checkpoint(ctx, number)
	var bad *Wrong
	if errors.As(err, &bad) {
		return fmt.Errorf("%w, or was changed; give its key in %s, and older ones in %s: %w", ErrOtherKey, KeyVariable, OlderVariable, err)
	}
	if err != nil {
		return err
	}
	if err := w.notTaken(c.Size); err != nil {
		return err
	}
	f, err := w.store.span(ctx, c)
	if err != nil {
		return err
	}
	t, err := f.tree(c)
	if err != nil {
		return err
	}
	if err := w.sameLog(ctx, f, c); err != nil {
		return err
	}
	w.head, w.tree = &c, t
	return w.keep(signed)
}

// sameLog compares the last archived leaf with the log, as far as it is there.
func (w *Writer) sameLog(ctx context.Context, f *spanFile, c Checkpoint) error {
	_, last, err := w.log.Bounds(ctx)
	if err != nil {
		return err
	}
	if last < c.Size {
		return fmt.Errorf("%w: it ends at sequence %d, the archive at %d: the log was lost or rolled back, which `blotter audit verify --against` shows", ErrOtherLog, last, c.Size)
	}
	event, err := w.log.At(ctx, c.Size)
	if errors.Is(err, eventlog.ErrNoEvent) {
		return nil // trimmed, or a gap
	}
	if err != nil {
		return err
	}
	var archived []byte
	for r, err := range f.rows() {
		if err != nil {
			return fmt.Errorf("read %s of the archive: %w", keyOfSpan(c.Span.Number), err)
		}
		if uint64(r.Sequence) != c.Size { //nolint:gosec // sequences count up from 1
			continue
		}
		if r.Gap {
			return nil // the stream was restored since: `audit verify --against` tells of it
		}
		archived = r.LeafHash[:]
	}
	if !bytes.Equal((Leaf{Raw: event}).Hash(), archived) {
		return fmt.Errorf("%w: the event at sequence %d differs, see `blotter audit verify --against`", ErrOtherLog, c.Size)
	}
	return nil
}

// Due reports whether a span is to be closed now: the log has more events than fit
// into one, or the oldest that is not archived is old enough.
func (w *Writer) Due(ctx context.Context, now time.Time) (bool, error) {
	if err := w.open(ctx); err != nil {
		return false, err
	}
	first, last, err := w.log.Bounds(ctx)
	if err != nil {
		return false, err
	}
	next := w.tree.size() + 1
	if next > last {
		return false, nil
	}
	if last-next+1 >= uint64(w.cfg.MaxEvents) { //nolint:gosec // Validate
		return true, nil
	}
	oldest, err := w.log.At(ctx, max(next, first))
	if errors.Is(err, eventlog.ErrNoEvent) {
		return true, nil // a gap is told soon
	}
	return now.Sub(oldest.Stored) >= w.cfg.MaxAge, err
}

// Next writes the next span, of what is in the log now. It gives the checkpoint, nil if
// the log holds nothing that is not archived. After an error call it again: it goes on
// from what is there.
func (w *Writer) Next(ctx context.Context) (_ *Checkpoint, err error) {
	defer func() {
		if err != nil {
			w.opened = false
		}
	}()
	if err := w.open(ctx); err != nil {
		return nil, err
	}
	number := uint64(0)
	if w.head != nil {
		number = w.head.Span.Number + 1
	}
	there, err := w.store.has(ctx, keyOfSpan(number))
	if err != nil {
		return nil, err
	}
	if !there {
		s, err := w.build(ctx, number)
		if err != nil || s == nil {
			return nil, err
		}
		file, err := s.finish(w.origin())
		if err == nil {
			err = w.store.put(ctx, keyOfSpan(number), file)
		}
		switch {
		case err == nil:
			return w.close(ctx, s.span, s.tree)
		case !errors.Is(err, objects.ErrExists):
			return nil, err
		}
	}
	span, t, err := w.adopt(ctx, number)
	if err != nil {
		return nil, err
	}
	return w.close(ctx, span, t)
}

func (w *Writer) origin() string {
	if w.head != nil {
		return w.head.Origin
	}
	return w.signer.Name()
}

// build makes the next span of the log; nil if there is nothing for one.
func (w *Writer) build(ctx context.Context, number uint64) (*spanWriter, error) {
	_, last, err := w.log.Bounds(ctx)
	if err != nil {
		return nil, err
	}
	next := w.tree.size() + 1
	if next > last {
		return nil, nil
	}
	until := min(last, next+uint64(w.cfg.MaxEvents)-1) //nolint:gosec // Validate
	t, err := w.tree.clone()
	if err != nil {
		return nil, fmt.Errorf("grow the tree: %w", err)
	}
	s := newSpanWriter(number, next, t)
	for l, err := range leaves(ctx, w.log, next, until) {
		if err != nil {
			return nil, err
		}
		if l.Gap && !w.cfg.SignGaps {
			if s.span.Last >= s.span.First {
				break // what comes before it is archived
			}
			return nil, fmt.Errorf("%w: sequence %d; restore the stream from a backup, or, if it is lost for good, have it signed as missing: `blotter audit archive --gaps`", ErrLacks, l.Seq)
		}
		if err := s.add(l); err != nil {
			return nil, err
		}
		if s.bytes >= w.cfg.MaxBytes {
			break
		}
	}
	return s, nil
}

// leaves yields what stands in the log at each sequence from first to last. That the
// log holds nothing at the ends of a gap is asked for once more: a gap that is signed
// is a gap for ever.
func leaves(ctx context.Context, log Source, first, last uint64) iter.Seq2[Leaf, error] {
	return func(yield func(Leaf, error) bool) {
		next := first
		gap := func(until uint64) bool {
			if next > until {
				return true
			}
			for _, seq := range []uint64{next, until} {
				if _, err := log.At(ctx, seq); !errors.Is(err, eventlog.ErrNoEvent) {
					if err == nil {
						err = fmt.Errorf("the log gave no event at sequence %d, and then one: try again", seq)
					}
					yield(Leaf{}, err)
					return false
				}
			}
			for ; next <= until; next++ {
				if !yield(Leaf{Raw: eventlog.Raw{Seq: next}, Gap: true}, nil) {
					return false
				}
			}
			return true
		}
		for r, err := range log.ReadRaw(ctx, first, last) {
			if err != nil {
				yield(Leaf{}, err)
				return
			}
			if !gap(r.Seq - 1) {
				return
			}
			next++
			if !yield(Leaf{Raw: r}, nil) {
				return
			}
		}
		gap(last)
	}
}

// adopt takes in a span's file that has no checkpoint: another writer died, or is just
// about to write it. It must hold what the log holds.
func (w *Writer) adopt(ctx context.Context, number uint64) (Span, *tree, error) {
	key := keyOfSpan(number)
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%s has no checkpoint, and is not what the log gives (%s): somebody else has written it; look at it, and move it away", key, fmt.Sprintf(format, args...))
	}
	b, err := w.store.get(ctx, key, maxSpanFile)
	if err != nil {
		return Span{}, nil, err
	}
	f, err := openForeign(b)
	if err != nil {
		return Span{}, nil, refuse("%s", err)
	}
	first, i := w.tree.size()+1, f.info
	rows := uint64(f.file.NumRows()) //nolint:gosec // not negative
	if i.Origin != w.origin() || i.Number != number || i.First != first || i.Last < first || rows != i.Last-first+1 {
		return Span{}, nil, refuse("its metadata: span %d of %s, sequences %d to %d in %d rows", i.Number, i.Origin, i.First, i.Last, rows)
	}
	t, err := w.tree.clone()
	if err != nil {
		return Span{}, nil, fmt.Errorf("grow the tree: %w", err)
	}
	next, stop := iter.Pull2(leaves(ctx, w.log, first, i.Last))
	defer stop()
	span := Span{Number: number, First: first, SHA256: sha256.Sum256(b)}
	for r, err := range f.rows() {
		if err != nil {
			return Span{}, nil, refuse("%s", err)
		}
		want, err, _ := next() // there are as many: the rows were counted
		if err != nil {
			return Span{}, nil, err
		}
		hash := want.Hash()
		if same, err := newRow(want, hash); err != nil || !same.equal(&r) {
			return Span{}, nil, refuse("the row of sequence %d", want.Seq)
		}
		span.note(want)
		if err := t.append(hash); err != nil {
			return Span{}, nil, fmt.Errorf("grow the tree: %w", err)
		}
	}
	if !sameHashes(t.frontier(), i.Frontier) {
		return Span{}, nil, refuse("its frontier")
	}
	return span, t, nil
}

func sameHashes(a, b [][]byte) bool {
	return bytes.Equal(bytes.Join(a, nil), bytes.Join(b, nil)) && len(a) == len(b)
}

// close signs what the archive is with this span, which makes it a part of it.
func (w *Writer) close(ctx context.Context, span Span, t *tree) (*Checkpoint, error) {
	root, err := t.root()
	if err != nil {
		return nil, fmt.Errorf("the root of the tree: %w", err)
	}
	c := Checkpoint{Origin: w.origin(), Size: t.size(), Span: span}
	copy(c.Root[:], root)
	signed, err := c.Sign(w.signer)
	if err != nil {
		return nil, err
	}
	if err := w.publishKey(ctx); err != nil {
		return nil, err
	}
	key := keyOfCheckpoint(span.Number)
	err = w.store.put(ctx, key, signed)
	if errors.Is(err, objects.ErrExists) {
		// The signature has no chance in it: another writer with this key wrote the same.
		var same bool
		if same, err = w.store.same(ctx, key, signed); err == nil && !same {
			err = fmt.Errorf("%s is there, and says something else: %w", key, ErrOtherKey)
		}
	}
	if err != nil {
		return nil, err
	}
	w.head, w.tree = &c, t
	return &c, w.keep(signed)
}

// publishKey lays the verifier key beside the archive, once.
func (w *Writer) publishKey(ctx context.Context) error {
	key := fmt.Sprintf("%s%08x", publishedKeys, w.signer.KeyHash())
	err := w.store.put(ctx, key, []byte(w.public+"\n"))
	if errors.Is(err, objects.ErrExists) {
		return nil
	}
	return err
}
