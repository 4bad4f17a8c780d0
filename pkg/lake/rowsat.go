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
