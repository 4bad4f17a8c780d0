package lake

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/iceberg-go"
	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
)

// positionSchema is that of position-delete files (Iceberg spec, "Position
// Delete Files").
func positionSchema() *parquet.Schema {
	return parquet.NewSchema("table", parquet.Group{
		"file_path": parquet.FieldID(parquet.Required(parquet.Compressed(parquet.Encoded(parquet.String(), &parquet.RLEDictionary), &parquet.Zstd)), deletePathColumn.ID),
		"pos":       parquet.FieldID(parquet.Required(parquet.Compressed(parquet.Encoded(parquet.Leaf(parquet.Int64Type), &parquet.Plain), &parquet.Zstd)), deletePosColumn.ID),
	})
}

// writePositions writes one position-delete file about one data file: engines
// find it by its path bounds, and it can go when the data file goes.
func (l *Lake) writePositions(ctx context.Context, id dms.TableID, path string, positions []int64) (iceberg.DataFile, string, error) {
	key := tableFolder(id) + "/data/" + uuid.NewString() + "-deletes.parquet"
	object, err := l.bucket.Create(ctx, key)
	if err != nil {
		return nil, "", fmt.Errorf("create %s: %w", key, err)
	}
	out := &countingWriter{Writer: object}
	w := parquet.NewGenericWriter[any](out, positionSchema(), parquet.CreatedBy(writerName, writerVersion, "deletes"))
	if err := writePositionRows(w, path, positions); err != nil {
		return nil, "", errors.Join(fmt.Errorf("write %s: %w", key, err), out.Abort())
	}
	if _, err := out.Commit(ctx); err != nil {
		return nil, "", fmt.Errorf("write %s: %w", key, err)
	}
	n := int64(len(positions))
	b, err := iceberg.NewDataFileBuilder(*iceberg.UnpartitionedSpec, iceberg.EntryContentPosDeletes, l.io.URI(key), iceberg.ParquetFile, nil, nil, nil, n, out.n)
	if err != nil {
		return nil, "", fmt.Errorf("describe %s: %w", key, err)
	}
	first, last := parquet.Int64Value(positions[0]), parquet.Int64Value(positions[n-1])
	b.ValueCounts(map[int]int64{deletePathColumn.ID: n, deletePosColumn.ID: n}).
		NullValueCounts(map[int]int64{deletePathColumn.ID: 0, deletePosColumn.ID: 0}).
		LowerBoundValues(map[int][]byte{deletePathColumn.ID: []byte(path), deletePosColumn.ID: serialize(deletePosColumn.Type, first)}).
		UpperBoundValues(map[int][]byte{deletePathColumn.ID: []byte(path), deletePosColumn.ID: serialize(deletePosColumn.Type, last)}).
		ReferencedDataFile(path)
	return b.Build(), key, nil
}

func writePositionRows(w *parquet.GenericWriter[any], path string, positions []int64) error {
	name := parquet.ByteArrayValue([]byte(path)).Level(0, 0, 0)
	rows := make([]parquet.Row, 0, slabRows)
	for i, p := range positions {
		rows = append(rows, parquet.Row{name, parquet.Int64Value(p).Level(0, 0, 1)})
		if len(rows) == slabRows || i == len(positions)-1 {
			if _, err := w.WriteRows(rows); err != nil {
				return err
			}
			rows = rows[:0]
		}
	}
	return w.Close()
}
