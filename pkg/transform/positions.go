package transform

import (
	"context"
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
)

// Snapshot names a snapshot of the Iceberg table and tells what an engine needs to
// find rows in it without a catalog. It is JSON.
type Snapshot struct {
	ID int64 `json:"id"`
	// Key lists the columns of the primary key, in its order, with the field ids and
	// types that they have in the table.
	Key []registry.Column `json:"key"`
	// Files are the data files, each sorted by key, in the order of their lower bounds.
	Files []SnapshotFile `json:"files"`
}

// SnapshotFile is one data file of a snapshot.
type SnapshotFile struct {
	Path string `json:"path"` // as the table's metadata has it
	Rows int64  `json:"rows"` // deleted ones among them
	// Low and High bound the keys, encoded: no key is below, none above beyond those
	// that begin with it. Empty where unknown.
	Low  []byte `json:"low,omitempty"`
	High []byte `json:"high,omitempty"`
	// Deletes are the paths of the position deletes that apply.
	Deletes []string `json:"deletes,omitempty"`
}

// PositionDeletes tell where in a snapshot of the table the rows stand whose keys a
// change file changes: for each key that the staged rows and deletes hold, the live
// row with that key, if there is one. They are what the file deletes there, but for
// rows that are later than its change, as happens when a file comes late.
//
// They spare the curator the search for these rows. It takes nothing on trust: it
// looks at each row that is named, decides itself which of both is later, and looks
// up the keys for which none is named. If the snapshot is not the table's any more it
// searches itself, as it does without them.
type PositionDeletes struct {
	SnapshotID int64          `json:"snapshot_id"`
	Files      []PositionFile `json:"files"` // in the order of the data files; none without rows
}

// PositionFile names rows of one data file: a staged Parquet file in the form of
// Iceberg's position deletes (file_path, pos), the rows ascending.
type PositionFile struct {
	DataFile string `json:"data_file"` // as the table's metadata has it
	Key      string `json:"key"`       // in the staging bucket
	SHA256   string `json:"sha256"`
	Bytes    int64  `json:"bytes"`
	Rows     int64  `json:"rows"`
}

// Staged gives the staged object.
func (f PositionFile) Staged() StagedParquet {
	return StagedParquet{Key: f.Key, SHA256: f.SHA256, Bytes: f.Bytes, Rows: f.Rows}
}

// The columns of position deletes, with the field ids that Iceberg reserves.
var (
	PositionPath = registry.Column{ID: 2147483546, Name: "file_path", Type: registry.Type{Kind: registry.String}, Required: true}
	PositionRow  = registry.Column{ID: 2147483545, Name: "pos", Type: registry.Type{Kind: registry.Long}, Required: true}
)

// PositionSchema is that of position deletes (Iceberg spec, "Position Delete Files").
func PositionSchema() *parquet.Schema {
	return parquet.NewSchema("table", parquet.Group{
		PositionPath.Name: parquet.FieldID(parquet.Required(parquet.Compressed(parquet.Encoded(parquet.String(), &parquet.RLEDictionary), &parquet.Zstd)), PositionPath.ID),
		PositionRow.Name:  parquet.FieldID(parquet.Required(parquet.Compressed(parquet.Encoded(parquet.Leaf(parquet.Int64Type), &parquet.Plain), &parquet.Zstd)), PositionRow.ID),
	})
}

// WritePositions writes rows of one data file, by a writer of PositionSchema, and
// closes it.
func WritePositions(w *parquet.GenericWriter[any], path string, rows []int64) error {
	name := parquet.ByteArrayValue([]byte(path)).Level(0, 0, 0)
	batch := make([]parquet.Row, 0, readBatch)
	for i, row := range rows {
		batch = append(batch, parquet.Row{name, parquet.Int64Value(row).Level(0, 0, 1)})
		if len(batch) == cap(batch) || i == len(rows)-1 {
			if _, err := w.WriteRows(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return w.Close()
}

// StagePositions stages the rows of data file n of a snapshot that a job's file
// names, ascending and at least one. Staging them again gives the same bytes, or
// finds them.
func StagePositions(ctx context.Context, staging objects.Bucket, job Job, n int, dataFile string, rows []int64) (PositionFile, error) {
	key := fmt.Sprintf("%spositions-%05d.parquet", StagePrefix(job.Table.ID, job.File.ID, job.Token), n+1)
	out, err := createHashed(ctx, staging, key)
	if err != nil {
		return PositionFile{}, err
	}
	w := parquet.NewGenericWriter[any](out, PositionSchema(), parquet.CreatedBy(createdApplication, createdVersion, createdBuild))
	if err := WritePositions(w, dataFile, rows); err != nil {
		return PositionFile{}, errors.Join(fmt.Errorf("write %s: %w", key, err), out.abort())
	}
	if err := out.commit(ctx); err != nil {
		return PositionFile{}, err
	}
	return PositionFile{DataFile: dataFile, Key: key, SHA256: out.sum(), Bytes: out.n, Rows: int64(len(rows))}, nil
}

// validatePositions checks the position deletes of a manifest that stages so many
// rows and deletes.
func (m *Manifest) validatePositions(staged int64, fault func(string, ...any)) {
	d := m.PositionDeletes
	if d == nil {
		return
	}
	if m.Kind != dms.KindChange || d.SnapshotID == 0 {
		fault("position_deletes: the file is none of changes, or no snapshot is named")
	}
	var rows int64
	seen := map[string]bool{}
	for i, f := range d.Files {
		if f.DataFile == "" || f.Key == "" || !isSHA256(f.SHA256) || f.Bytes <= 0 || f.Rows <= 0 || f.Rows > maxManifestRows {
			fault("position_deletes[%d]: data_file, key, sha256, bytes or rows is missing or wrong", i)
		}
		if seen[f.DataFile] {
			fault("position_deletes[%d]: its data file stands twice", i)
		}
		seen[f.DataFile] = true
		rows += f.Rows
	}
	if rows > staged {
		fault("position_deletes: %d rows of the table for %d staged keys", rows, staged)
	}
}
