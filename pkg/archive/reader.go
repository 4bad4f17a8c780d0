package archive

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sort"
	"strings"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/objects"
)

// Reader gives events out of an archive. It believes a span when its checkpoint is
// signed and its file has the hash in it; that the whole archive hangs together is for
// Verify to prove.
type Reader struct{ store store }

var _ eventlog.Archive = (*Reader)(nil)

// NewReader reads an archive that one of the keys has signed. Without keys (the zero
// value) it takes those that lie beside the archive, which is good enough to look, and
// proves nothing. ErrEmpty if there is no archive.
func NewReader(ctx context.Context, bucket objects.Bucket, keys Keys) (*Reader, error) {
	if keys.Verifiers != nil {
		return &Reader{store{bucket, keys}}, nil
	}
	var text strings.Builder
	s := store{bucket: bucket}
	for info, err := range bucket.List(ctx, publishedKeys) {
		if err != nil {
			return nil, fmt.Errorf("list the keys of the archive: %w", err)
		}
		b, err := s.get(ctx, info.Key, maxCheckpoint)
		if err != nil {
			return nil, err
		}
		text.Write(b)
	}
	if text.Len() == 0 {
		return nil, ErrEmpty
	}
	keys, err := ParseKeys(text.String())
	if err != nil {
		return nil, wrong(publishedKeys, 0, "%s", err)
	}
	return &Reader{store{bucket, keys}}, nil
}

// Last implements eventlog.Archive.
func (r *Reader) Last(ctx context.Context) (uint64, error) {
	n, err := r.store.count(ctx)
	if err != nil || n == 0 {
		return 0, err
	}
	c, _, err := r.store.checkpoint(ctx, n-1)
	return c.Size, err
}

// find gives the number of the span with this sequence, among n; n if none has it.
func (r *Reader) find(ctx context.Context, n, seq uint64) (uint64, error) {
	var failed error
	at := sort.Search(int(n), func(i int) bool { //nolint:gosec // they fit: each is an object
		if failed != nil {
			return true
		}
		c, _, err := r.store.checkpoint(ctx, uint64(i)) //nolint:gosec // not negative
		failed = err
		return c.Size >= seq
	})
	return uint64(at), failed //nolint:gosec // not negative
}

// Read implements eventlog.Archive.
func (r *Reader) Read(ctx context.Context, f eventlog.ArchiveFilter) iter.Seq2[eventlog.Raw, error] {
	return func(yield func(eventlog.Raw, error) bool) {
		err := r.read(ctx, f, func(raw eventlog.Raw) bool { return yield(raw, nil) })
		if err != nil && !errors.Is(err, errStopped) {
			yield(eventlog.Raw{}, err)
		}
	}
}

// errStopped: who reads wants no more.
var errStopped = errors.New("stopped")

func (r *Reader) read(ctx context.Context, f eventlog.ArchiveFilter, yield func(eventlog.Raw) bool) error {
	n, err := r.store.count(ctx)
	if err != nil {
		return err
	}
	number, err := r.find(ctx, n, f.First)
	if err != nil {
		return err
	}
	for ; number < n; number++ {
		c, _, err := r.store.checkpoint(ctx, number)
		if err != nil {
			return err
		}
		if c.Span.First > f.Last {
			return nil
		}
		early := !f.From.IsZero() && c.Span.Newest.Before(f.From)
		late := !f.Until.IsZero() && c.Span.Oldest.After(f.Until)
		if early || late {
			continue
		}
		if err := r.readSpan(ctx, c, f, yield); err != nil {
			return err
		}
	}
	return nil
}

// maxGaps bounds the spans that Gaps gives.
const maxGaps = 100

// Gaps gives the sequences that were signed as missing, in order, at most maxGaps spans of
// them. It reads the whole archive.
func (r *Reader) Gaps(ctx context.Context) ([]eventlog.Span, error) {
	n, err := r.store.count(ctx)
	if err != nil {
		return nil, err
	}
	var gaps []eventlog.Span
	for number := range n {
		c, _, err := r.store.checkpoint(ctx, number)
		if err != nil {
			return nil, err
		}
		file, err := r.store.span(ctx, c)
		if err != nil {
			return nil, err
		}
		type place struct {
			Sequence int64 `parquet:"sequence"`
			Gap      bool  `parquet:"gap"`
		}
		for p, err := range readRows[place](file.file) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, fmt.Errorf("read %s of the archive: %w", keyOfSpan(number), err)
			}
			if !p.Gap {
				continue
			}
			seq := uint64(p.Sequence) //nolint:gosec // sequences count up from 1
			if last := len(gaps) - 1; last >= 0 && gaps[last].Last+1 == seq {
				gaps[last].Last = seq
			} else if len(gaps) < maxGaps {
				gaps = append(gaps, eventlog.Span{First: seq, Last: seq})
			}
		}
	}
	return gaps, nil
}

// readSpan looks at the subjects first: the rest of a row is read where one is wanted.
func (r *Reader) readSpan(ctx context.Context, c Checkpoint, f eventlog.ArchiveFilter, yield func(eventlog.Raw) bool) error {
	key := keyOfSpan(c.Span.Number)
	file, err := r.store.span(ctx, c)
	if err != nil {
		return err
	}
	if f.Wants != nil {
		type subject struct {
			Subject string `parquet:"subject,dict"`
		}
		some := false
		for s, err := range readRows[subject](file.file) {
			if err != nil {
				return fmt.Errorf("read %s of the archive: %w", key, err)
			}
			if some = s.Subject != "" && f.Wants(s.Subject); some {
				break
			}
		}
		if !some {
			return nil
		}
	}
	for one, err := range file.rows() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("read %s of the archive: %w", key, err)
		}
		seq := uint64(one.Sequence) //nolint:gosec // sequences count up from 1
		if one.Gap || seq < f.First || seq > f.Last || f.Wants != nil && !f.Wants(one.Subject) {
			continue
		}
		l, err := one.leaf()
		if err != nil {
			return wrong(key, seq, "%s", err)
		}
		if !yield(l.Raw) {
			return errStopped
		}
	}
	return nil
}
