package registry

import (
	"time"

	"github.com/openblotter/blotter/pkg/dms"
)

// Flag is what an operator sets for a table: which engine transforms its
// files, or that it is paused.
type Flag string

// The flags.
const (
	FlagLambda Flag = "L"
	FlagGlue   Flag = "G"
	FlagPaused Flag = "P"
)

// RouteAuto has each transaction's engine be chosen by the size of its files.
const RouteAuto = "auto"

// Format is the encoding of a table's files.
type Format = dms.Format

// The formats that DMS writes.
const (
	FormatCSV     = dms.FormatCSV
	FormatParquet = dms.FormatParquet
)

// Table is the registration of one table, complete: every default is filled
// in. It marshals to the canonical JSON that TableRegistered carries, and back.
type Table struct {
	ID      dms.TableID `json:"id"`
	Version uint64      `json:"version"` // assigned by lock-manager, from 1
	// Prefix and Path place the table's objects: <prefix><path>…; both end in "/"
	// or are empty.
	Prefix string `json:"prefix"`
	Path   string `json:"path"`
	// Schema is the schema in the source, as transaction files name it.
	Schema string `json:"schema,omitempty"`
	Task   string `json:"task,omitempty"` // ARN of the DMS task
	Flag   Flag   `json:"flag"`
	// Route is RouteAuto, or empty: then the flag alone says which engine it is.
	Route      string     `json:"route,omitempty"`
	Job        Job        `json:"job"`
	DMS        Settings   `json:"dms"`
	Load       LoadRule   `json:"load"`
	OnBadRow   string     `json:"on_bad_row"` // OnBadRowFail or OnBadRowQuarantine
	Reports    Reports    `json:"reports,omitzero"`
	PrimaryKey []string   `json:"primary_key"`
	Columns    []Column   `json:"columns"`
	Layouts    []Layout   `json:"layouts,omitempty"`
	Provenance Provenance `json:"provenance"`
}

// What becomes of a row that cannot be taken.
const (
	OnBadRowFail       = "fail"       // its whole file is set aside, and the table pauses
	OnBadRowQuarantine = "quarantine" // it is set aside, and the rest of its file goes on
)

// Reports says what stands in the reports beside what was set aside.
type Reports struct {
	// ShowValues puts values of the rows at fault into reports. They are personal
	// data: off, no report holds one.
	ShowValues bool `json:"show_values,omitempty"`
}

// Job names where the engines run; empty is in process.
type Job struct {
	Lambda string `json:"lambda,omitempty"`
	Glue   string `json:"glue,omitempty"`
}

// LoadRule says when a full load is complete.
type LoadRule struct {
	// QuietPeriod seals a load after this long without a new load file; 0 never does.
	QuietPeriod time.Duration `json:"quiet_period"`
}

// Settings are the DMS endpoint settings in force (DMS user guide, "Using
// Amazon S3 as a target"). A nil column name means that the files have no such
// column.
type Settings struct {
	Format            Format         `json:"format"`
	Header            bool           `json:"header"` // AddColumnName
	Delimiter         string         `json:"delimiter"`
	Null              string         `json:"null"` // CsvNullValue
	OpColumn          *string        `json:"op_column"`
	OpInFullLoad      bool           `json:"op_in_full_load"` // IncludeOpForFullLoad
	TimestampColumn   *string        `json:"timestamp_column"`
	ChangeSeqColumn   *string        `json:"change_seq_column"`
	BeforeImagePrefix *string        `json:"before_image_prefix"`
	CDCPath           *string        `json:"cdc_path"`
	DatePartition     *DatePartition `json:"date_partition"`
}

// DatePartition describes the folders by commit date between table and file.
type DatePartition struct {
	Format    string `json:"format"`    // YYYYMMDD, YYYYMMDDHH, YYYYMM, MMYYYYDD or DDMMYYYY
	Separator string `json:"separator"` // slash, dash, underscore or none
}

// OrderMode tells which column orders the changes of the table: the change
// sequence, else the commit timestamp, else the order of the files.
func (s Settings) OrderMode() dms.OrderMode {
	switch {
	case s.ChangeSeqColumn != nil:
		return dms.OrderByChangeSeq
	case s.TimestampColumn != nil:
		return dms.OrderByTimestamp
	}
	return dms.OrderByFile
}

// OrderColumn is the column of change files that the order goes by; empty if it
// goes by the files.
func (s Settings) OrderColumn() string {
	switch s.OrderMode() {
	case dms.OrderByChangeSeq:
		return *s.ChangeSeqColumn
	case dms.OrderByTimestamp:
		return *s.TimestampColumn
	}
	return ""
}

// Column is one column of the table.
type Column struct {
	// ID is the field id in staged files: assigned by AssignIDs, never used again
	// for another registered column. The lake matches columns by name.
	ID       int    `json:"id"`
	Name     string `json:"name"`
	Type     Type   `json:"type"`
	Required bool   `json:"required"`
}

// Provenance holds the field ids of the columns that Blotter adds.
type Provenance struct {
	File     int `json:"file"`     // _blotter_file
	Row      int `json:"row"`      // _blotter_row
	Position int `json:"position"` // _blotter_position
	// Next is the field id that the next new column gets.
	Next int `json:"next"`
}

// The names of the provenance columns.
const (
	ColumnFile     = "_blotter_file"
	ColumnRow      = "_blotter_row"
	ColumnPosition = "_blotter_position"
)

// Layout lists the columns of a headerless file, in order, with the
// bookkeeping columns (Op, timestamp, sequence, before-images) among them. Of a
// transaction file it lists what follows operation, table and schema in the rows
// of this table; Op may be named first, and the two others never are.
type Layout struct {
	Kind    dms.FileKind `json:"kind"`           // load, change or transaction
	From    string       `json:"from,omitempty"` // the first time in a name that it holds for: "20240705-000000000"
	Columns []string     `json:"columns"`
}
