package transform

import (
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// ManifestName is the last object that a transform writes: while it is not
// there, nothing is staged.
const ManifestName = "manifest.json"

// Manifest describes the staged output of one file under one token. It is the
// whole of what the curator knows of a transform, whatever engine ran.
type Manifest struct {
	Engine      string        `json:"engine"` // name and version, such as "go/1"
	Table       dms.TableID   `json:"table"`
	SpecVersion uint64        `json:"spec_version"`
	FileID      dms.FileID    `json:"file_id"`
	Token       uint64        `json:"token"`
	Kind        dms.FileKind  `json:"kind"`
	Order       dms.FileOrder `json:"order"`
	// Part is set for the rows of one table in a transaction file; Input is then
	// the whole file, Counts are those of the table's rows.
	Part dms.Part `json:"part,omitzero"`
	// Mending is set for mended rows: positions are made of its kind and order.
	Mending dms.Mending `json:"mending,omitzero"`
	Input   Input       `json:"input"`
	// Schema lists the user columns of rows files as staged: the registered ones,
	// as wide as the file has them, then those that the file alone brought. Their
	// field ids hold for this output only.
	Schema []registry.Column `json:"schema"`
	Counts Counts            `json:"counts"`
	// Rows and Deletes list the staged Parquet files, each sorted by key, their
	// key ranges disjoint and ascending. Rows holds the last change of each key
	// that left a row, in the table's schema with the provenance columns; for a
	// table without a key, all rows in file order. Deletes holds the keys whose
	// last change removed them: the key columns and the provenance columns.
	Rows    []StagedParquet `json:"rows"`
	Deletes []StagedParquet `json:"deletes"`
	// Rejected lists the Parquet files of the rows that were set aside one by one,
	// in file order (see RejectedHeader); none unless the registration says so.
	Rejected []StagedParquet `json:"rejected,omitempty"`
	// PositionDeletes, if the engine computed them, say which rows of the table the
	// staged keys have.
	PositionDeletes *PositionDeletes `json:"position_deletes,omitempty"`
	// MinPosition and MaxPosition bound the positions of all staged rows.
	MinPosition dms.Position `json:"min_position"`
	MaxPosition dms.Position `json:"max_position"`
	// Parts are what a transaction file divides into, in the order of their first
	// rows. Its manifest has them instead of a schema and staged rows.
	Parts []dms.TransactionPart `json:"parts,omitempty"`
}

// Input names the bytes that were read.
type Input struct {
	Object dms.Object `json:"object"`
	SHA256 string     `json:"sha256"` // of the object's bytes, compressed if it was
	Bytes  int64      `json:"bytes"`
}

// Counts accounts for every row that was read: RowsRead = Inserts + Updates +
// Deletes + Rejected; staged rows and deletes = RowsRead - Rejected + KeysMoved -
// DuplicatesDropped.
type Counts struct {
	RowsRead int64 `json:"rows_read"`
	Inserts  int64 `json:"inserts"`
	Updates  int64 `json:"updates"`
	Deletes  int64 `json:"deletes"`
	// KeysMoved counts the updates whose before-image shows another key: each
	// removes the old key too, at its own position and row.
	KeysMoved int64 `json:"keys_moved"`
	// DuplicatesDropped counts changes overtaken by a later change of the same
	// key in the same file.
	DuplicatesDropped int64 `json:"duplicates_dropped"`
	// AmbiguousTies counts the changes of one key that share their position with
	// the change before them, so that nothing but the row number orders them. In
	// load files and in OrderByFile the row number is the order, and none is
	// counted.
	AmbiguousTies int64 `json:"ambiguous_ties"`
	// Rejected counts the rows that could not be taken and were set aside.
	Rejected int64 `json:"rejected,omitempty"`
	// NoBeforeImage counts the updates of a file that has no before-image column of
	// the key although the registration has a prefix for them: whether such a row had
	// another key, nothing tells.
	NoBeforeImage int64 `json:"no_before_image,omitempty"`
}

// StagedParquet is one staged Parquet file.
type StagedParquet struct {
	Key    string `json:"key"` // in the staging bucket
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
	Rows   int64  `json:"rows"`
	// MinKey and MaxKey are the encoded keys of the first and the last row, in
	// hex (see EncodeKey); empty without a primary key.
	MinKey string `json:"min_key"`
	MaxKey string `json:"max_key"`
}
