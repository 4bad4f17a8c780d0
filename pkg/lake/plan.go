package lake

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// snapshot is the content of a table at one moment.
type snapshot struct {
	files   []*dataFile // in the order of their lower key bounds
	deletes []iceberg.DataFile
	rows    int64 // live ones, as far as the metadata tells
}

// dataFile is one data file of a snapshot.
type dataFile struct {
	iceberg.DataFile
	deletes []iceberg.DataFile // position deletes that apply to it
	sorted  bool
	low     []byte // no key of it is below; empty if unknown
	high    []byte // no key of it is above, beyond those that begin with it; nil if unknown
}

// errForeignDeletes: only position deletes are understood.
var errForeignDeletes = fmt.Errorf("%w: another engine wrote equality deletes or deletion vectors", ErrIncompatible)

// readSnapshot plans a snapshot of a table, the current one unless opts name
// another; key is empty without a primary key.
func readSnapshot(ctx context.Context, tbl *table.Table, key []registry.Column, opts ...table.ScanOption) (*snapshot, error) {
	s := &snapshot{}
	if tbl.CurrentSnapshot() == nil {
		return s, nil
	}
	tasks, err := tbl.Scan(opts...).PlanFiles(ctx)
	if err != nil {
		return nil, fmt.Errorf("plan snapshot %d: %w", tbl.CurrentSnapshot().SnapshotID, err)
	}
	seen := map[string]bool{}
	for _, t := range tasks {
		if len(t.EqualityDeleteFiles)+len(t.DeletionVectorFiles) > 0 {
			return nil, fmt.Errorf("plan snapshot %d: %w", tbl.CurrentSnapshot().SnapshotID, errForeignDeletes)
		}
		f := &dataFile{DataFile: t.File, deletes: t.DeleteFiles}
		id := t.File.SortOrderID()
		f.sorted = len(key) > 0 && id != nil && *id != table.UnsortedSortOrderID && *id == tbl.Metadata().DefaultSortOrder()
		if len(key) > 0 {
			f.low, f.high = keyBounds(t.File, key)
		}
		s.rows += t.File.Count()
		for _, d := range t.DeleteFiles {
			if !seen[d.FilePath()] {
				seen[d.FilePath()] = true
				s.deletes = append(s.deletes, d)
				s.rows -= d.Count()
			}
		}
		s.files = append(s.files, f)
	}
	slices.SortFunc(s.files, func(a, b *dataFile) int {
		return cmp.Or(bytes.Compare(a.low, b.low), cmp.Compare(a.FilePath(), b.FilePath()))
	})
	return s, nil
}

// keyBounds encodes the bounds of the key's first column.
func keyBounds(f iceberg.DataFile, key []registry.Column) (low, high []byte) {
	first := key[0]
	if b, ok := f.LowerBoundValues()[first.ID]; ok {
		low, _ = encodeBound(first.Type, b)
	}
	if b, ok := f.UpperBoundValues()[first.ID]; ok {
		high, _ = encodeBound(first.Type, b)
	}
	return low, high
}

// encodeBound turns a bound of the Iceberg metadata into the beginning of an
// encoded key; false if it is of no use.
func encodeBound(t registry.Type, bound []byte) ([]byte, bool) {
	v, ok := boundValue(t, bound)
	if !ok {
		return nil, false
	}
	key, err := transform.EncodeKey(nil, []registry.Type{t}, []parquet.Value{v})
	return key, err == nil
}

// overlaps tells whether keys between first and last may be in the file.
func (f *dataFile) overlaps(first, last []byte) bool {
	if len(f.low) > 0 && bytes.Compare(last, f.low) < 0 {
		return false
	}
	return f.high == nil || bytes.Compare(first, f.high) <= 0 || bytes.HasPrefix(first, f.high)
}

// openParquet opens an object of the warehouse.
func (l *Lake) openParquet(ctx context.Context, location string) (*parquet.File, io.Closer, error) {
	key, err := l.io.Key(location)
	if err != nil {
		return nil, nil, err
	}
	object, err := l.bucket.Open(ctx, key, objects.Version{})
	if errors.Is(err, objects.ErrNotFound) {
		err = &DamagedError{Location: location, Err: err}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", key, err)
	}
	file, err := parquet.OpenFile(object, object.Info().Size, parquet.SkipBloomFilters(true))
	if err != nil {
		if Damaged(err) {
			err = &DamagedError{Location: location, Err: err}
		}
		return nil, nil, errors.Join(fmt.Errorf("open %s: %w", key, err), object.Close())
	}
	return file, object, nil
}

// deletedRows reads which rows of a file the position deletes of its snapshot
// hide; nil if none.
func (l *Lake) deletedRows(ctx context.Context, f *dataFile) (bitmap, error) {
	if len(f.deletes) == 0 {
		return nil, nil
	}
	dead := newBitmap(f.Count())
	for _, d := range f.deletes {
		if err := l.readPositions(ctx, d, f.FilePath(), dead); err != nil {
			return nil, fmt.Errorf("read position deletes %s: %w", d.FilePath(), err)
		}
	}
	return dead, nil
}

func (l *Lake) readPositions(ctx context.Context, d iceberg.DataFile, path string, dead bitmap) (err error) {
	file, closer, err := l.openParquet(ctx, d.FilePath())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	r, err := newRowReader(file, []registry.Column{transform.PositionPath, transform.PositionRow})
	if err != nil {
		return err
	}
	for {
		ok, err := r.next()
		if err != nil || !ok {
			return errors.Join(err, r.closePages())
		}
		pos := r.value(1).Int64()
		if string(r.value(0).ByteArray()) == path && pos >= 0 && pos < int64(len(dead))*64 {
			dead.set(pos)
		}
	}
}
