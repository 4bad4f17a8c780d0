package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/openblotter/blotter/pkg/objects"
)

// Wrong says what in an archive is not as it was signed.
type Wrong struct {
	Object string // the key of the object, empty if it is the archive as a whole
	// Seq is the first sequence at which it is wrong, 0 if that cannot be told.
	Seq  uint64
	What string
}

// Error implements error.
func (w *Wrong) Error() string {
	s := "the archive is not what was signed: "
	if w.Object != "" {
		s += w.Object
		if w.Seq > 0 {
			s += fmt.Sprintf(", sequence %d", w.Seq)
		}
		s += ": "
	}
	return s + w.What
}

func wrong(object string, seq uint64, format string, args ...any) error {
	return &Wrong{Object: object, Seq: seq, What: fmt.Sprintf(format, args...)}
}

// store reads an archive; keys are those it trusts.
type store struct {
	bucket objects.Bucket
	keys   Keys
}

// get reads an object of at most limit bytes.
func (s store) get(ctx context.Context, key string, limit int64) (_ []byte, err error) {
	r, err := s.bucket.Open(ctx, key, objects.Version{})
	if err != nil {
		return nil, fmt.Errorf("read %s of the archive: %w", key, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s of the archive: %w", key, err)
	}
	if int64(len(b)) > limit {
		return nil, wrong(key, 0, "it has more than %d bytes, which no writer has written", limit)
	}
	return b, nil
}

// has reports whether an object is there.
func (s store) has(ctx context.Context, key string) (bool, error) {
	_, err := s.bucket.Stat(ctx, key)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, objects.ErrNotFound):
		return false, nil
	}
	return false, fmt.Errorf("look for %s of the archive: %w", key, err)
}

// put writes an object that is not there yet; objects.ErrExists if it is.
func (s store) put(ctx context.Context, key string, b []byte) (err error) {
	w, err := s.bucket.Create(ctx, key)
	if err == nil {
		if _, err = w.Write(b); err != nil {
			err = errors.Join(err, w.Abort())
		} else {
			_, err = w.Commit(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("write %s of the archive: %w", key, err)
	}
	return nil
}

// afterFirst gives an object that comes after the first span of an archive; empty if there
// is none.
func (s store) afterFirst(ctx context.Context) (string, error) {
	for _, first := range []string{keyOfCheckpoint(0), keyOfSpan(0)} {
		for info, err := range s.bucket.List(ctx, path.Dir(first)+"/") {
			if err != nil {
				return "", fmt.Errorf("list the archive: %w", err)
			}
			if info.Key == first {
				continue
			}
			// Another writer may have begun it just now.
			if begun, err := s.has(ctx, keyOfCheckpoint(0)); err != nil || begun {
				return "", errors.Join(err, errors.New("another writer has just begun the archive: try again"))
			}
			return info.Key, nil
		}
	}
	return "", nil
}

// count gives the number of checkpoints, by asking for some twice log2 of them: they
// are numbered without gaps.
func (s store) count(ctx context.Context) (uint64, error) {
	low, high := uint64(0), uint64(1) // low are there for sure
	for {
		there, err := s.has(ctx, keyOfCheckpoint(high-1))
		if err != nil {
			return 0, err
		}
		if !there {
			break
		}
		low, high = high, high*2
	}
	for low < high-1 {
		middle := low + (high-low)/2
		there, err := s.has(ctx, keyOfCheckpoint(middle-1))
		if err != nil {
			return 0, err
		}
		if there {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}

// checkpoint reads the checkpoint of a span, and its bytes.
func (s store) checkpoint(ctx context.Context, number uint64) (Checkpoint, []byte, error) {
	key := keyOfCheckpoint(number)
	signed, err := s.get(ctx, key, maxCheckpoint)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	c, err := OpenCheckpoint(signed, s.keys)
	if err != nil {
		return c, signed, wrong(key, 0, "%s", err)
	}
	if c.Span.Number != number {
		return c, signed, wrong(key, 0, "it is the checkpoint of span %d", c.Span.Number)
	}
	return c, signed, nil
}

// span reads the file of a span that a checkpoint names.
func (s store) span(ctx context.Context, c Checkpoint) (*spanFile, error) {
	b, err := s.spanBytes(ctx, c)
	if err != nil {
		return nil, err
	}
	return checkedSpan(b, c, nil)
}

func (s store) spanBytes(ctx context.Context, c Checkpoint) ([]byte, error) {
	key := keyOfSpan(c.Span.Number)
	b, err := s.get(ctx, key, maxSpanFile)
	if errors.Is(err, objects.ErrNotFound) {
		return nil, wrong(key, c.Span.First, "it is missing: the events %d to %d are gone from the archive", c.Span.First, c.Span.Last)
	}
	return b, err
}

// checkedSpan opens the bytes of a span if they are those that were signed; live, if not
// nil, helps to tell what they are instead.
func checkedSpan(b []byte, c Checkpoint, live *cursor) (*spanFile, error) {
	key := keyOfSpan(c.Span.Number)
	if sha256.Sum256(b) != c.Span.SHA256 {
		return nil, diagnose(b, c, live)
	}
	f, err := openSpan(b)
	if err != nil {
		return nil, wrong(key, 0, "it cannot be read although it is what was signed: %s", err)
	}
	if i := f.info; i.Origin != c.Origin || i.Number != c.Span.Number || i.First != c.Span.First || i.Last != c.Span.Last {
		return nil, wrong(key, 0, "its metadata tell of another span than its checkpoint")
	}
	return f, nil
}

// tree gives the tree at the end of a span.
func (f *spanFile) tree(c Checkpoint) (*tree, error) {
	t, err := resumeTree(c.Size, f.info.Frontier, c.Root[:])
	if err != nil {
		return nil, wrong(keyOfSpan(c.Span.Number), 0, "%s", err)
	}
	return t, nil
}

// same reports whether an object has these bytes.
func (s store) same(ctx context.Context, key string, want []byte) (bool, error) {
	got, err := s.get(ctx, key, maxSpanFile)
	return bytes.Equal(got, want), err
}
