package transform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
)

// RejectedRow is one row that was set aside, and why.
type RejectedRow struct {
	Row      int64 // in its file, from 1
	Code     string
	Column   string // empty if it belongs to none
	Expected string
	Message  string
	Hint     string
	// Also names what else is wrong with the row: codes and columns.
	Also string
	// Record is the row itself as a CSV record without its line end: of a CSV file
	// its very bytes; of a Parquet file every value in quotes and nothing for null.
	Record []byte
}

// RejectedField is one field of a rejected row.
type RejectedField struct {
	Text []byte
	Null bool
}

// Fields takes the record apart. There may be more or fewer than the file has
// columns, and their text may be no UTF-8: that may be why the row was rejected.
func (h RejectedHeader) Fields(r RejectedRow) ([]RejectedField, error) {
	// A line before it keeps a mark at its start from being taken for the file's; a
	// CRLF behind it keeps a CR at its end.
	text := append(append([]byte("\n"), r.Record...), '\r', '\n')
	opt := dms.CSVOptions{MaxField: len(text), EmptyLines: true, KeepNotUTF8: true}
	if h.Delimiter != "" {
		opt.Delimiter = h.Delimiter[0]
	}
	in := dms.NewCSVReader(bytes.NewReader(text), opt)
	if _, err := in.Read(); err != nil {
		return nil, fmt.Errorf("take rejected row %d apart: %w", r.Row, err)
	}
	record, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("take rejected row %d apart: %w", r.Row, err)
	}
	fields := make([]RejectedField, record.Len())
	for i := range fields {
		f := record.Field(i)
		fields[i] = RejectedField{Text: bytes.Clone(f.Text), Null: !f.Quoted && string(f.Text) == h.Null}
	}
	return fields, nil
}

// Value gives the field that a rejected row was rejected for; nil if it belongs
// to no field, or is null.
func (h RejectedHeader) Value(r RejectedRow) []byte {
	fields, err := h.Fields(r)
	if err != nil {
		return nil
	}
	for i, c := range h.Columns {
		if c.Name == r.Column && i < len(fields) && !fields[i].Null {
			return fields[i].Text
		}
	}
	return nil
}

// RejectedReader reads a file of rejected rows.
type RejectedReader struct {
	Header RejectedHeader
	key    string
	object objects.Reader
	file   *parquet.File
}

// OpenRejected opens a file of rejected rows, wherever it lies. It fails with
// ErrCorrupt if it is none. Close the reader after use.
func OpenRejected(ctx context.Context, bucket objects.Bucket, key string) (*RejectedReader, error) {
	object, err := bucket.Open(ctx, key, objects.Version{})
	if err != nil {
		return nil, fmt.Errorf("open rejected rows %s: %w", key, err)
	}
	r := &RejectedReader{key: key, object: object}
	if err := r.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open rejected rows %s: %w: %w", key, ErrCorrupt, err), object.Close())
	}
	return r, nil
}

func (r *RejectedReader) open() (err error) {
	if r.file, err = parquet.OpenFile(r.object, r.object.Info().Size, parquet.SkipBloomFilters(true)); err != nil {
		return err
	}
	want := rejectedSchema().Fields()
	got := r.file.Schema().Fields()
	for i, f := range want {
		if len(got) != len(want) || got[i].Name() != f.Name() || !got[i].Leaf() || got[i].Type().Kind() != f.Type().Kind() {
			return errors.New("it has other columns")
		}
	}
	header, ok := r.file.Lookup(rejectedKey)
	if !ok {
		return errors.New("its metadata name no file")
	}
	return json.Unmarshal([]byte(header), &r.Header)
}

// Close frees the object.
func (r *RejectedReader) Close() error { return r.object.Close() }

// Count is how many rows there are.
func (r *RejectedReader) Count() int64 { return r.file.NumRows() }

// Rows yields the rows in the order of their file; it stops at the first error,
// which it yields.
func (r *RejectedReader) Rows(ctx context.Context) iter.Seq2[RejectedRow, error] {
	return func(yield func(RejectedRow, error) bool) {
		for _, group := range r.file.RowGroups() {
			if err := r.group(ctx, group, yield); err != nil {
				if !errors.Is(err, errStopped) {
					yield(RejectedRow{}, fmt.Errorf("read rejected rows %s: %w", r.key, err))
				}
				return
			}
		}
	}
}

func (r *RejectedReader) group(ctx context.Context, group parquet.RowGroup, yield func(RejectedRow, error) bool) error {
	rows := group.Rows()
	buf := make([]parquet.Row, 16)
	for {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, rows.Close())
		}
		n, err := rows.ReadRows(buf)
		for _, v := range buf[:n] {
			if len(v) != len(rejectedSchema().Fields()) {
				return errors.Join(ErrCorrupt, rows.Close())
			}
			if !yield(rejectedRow(v), nil) {
				return errors.Join(errStopped, rows.Close())
			}
		}
		if errors.Is(err, io.EOF) {
			return rows.Close()
		}
		if err != nil {
			return errors.Join(err, rows.Close())
		}
	}
}

func rejectedRow(v parquet.Row) RejectedRow {
	text := func(i int) string {
		if v[i].IsNull() {
			return ""
		}
		return string(v[i].ByteArray())
	}
	return RejectedRow{Row: v[0].Int64(), Code: text(1), Column: text(2), Expected: text(3), Message: text(4),
		Hint: text(5), Also: text(6), Record: bytes.Clone(v[7].ByteArray())}
}
