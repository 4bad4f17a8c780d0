package transform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
)

// MaxRejectedRows is how many rows of one file are set aside one by one, where
// the table's registration says so (on_bad_row: quarantine). A file with more of
// them fails as a whole, and so does one without a good row, where that says more
// about its layout than about the rows: they are 20 or more, or all fail by their
// width, their operation, their place in the order or their key.
const MaxRejectedRows = 10_000

// A row group of a file of rejected rows ends with either of these; the bytes
// are those of the rows.
const (
	rejectGroupRows  = 1024
	rejectGroupBytes = 4 << 20
)

// RejectedHeader stands in the metadata of a file of rejected rows: what is
// needed to mend them. Nothing else has to be known of the file they come from.
type RejectedHeader struct {
	Table  dms.TableID   `json:"table"`
	FileID dms.FileID    `json:"file_id"`
	Kind   dms.FileKind  `json:"kind"`
	Order  dms.FileOrder `json:"order"`
	// Part is set where the rows are those of one table in a transaction file.
	Part  dms.Part `json:"part,omitzero"`
	Token uint64   `json:"token"` // under which the file was staged
	// Columns are those of the file, in its order.
	Columns []RejectedColumn `json:"columns"`
	// Delimiter divides the fields of RejectedRow.Record, and Null is the bare
	// token for null in it.
	Delimiter string `json:"delimiter"`
	Null      string `json:"null"`
}

// RejectedColumn is a column of a file with rejected rows, in the type that the
// file has for it: string in CSV.
type RejectedColumn struct {
	Name string        `json:"name"`
	Type registry.Type `json:"type"`
}

// rejectedKey names the header among the metadata of the Parquet file.
const rejectedKey = "blotter.rejected"

// rejectedSchema is the Parquet schema of rejected rows. No column is a column of
// the table: what the row holds stands in record.
func rejectedSchema() *parquet.Schema {
	text := func(optional bool) parquet.Node {
		node := parquet.Compressed(parquet.Encoded(parquet.String(), &parquet.Plain), &parquet.Zstd)
		if optional {
			return parquet.Optional(node)
		}
		return parquet.Required(node)
	}
	plain := func(t parquet.Type) parquet.Node {
		return parquet.Required(parquet.Compressed(parquet.Encoded(parquet.Leaf(t), &parquet.Plain), &parquet.Zstd))
	}
	root := orderedGroup{Group: parquet.Group{}}
	for _, f := range []orderedField{
		{plain(parquet.Int64Type), "row"}, {text(false), "code"}, {text(true), "column"}, {text(false), "expected"},
		{text(false), "message"}, {text(false), "hint"}, {text(true), "also"}, {plain(parquet.ByteArrayType), rejectedRecord},
	} {
		root.Group[f.name] = f.Node
		root.fields = append(root.fields, f)
	}
	return parquet.NewSchema("rejected", root)
}

const rejectedRecord = "record"

// rejects writes rejected rows to staged Parquet files, in file order. What it
// writes depends on the rows alone; it holds one row group.
type rejects struct {
	ctx    context.Context
	cfg    Config
	bucket objects.Bucket
	name   string // the objects' names without number and ending
	header string
	bind   *binding
	kinds  []registry.Kind // of the table's column for each of the file's

	row    parquet.Row
	record []byte
	file   *stagedObject
	writer *parquet.GenericWriter[any]
	rows   int // of the row group
	bytes  int // of the row group
	done   []*stagedObject
}

// newRejects makes ready for the bad rows of a file. Nothing is written while
// there are none.
func newRejects(ctx context.Context, t *transform, src source, bound *binding) (*rejects, error) {
	s := t.table.DMS
	file := t.job.File
	header := RejectedHeader{Table: t.job.Table.ID, FileID: file.ID, Kind: file.Kind, Order: file.Order, Part: file.Part, Token: t.job.Token, Delimiter: ","}
	if s.Format == registry.FormatCSV {
		header.Delimiter, header.Null = s.Delimiter, s.Null
	}
	for i, name := range bound.names {
		own, _ := src.typeOf(i)
		header.Columns = append(header.Columns, RejectedColumn{Name: name, Type: own})
	}
	encoded, err := json.Marshal(header)
	if err != nil {
		return nil, fmt.Errorf("encode the header of rejected rows: %w", err)
	}
	r := &rejects{ctx: ctx, cfg: t.cfg, bucket: t.deps.Staging, header: string(encoded), bind: bound,
		name: StagePrefix(t.job.Table.ID, t.job.File.ID, t.job.Token) + "rejected", kinds: make([]registry.Kind, len(bound.names))}
	for i, field := range bound.fields {
		if field >= 0 {
			r.kinds[field] = bound.table.Columns[i].Type.Kind
		}
	}
	for _, field := range []int{bound.op, bound.order} {
		if field >= 0 && r.kinds[field] == 0 {
			r.kinds[field] = registry.String
		}
	}
	for k, field := range bound.before {
		if field >= 0 {
			r.kinds[field] = bound.table.Columns[t.lay.key[k]].Type.Kind
		}
	}
	return r, nil
}

// add writes one row and what is wrong with it.
func (r *rejects) add(row fileRow, faults []Failure) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if r.file == nil {
		if err := r.begin(); err != nil {
			return err
		}
	}
	r.record = row.appendRecord(r.record[:0], r.kinds)
	first := faults[0]
	var also []string
	for _, f := range faults[1:] {
		also = append(also, strings.TrimSuffix(f.Code+" in "+f.Column, " in "))
	}
	text := func(i int, s string) parquet.Value { return parquet.ByteArrayValue([]byte(s)).Level(0, 0, i) }
	optional := func(i int, s string) parquet.Value {
		if s == "" {
			return parquet.NullValue().Level(0, 0, i)
		}
		return parquet.ByteArrayValue([]byte(s)).Level(0, 1, i)
	}
	r.row = append(r.row[:0], parquet.Int64Value(row.number()).Level(0, 0, 0), text(1, first.Code), optional(2, first.Column),
		text(3, first.Expected), text(4, first.Message), text(5, first.Hint), optional(6, strings.Join(also, ", ")),
		parquet.ByteArrayValue(r.record).Level(0, 0, 7))
	if _, err := r.writer.WriteRows([]parquet.Row{r.row}); err != nil {
		return fmt.Errorf("write rejected row: %w", err)
	}
	r.rows++
	r.bytes += len(r.record)
	r.file.staged.Rows++
	if r.rows < rejectGroupRows && r.bytes < rejectGroupBytes {
		return nil
	}
	if err := r.flush(); err != nil || r.file.out.n < r.cfg.MaxFileBytes {
		return err
	}
	return r.end()
}

func (r *rejects) begin() error {
	key := fmt.Sprintf("%s-%05d.parquet", r.name, len(r.done)+1)
	out, err := createHashed(r.ctx, r.bucket, key)
	if err != nil {
		return err
	}
	r.file = &stagedObject{out: out, staged: StagedParquet{Key: key}}
	r.writer = parquet.NewGenericWriter[any](out, rejectedSchema(),
		parquet.CreatedBy(createdApplication, createdVersion, createdBuild), parquet.DataPageStatistics(false),
		parquet.SkipPageBounds(rejectedRecord), parquet.KeyValueMetadata(rejectedKey, r.header))
	return nil
}

func (r *rejects) flush() error {
	if err := r.writer.Flush(); err != nil {
		return fmt.Errorf("write rejected rows: %w", err)
	}
	r.rows, r.bytes = 0, 0
	return nil
}

// end completes the file that is open.
func (r *rejects) end() error {
	if err := r.writer.Close(); err != nil {
		return fmt.Errorf("write rejected rows: %w", err)
	}
	r.file.staged.Bytes, r.file.staged.SHA256 = r.file.out.n, r.file.out.sum()
	r.done = append(r.done, r.file)
	r.file, r.writer, r.rows, r.bytes = nil, nil, 0, 0
	return nil
}

// commit completes the files and makes them visible; nil if no row was rejected.
func (r *rejects) commit(ctx context.Context) ([]StagedParquet, error) {
	if r.file != nil {
		if err := r.end(); err != nil {
			return nil, err
		}
	}
	var staged []StagedParquet
	for _, f := range r.done {
		if err := f.out.commit(ctx); err != nil {
			return nil, err
		}
		staged = append(staged, f.staged)
	}
	return staged, nil
}

// abort gives up whatever is not committed.
func (r *rejects) abort() error {
	files := r.done
	if r.file != nil {
		files = append(files, r.file)
	}
	var faults []error
	for _, f := range files {
		faults = append(faults, f.out.abort())
	}
	return errors.Join(faults...)
}
