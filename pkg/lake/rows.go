package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/apache/iceberg-go/table"
	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// RowSet is the content of a table at the moment it was asked for.
type RowSet struct {
	// Columns are the table's own, in schema order, without provenance.
	Columns []registry.Column

	lake *Lake
	snap *snapshot
	cols []registry.Column // Columns and provenance
	key  []registry.Column
}

// Row is one row of a table. Its values are valid until the next row.
type Row struct {
	Values   []parquet.Value // as RowSet.Columns
	File     dms.FileID      // the file that it came from
	Number   int64           // its row there, from 1
	Position dms.Position
}

// Rows opens the current snapshot of a table for reading; ErrNoTable if there is
// no such table. Commits that come later do not change what is read.
func (l *Lake) Rows(ctx context.Context, id dms.TableID) (*RowSet, error) {
	tbl, err := l.load(ctx, id)
	if err != nil {
		return nil, err
	}
	s, err := l.rowSet(ctx, tbl)
	if err != nil {
		return nil, fmt.Errorf("read table %s: %w", id, err)
	}
	return s, nil
}

func (l *Lake) rowSet(ctx context.Context, tbl *table.Table) (*RowSet, error) {
	cols, err := userColumns(tbl.Schema())
	if err != nil {
		return nil, err
	}
	prov, err := provenanceOf(tbl.Schema(), tbl.Metadata().LastColumnID()+1)
	if err != nil {
		return nil, err
	}
	s := &RowSet{Columns: cols, lake: l, cols: append(slices.Clone(cols), provenanceFields(prov)...)}
	if s.key, err = keyOfTable(tbl, cols); err != nil {
		return nil, err
	}
	if s.snap, err = readSnapshot(ctx, tbl, s.key); err != nil {
		return nil, err
	}
	return s, nil
}

// keyOfTable gives the key columns that the table's properties name.
func keyOfTable(tbl *table.Table, cols []registry.Column) ([]registry.Column, error) {
	var key []registry.Column
	for id := range bytes.SplitSeq([]byte(tbl.Properties()[PropertyKey]), []byte(",")) {
		if len(id) == 0 {
			continue
		}
		i := slices.IndexFunc(cols, func(c registry.Column) bool { return fmt.Sprint(c.ID) == string(id) })
		if i < 0 {
			return nil, fmt.Errorf("%w: property %s names a column that is not there", ErrIncompatible, PropertyKey)
		}
		key = append(key, cols[i])
	}
	return key, nil
}

// All yields the live rows: sorted by key, or file by file where the table has
// none. It stops at the first error, which it yields. It may be used again.
func (s *RowSet) All(ctx context.Context) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		var sources []*rowSource
		for _, f := range s.snap.files {
			source := s.lake.tableSource(f, nil)
			source.unsorted = len(s.key) > 0 && !f.sorted
			sources = append(sources, source)
		}
		n := len(s.Columns)
		row := Row{Values: make([]parquet.Value, n)}
		err := mergeRows(ctx, sources, s.cols, s.key, parquet.Release, func(r *rowReader) error {
			for i := range n {
				row.Values[i] = r.value(i)
			}
			// The names repeat from row to row.
			if b := r.value(n).ByteArray(); string(b) != string(row.File) {
				row.File = dms.FileID(b)
			}
			row.Number = r.value(n + 1).Int64()
			if b := r.value(n + 2).ByteArray(); string(b) != string(row.Position) {
				row.Position = dms.Position(b)
			}
			if !yield(row, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(Row{}, err)
		}
	}
}

// errStopped: the consumer of an iterator wants no more.
var errStopped = errors.New("stopped")

// sortWhole reads all rows of a file that is in no known order and puts them in
// that of the key. Only files that another engine wrote need it; it takes as
// much memory as the file has values.
func (k *keyedReader) sortWhole(hidden bitmap) error {
	type entry struct {
		key []byte
		row []parquet.Value
	}
	var all []entry
	for {
		ok, err := k.rowReader.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if hidden.has(k.row) {
			continue
		}
		e := entry{row: make([]parquet.Value, len(k.vals))}
		for i := range k.vals {
			e.row[i] = k.value(i).Clone()
		}
		for i, c := range k.keyCols {
			k.parts[i] = e.row[c]
		}
		if e.key, err = transform.EncodeKey(nil, k.keyTypes, k.parts); err != nil {
			return err
		}
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
	for i := range k.vals {
		k.vals[i] = make([]parquet.Value, len(all))
		for j, e := range all {
			k.vals[i][j] = e.row[i]
		}
	}
	k.n, k.at, k.whole = len(all), -1, true
	return nil
}
