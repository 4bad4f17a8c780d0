package transform

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
)

// A mended file is JSON, one object a line: first the RejectedHeader of the rows
// that it mends, then a MendedRow for each row that comes in or is dropped, by
// ascending number. It lies in the failed bucket, beside the rows as they were.

// maxMendedLine bounds a line of a mended file: a row is held in memory whole.
const maxMendedLine = 256 << 20

var errLongLine = errors.New("a line of it is too long")

// MendedRow is one row of a mended file.
type MendedRow struct {
	Row int64 `json:"row"`
	// Fields are those of the header's columns; nil is null.
	Fields []*string `json:"fields,omitempty"`
	// Drop gives the row up: it has no fields.
	Drop bool `json:"drop,omitempty"`
}

// MendedWriter writes a mended file.
type MendedWriter struct {
	enc  *json.Encoder
	last int64
}

// NewMendedWriter begins a mended file with its header.
func NewMendedWriter(out io.Writer, h RejectedHeader) (*MendedWriter, error) {
	w := &MendedWriter{enc: json.NewEncoder(out)}
	w.enc.SetEscapeHTML(false)
	if err := w.enc.Encode(h); err != nil {
		return nil, fmt.Errorf("write a mended file: %w", err)
	}
	return w, nil
}

// Write adds a row. It refuses one that does not follow the row before, or whose
// text is not UTF-8.
func (w *MendedWriter) Write(r MendedRow) error {
	if r.Row <= w.last {
		return fmt.Errorf("row %d follows row %d: rows stand by ascending number, each once", r.Row, w.last)
	}
	for i, f := range r.Fields {
		if f != nil && !utf8.ValidString(*f) {
			return fmt.Errorf("row %d, field %d: the text is not valid UTF-8", r.Row, i+1)
		}
	}
	w.last = r.Row
	if err := w.enc.Encode(r); err != nil {
		return fmt.Errorf("write a mended file: %w", err)
	}
	return nil
}

// mendedSource reads the rows of a mended file.
type mendedSource struct {
	in     *input
	key    string
	lines  *bufio.Reader
	most   int // bytes of a field
	header RejectedHeader
	names  []string
	rows   dms.RowSetBuilder
	drops  dms.RowSetBuilder
	last   int64
}

func newMendedSource(in *input, job Job, maxField int) (*mendedSource, error) {
	s := &mendedSource{in: in, key: job.File.Object.Key, lines: bufio.NewReaderSize(in.text, inputBuffer), most: maxField}
	err := decodeLine(s.lines, maxManifestBytes, &s.header)
	if err == nil && !s.header.of(job) {
		err = errOtherFile
	}
	if err != nil {
		return nil, s.failure(err, 0)
	}
	s.names = []string{}
	for _, c := range s.header.Columns {
		s.names = append(s.names, c.Name)
	}
	return s, nil
}

// failure tells a mended file that is none from a fault of reading it.
func (s *mendedSource) failure(err error, row int64) error {
	if s.in.raw.err != nil {
		return fmt.Errorf("read mended file %s: %w", s.key, s.in.raw.err)
	}
	message := "the file is no mended file"
	for _, known := range []error{errRowOrder, errLongLine, errOtherFile} {
		if errors.Is(err, known) {
			message = err.Error()
		}
	}
	return &Failure{Code: CodeFormat, ObjectKey: s.key, Row: row, Message: message,
		Expected: "what `blotter rejected replay` writes", Hint: "skip it, and mend the rows again"}
}

var (
	errRowOrder  = errors.New("its rows do not stand by ascending number")
	errOtherFile = errors.New("its first line names another file than the one that it is said to mend")
)

// of reports whether the header is of the file that the job's rows belong to.
func (h RejectedHeader) of(job Job) bool {
	m := job.File.Mending
	return h.Table == job.Table.ID && h.FileID == m.FileID && h.Kind == m.Kind && h.Order == m.Order && h.Part == job.File.Part && h.Token == m.Token
}

// decodeLine reads one line as one JSON object; io.EOF behind the last.
func decodeLine(in *bufio.Reader, most int, into any) error {
	var line []byte
	for {
		piece, err := in.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case len(line) > most:
			return errLongLine
		case err == nil || errors.Is(err, io.EOF) && len(line) > 0:
			dec := json.NewDecoder(bytes.NewReader(line))
			dec.DisallowUnknownFields()
			if err := dec.Decode(into); err != nil {
				return err
			}
			if _, err := dec.Token(); !errors.Is(err, io.EOF) {
				return errors.New("a line holds more than one object")
			}
			return nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

func (s *mendedSource) columns() []string { return s.names }

func (s *mendedSource) typeOf(field int) (registry.Type, bool) {
	t := s.header.Columns[field].Type
	return t, t.Kind != 0
}

func (s *mendedSource) each(ctx context.Context, _ *binding, bad *faults, do func(fileRow) error) error {
	row := &mendedRow{}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		row.MendedRow = MendedRow{}
		err := decodeLine(s.lines, maxMendedLine, &row.MendedRow)
		if errors.Is(err, io.EOF) && s.in.raw.err == nil {
			return nil
		}
		if err == nil && row.Row <= s.last {
			err = errRowOrder
		}
		if err != nil {
			return s.failure(err, s.last)
		}
		if s.last = row.Row; row.Drop {
			s.drops.Add(row.Row)
			continue
		}
		s.rows.Add(row.Row)
		s.checkFields(row, bad)
		if err := do(row); err != nil {
			return err
		}
	}
}

// checkFields notes what keeps a row from being read as one of its file.
func (s *mendedSource) checkFields(row *mendedRow, bad *faults) {
	if n := len(row.Fields); n != len(s.names) {
		bad.add(CodeColumnCount, row.Row, "", nil, func(f *Failure) {
			f.Message = fmt.Sprintf("the row has %s, its file has %d", columnsOf(n), len(s.names))
			f.Expected, f.Hint = columnsOf(len(s.names)), "mend its fields"
		})
		return
	}
	for i, text := range row.Fields {
		if text != nil && len(*text) > s.most {
			bad.add(string(dms.CSVFieldSize), row.Row, s.names[i], nil, func(f *Failure) {
				f.Message, f.Expected = "a field is too long", fmt.Sprintf("at most %d bytes", s.most)
				f.Hint = "mend the field"
			})
		}
	}
}

// cause: what is not JSON is no mended file.
func (s *mendedSource) cause(err error) error { return err }

func (s *mendedSource) finish(_ context.Context, o dms.Object) (Input, error) { return s.in.finish(o) }

var _ source = (*mendedSource)(nil)

// mendedRow is one row of a mended file. Its text is read as that of a CSV file is.
type mendedRow struct{ MendedRow }

func (r *mendedRow) number() int64 { return r.Row }

func (r *mendedRow) null(field int) bool { return r.Fields[field] == nil }

func (r *mendedRow) text(field int) []byte {
	if r.Fields[field] == nil {
		return nil
	}
	return []byte(*r.Fields[field])
}

func (r *mendedRow) micros(field int) (int64, bool) {
	return parseTimestamp(r.text(field), registry.TimestampTZ)
}

func (r *mendedRow) set(b *rowBuilder, i, field int) bool { return b.setText(i, r.text(field)) }

func (r *mendedRow) shown(field int) []byte { return r.text(field) }

// appendRecord is not asked for: mended rows are not set aside again.
func (r *mendedRow) appendRecord(dst []byte, _ []registry.Kind) []byte { return dst }

var _ fileRow = (*mendedRow)(nil)

// maxTold bounds the faults that a check of mended rows tells of.
const maxTold = 100

// MendedFile is what a check found in a mended file.
type MendedFile struct {
	Header  RejectedHeader
	Rows    dms.RowSet // that come in
	Dropped dms.RowSet
	// Faults are what is wrong with its rows by the registration, at most 100; the
	// file can come in if there are none.
	Faults []Failure
}

// CheckMended reads a mended file and checks its rows as Run will. The file's
// Mending need not name rows. It fails like Run for what is no mended file.
//
// A fault has its value only if the table's reports show values.
func CheckMended(ctx context.Context, cfg Config, bucket objects.Bucket, job Job) (m *MendedFile, err error) {
	object, err := openObject(ctx, bucket, job.File.Object)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	t := newTransform(cfg, Deps{}, job)
	src, err := openSource(ctx, object, job, cfg)
	if err != nil {
		return nil, t.located(err)
	}
	s, ok := src.(*mendedSource)
	if !ok {
		return nil, fmt.Errorf("check %s: it is not told as a mended file", job.File.Object.Key)
	}
	m = &MendedFile{Header: s.header}
	kind, _ := job.File.Place()
	table := refine(t.job.Table, src)
	bound, failure := bind(table, len(job.Table.Columns), kind, src)
	if failure != nil {
		return nil, t.located(failure)
	}
	faults := newFaults(job.File.Object.Key, table.Reports.ShowValues, true)
	c := newConverter(table, kind, newLayout(table, kind), bound, faults, func(record) error { return nil })
	c.told = func(row []Failure) {
		m.Faults = append(m.Faults, row[:min(len(row), maxTold-len(m.Faults))]...)
	}
	if err := src.each(ctx, bound, faults, c.convert); err != nil {
		return nil, t.located(err)
	}
	m.Rows, m.Dropped = s.rows.Set(), s.drops.Set()
	_, err = s.finish(ctx, job.File.Object)
	return m, err
}

// ReadMendedHeader reads the header of a mended file in the failed bucket.
func ReadMendedHeader(ctx context.Context, bucket objects.Bucket, key string) (h RejectedHeader, err error) {
	object, err := bucket.Open(ctx, key, objects.Version{})
	if err != nil {
		return h, fmt.Errorf("open mended file %s: %w", key, err)
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	err = decodeLine(bufio.NewReader(object), maxManifestBytes, &h)
	if err != nil || h.FileID == "" {
		return h, fmt.Errorf("mended file %s: %w: its first line names no file", key, ErrCorrupt)
	}
	return h, nil
}

// Same reports whether two headers are of one file, staged under one token.
func (h RejectedHeader) Same(o RejectedHeader) bool {
	return h.Table == o.Table && h.FileID == o.FileID && h.Kind == o.Kind && h.Order == o.Order && h.Part == o.Part &&
		h.Token == o.Token && slices.Equal(h.Columns, o.Columns)
}

// Mending names the file that rows with this header belong to, without rows.
func (h RejectedHeader) Mending() dms.Mending {
	return dms.Mending{FileID: h.FileID, Kind: h.Kind, Order: h.Order, Token: h.Token}
}
