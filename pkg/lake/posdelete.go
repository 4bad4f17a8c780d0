package lake

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/iceberg-go"
	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/transform"
)

// writePositions writes one position-delete file about one data file: engines
// find it by its path bounds, and it can go when the data file goes.
func (l *Lake) writePositions(ctx context.Context, id dms.TableID, path string, positions []int64) (iceberg.DataFile, string, error) {
	key := tableFolder(id) + "/data/" + uuid.NewString() + "-deletes.parquet"
	object, err := l.bucket.Create(ctx, key)
	if err != nil {
		return nil, "", fmt.Errorf("create %s: %w", key, err)
	}
	out := &countingWriter{Writer: object}
	w := parquet.NewGenericWriter[any](out, transform.PositionSchema(), parquet.CreatedBy(writerName, writerVersion, "deletes"))
	if err := transform.WritePositions(w, path, positions); err != nil {
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
	b.ValueCounts(map[int]int64{transform.PositionPath.ID: n, transform.PositionRow.ID: n}).
		NullValueCounts(map[int]int64{transform.PositionPath.ID: 0, transform.PositionRow.ID: 0}).
		LowerBoundValues(map[int][]byte{transform.PositionPath.ID: []byte(path), transform.PositionRow.ID: serialize(transform.PositionRow.Type, first)}).
		UpperBoundValues(map[int][]byte{transform.PositionPath.ID: []byte(path), transform.PositionRow.ID: serialize(transform.PositionRow.Type, last)}).
		ReferencedDataFile(path)
	return b.Build(), key, nil
}
