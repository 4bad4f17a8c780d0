package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// Lookup gives the live rows of an encoded key, provenance alone: one or none, unless
// the table is damaged; columns name those of the key, in its order. It reads the key
// columns of the data files whose bounds have room for the key; Files tells how many
// those were, of how many.
func (s *RowSet) Lookup(ctx context.Context, columns []string, key []byte) (found Found, err error) {
	var cols []registry.Column
	for _, name := range columns {
		i := slices.IndexFunc(s.Columns, func(c registry.Column) bool { return registry.FoldName(c.Name) == registry.FoldName(name) })
		if i < 0 {
			return found, fmt.Errorf("look up a key: the table has no column %s", name)
		}
		cols = append(cols, s.Columns[i])
	}
	found.Of = len(s.snap.files)
	for _, f := range s.snap.files {
		bounded := dataFile{DataFile: f.DataFile}
		bounded.low, bounded.high = keyBounds(f.DataFile, cols)
		if !bounded.overlaps(key, key) {
			continue
		}
		found.Files++
		if err := s.lookupIn(ctx, f, cols, key, &found); err != nil {
			return found, fmt.Errorf("look into %s: %w", f.FilePath(), err)
		}
	}
	return found, nil
}

// Found is what a look-up came to.
type Found struct {
	Rows  []Row // without values
	Files int   // data files that were read
	Of    int   // all data files
}

func (s *RowSet) lookupIn(ctx context.Context, f *dataFile, cols []registry.Column, key []byte, found *Found) (err error) {
	file, closer, err := s.lake.openParquet(ctx, f.FilePath())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	hidden, err := s.lake.deletedRows(ctx, f)
	if err != nil {
		return err
	}
	prov := s.cols[len(s.Columns):]
	r, err := newKeyedReader(file, append(prov[:len(prov):len(prov)], cols...), cols)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.closePages()) }()
	for n := 0; ; n++ {
		if n&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		ok, err := r.next()
		if err != nil || !ok {
			return err
		}
		if bytes.Equal(r.key, key) && !hidden.has(r.row) {
			found.Rows = append(found.Rows, Row{
				File: dms.FileID(r.value(0).ByteArray()), Number: r.value(1).Int64(), Position: dms.Position(r.value(2).ByteArray()),
			})
		}
	}
}

// Token gives the token of a table's last commit; ErrNoTable if there is no such table.
func (l *Lake) Token(ctx context.Context, id dms.TableID) (uint64, error) {
	tbl, err := l.load(ctx, id)
	if err != nil {
		return 0, err
	}
	state, err := readState(tbl.Properties())
	return state.token, err
}
