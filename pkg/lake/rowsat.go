package lake

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// ErrNoSnapshot: the table has no such snapshot, or has it no longer.
var ErrNoSnapshot = errors.New("no such snapshot, or it has expired")

// RowsAt opens a snapshot of a table for reading, in the schema that it was written
// in; ErrNoTable or ErrNoSnapshot if it is not there. Its rows come file by file,
// in no order, whoever wrote the files: memory holds the pages of one of them.
func (l *Lake) RowsAt(ctx context.Context, id dms.TableID, snapshot int64) (*RowSet, error) {
	tbl, err := l.load(ctx, id)
	if err != nil {
		return nil, err
	}
	s, err := l.rowSetAt(ctx, tbl, snapshot)
	if err != nil {
		return nil, fmt.Errorf("read table %s, snapshot %d: %w", id, snapshot, err)
	}
	return s, nil
}

// CurrentSnapshot gives the id of a table's current snapshot; ErrNoTable or ErrNoSnapshot if
// there is none.
func (l *Lake) CurrentSnapshot(ctx context.Context, id dms.TableID) (int64, error) {
	tbl, err := l.load(ctx, id)
	if err != nil {
		return 0, err
	}
	now := tbl.CurrentSnapshot()
	if now == nil {
		return 0, fmt.Errorf("table %s: %w", id, ErrNoSnapshot)
	}
	return now.SnapshotID, nil
}

func (l *Lake) rowSetAt(ctx context.Context, tbl *table.Table, id int64) (*RowSet, error) {
	at := tbl.SnapshotByID(id)
	if at == nil {
		return nil, ErrNoSnapshot
	}
	schema := tbl.Schema()
	for _, s := range tbl.Metadata().Schemas() {
		if at.SchemaID != nil && s.ID == *at.SchemaID {
			schema = s
		}
	}
	cols, err := userColumns(schema)
	if err != nil {
		return nil, err
	}
	prov, err := provenanceOf(schema, tbl.Metadata().LastColumnID()+1)
	if err != nil {
		return nil, err
	}
	s := &RowSet{Columns: cols, lake: l, cols: append(append([]registry.Column(nil), cols...), provenanceFields(prov)...)}
	s.snap, err = readSnapshot(ctx, tbl, nil, table.WithSnapshotID(id))
	return s, err
}

// Live counts the rows, as far as the metadata tells.
func (s *RowSet) Live() int64 { return s.snap.rows }

// Files counts the live rows by the file that they came from. It holds one entry for
// each file.
func (s *RowSet) Files(ctx context.Context) (map[dms.FileID]int64, error) {
	files := map[dms.FileID]int64{}
	err := s.origins(ctx, func(file []byte, _ int64) { files[dms.FileID(file)]++ })
	return files, err
}

// Hash is the RowsHash of the live rows.
func (s *RowSet) Hash(ctx context.Context) (h RowsHash, err error) {
	err = s.origins(ctx, func(file []byte, row int64) { h.Add(dms.FileID(file), row) })
	return h, err
}

// origins tells of each live row where it came from. It reads these two columns alone.
func (s *RowSet) origins(ctx context.Context, tell func(file []byte, row int64)) error {
	want := s.cols[len(s.Columns) : len(s.Columns)+2]
	for _, f := range s.snap.files {
		if err := s.originsIn(ctx, f, want, tell); err != nil {
			return fmt.Errorf("read %s: %w", f.FilePath(), err)
		}
	}
	return nil
}

func (s *RowSet) originsIn(ctx context.Context, f *dataFile, want []registry.Column, tell func(file []byte, row int64)) (err error) {
	file, closer, err := s.lake.openParquet(ctx, f.FilePath())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	hidden, err := s.lake.deletedRows(ctx, f)
	if err != nil {
		return err
	}
	r, err := newRowReader(file, want)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.closePages()) }()
	for {
		if r.row&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		ok, err := r.next()
		if err != nil || !ok {
			return err
		}
		if !hidden.has(r.row) {
			tell(r.value(0).ByteArray(), r.value(1).Int64())
		}
	}
}
