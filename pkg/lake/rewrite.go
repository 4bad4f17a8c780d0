package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// rowSource is a file whose live rows are merged with those of others.
type rowSource struct {
	name string
	low  []byte // no key is below
	high []byte // no key is above, beyond those that begin with it; nil if unknown
	open func(ctx context.Context) (*parquet.File, io.Closer, error)
	// A row is left out if any of these has it.
	hidden   bitmap
	replaced bitmap
	// hide, if set, reads hidden when the source is opened.
	hide func(ctx context.Context) (bitmap, error)
	// local, if set, gives the columns under the field ids that the file has.
	local func([]registry.Column) []registry.Column
	// unsorted: the file's rows are not known to be in key order.
	unsorted bool

	rows   *keyedReader
	closer io.Closer
	rank   int
}

func (s *rowSource) start(ctx context.Context, cols, key []registry.Column, retire func(parquet.Page)) error {
	file, closer, err := s.open(ctx)
	if err != nil {
		return err
	}
	s.closer = closer
	if s.hide != nil {
		if s.hidden, err = s.hide(ctx); err != nil {
			return err
		}
	}
	if s.local != nil {
		cols, key = s.local(cols), s.local(key)
	}
	s.rows, err = newKeyedReader(file, cols, key)
	if err != nil {
		return fmt.Errorf("read %s: %w", s.name, err)
	}
	s.rows.retire = retire
	if s.unsorted {
		if err := s.rows.sortWhole(s.hidden); err != nil {
			return fmt.Errorf("read %s: %w", s.name, err)
		}
		s.hidden = nil
	}
	return nil
}

// next goes to the next live row.
func (s *rowSource) next() (bool, error) {
	for {
		ok, err := s.rows.rowReader.next()
		if err != nil || !ok {
			return false, s.wrap(err)
		}
		if row := s.rows.row; !s.rows.whole && (s.hidden.has(row) || s.replaced.has(row)) {
			continue
		}
		s.rows.key, err = s.rows.encodeAt(s.rows.key[:0], s.rows.at)
		return err == nil, s.wrap(err)
	}
}

func (s *rowSource) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read %s: %w", s.name, err)
}

func (s *rowSource) stop() error {
	var errs []error
	if s.rows != nil {
		errs = append(errs, s.rows.closePages())
	}
	if s.closer != nil {
		errs = append(errs, s.closer.Close())
	}
	s.rows, s.closer = nil, nil
	return errors.Join(errs...)
}

// mergeRows calls each for the rows of all sources: by key if there is one, else
// source by source. A source is open only while its rows may be due.
func mergeRows(ctx context.Context, sources []*rowSource, cols, key []registry.Column, retire func(parquet.Page), each func(*rowReader) error) (err error) {
	for i, s := range sources {
		s.rank = i
	}
	if len(key) > 0 {
		slices.SortStableFunc(sources, func(a, b *rowSource) int { return bytes.Compare(a.low, b.low) })
	}
	defer func() {
		for _, s := range sources {
			err = errors.Join(err, s.stop())
		}
	}()
	h := minHeap[*rowSource]{less: func(a, b *rowSource) bool {
		if c := bytes.Compare(a.rows.key, b.rows.key); c != 0 {
			return c < 0
		}
		return a.rank < b.rank
	}}
	waiting := sources
	for tick := 0; ; tick++ {
		if tick%slabRows == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		for len(waiting) > 0 && (h.len() == 0 || len(key) > 0 && bytes.Compare(waiting[0].low, h.top().rows.key) <= 0) {
			s := waiting[0]
			waiting = waiting[1:]
			if err := s.start(ctx, cols, key, retire); err != nil {
				return err
			}
			if err := advance(&h, s, true); err != nil {
				return err
			}
		}
		if h.len() == 0 {
			return nil
		}
		s := h.top()
		if err := each(s.rows.rowReader); err != nil {
			return err
		}
		if err := advance(&h, s, false); err != nil {
			return err
		}
	}
}

// advance moves a source to its next row and puts it in its place.
func advance(h *minHeap[*rowSource], s *rowSource, isNew bool) error {
	ok, err := s.next()
	switch {
	case err != nil:
		return err
	case ok && isNew:
		h.push(s)
	case ok:
		h.fix()
	case isNew:
		return s.stop()
	default:
		h.pop()
		return s.stop()
	}
	return nil
}

// stagedSource merges the surviving rows of a staged file.
func (l *Lake) stagedSource(f *stagedFile) *rowSource {
	return &rowSource{
		name: f.Key, low: decodeHex(f.MinKey), high: decodeHex(f.MaxKey), hidden: f.dead, local: f.part.local,
		open: func(ctx context.Context) (*parquet.File, io.Closer, error) {
			r, err := transform.OpenStaged(ctx, l.staging, f.StagedParquet)
			if err != nil {
				return nil, nil, f.auditFault(err)
			}
			return r.File(), r, nil
		},
	}
}

// tableSource merges the live rows of a data file.
func (l *Lake) tableSource(f *dataFile, replaced []int64) *rowSource {
	s := &rowSource{
		name: f.FilePath(), low: f.low, high: f.high,
		open: func(ctx context.Context) (*parquet.File, io.Closer, error) { return l.openParquet(ctx, f.FilePath()) },
		hide: func(ctx context.Context) (bitmap, error) { return l.deletedRows(ctx, f) },
	}
	if len(replaced) > 0 {
		s.replaced = newBitmap(f.Count())
		for _, row := range replaced {
			s.replaced.set(row)
		}
	}
	return s
}
