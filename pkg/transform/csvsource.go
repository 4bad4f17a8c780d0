package transform

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// The scanner hands rows on in batches that end with any of these. Fields count
// since an empty one takes no byte of a batch.
const (
	batchRows   = 512
	batchBytes  = 256 << 10
	batchFields = 1 << 15
	batchCount  = 4 // in flight
)

// csvSource reads the rows of a CSV file: one goroutine scans, the caller's
// converts.
type csvSource struct {
	in     *input
	key    string
	null   string
	reader *dms.CSVReader
	part   dms.Part // zero, or the rows of a transaction file that are taken
	names  []string
	first  *textBatch // the first row of a headerless file
	opt    dms.CSVOptions
}

// newCSVSource reads as much as names the columns. A file without any row has
// none: names is nil then.
func newCSVSource(in *input, job Job, maxField int) (*csvSource, error) {
	t := job.Table
	s := &csvSource{in: in, key: job.File.Object.Key, null: t.DMS.Null, part: job.File.Part}
	s.opt = dms.CSVOptions{Delimiter: ',', MaxField: maxField, EmptyLines: mayBeOneColumn(job), KeepNotUTF8: t.OnBadRow == registry.OnBadRowQuarantine}
	if t.DMS.Delimiter != "" {
		s.opt.Delimiter = t.DMS.Delimiter[0]
	}
	s.reader = dms.NewCSVReader(in.text, s.opt)
	first, err := s.read()
	if errors.Is(err, io.EOF) && in.raw.err == nil {
		if t.DMS.Header {
			return nil, noHeader(s.key)
		}
		return s, s.missing()
	}
	if err != nil {
		return nil, s.cause(s.failure(err))
	}
	if t.DMS.Header {
		if field, bad := first.NotUTF8(); bad {
			return nil, s.failure(&dms.CSVError{Code: dms.CSVNotUTF8, Row: first.Row(), Field: field, Offset: first.Offset()})
		}
		for i := range first.Len() {
			s.names = append(s.names, string(first.Field(i).Text))
		}
		s.reader.EmptyLines(len(s.names) == 1)
		return s, nil
	}
	s.reader.EmptyLines(first.Len() == 1)
	s.first = newTextBatch(s.opt.Delimiter)
	s.add(s.first, first)
	if s.names, err = headerlessColumns(job, s.first.rows[0].width, first.Row()); err != nil {
		return nil, s.cause(err)
	}
	if s.part.IsZero() && isHeader(s.first, t, s.names) {
		return nil, s.cause(unregisteredHeader(s.key, first.Row()))
	}
	return s, nil
}

// read gives the next row that is taken.
func (s *csvSource) read() (dms.Record, error) {
	for {
		r, err := s.reader.Read()
		if err != nil || s.part.IsZero() {
			return r, err
		}
		if r.Len() >= fieldsBefore && string(r.Field(fieldTable).Text) == s.part.Table &&
			string(r.Field(fieldSchema).Text) == s.part.Schema {
			return r, nil
		}
	}
}

// add copies a row into a batch, but for the fields of a transaction file that
// told whose it is.
func (s *csvSource) add(b *textBatch, r dms.Record) {
	if s.part.IsZero() {
		b.add(r, 0)
		return
	}
	b.add(r, fieldsBefore-1)
}

// missing refuses a transaction file without any row of the part: its split has
// counted some.
func (s *csvSource) missing() error {
	if s.part.IsZero() {
		return nil
	}
	return &Failure{Code: CodePart, ObjectKey: s.key, Message: fmt.Sprintf("the transaction file holds no row of %s", s.part),
		Expected: "the rows that its split has counted", Hint: "give all tables of the database the delimiter that the transaction files have, apply, and resume with --retry"}
}

// mayBeOneColumn reports whether the first line of a file, should it be empty, is
// a row: a layout for a single column fits the file. Of the lines after it the
// first row decides: in a file of one column an empty line is a row like any
// other, in a wider one it is none.
func mayBeOneColumn(job Job) bool {
	if job.Table.DMS.Header || !job.File.Part.IsZero() {
		return false
	}
	_, err := headerlessColumns(job, 1, 1)
	return err == nil
}

func (s *csvSource) columns() []string { return s.names }

func (s *csvSource) typeOf(int) (registry.Type, bool) {
	return registry.Type{Kind: registry.String}, true
}

// cause reads the rest of a compressed file: damaged data can decode to anything
// long before the checksum tells.
func (s *csvSource) cause(err error) error {
	var f *Failure
	if !s.in.gzip || !errors.As(err, &f) || f.Code == CodeGzip {
		return err
	}
	if _, rest := io.Copy(io.Discard, s.in.text); rest != nil {
		return s.in.readFailure(s.key, rest)
	}
	return err
}

func (s *csvSource) finish(_ context.Context, o dms.Object) (Input, error) { return s.in.finish(o) }

var _ source = (*csvSource)(nil)

// each passes every row to do. It ends with the first error of do, a *Failure
// for a file that is no CSV, or a fault of reading.
func (s *csvSource) each(ctx context.Context, _ *binding, bad *faults, do func(fileRow) error) error {
	group, ctx := errgroup.WithContext(ctx)
	// Each channel has room for all batches, so that only taking one can block.
	full, free := make(chan *textBatch, batchCount+1), make(chan *textBatch, batchCount+1)
	for range batchCount {
		free <- newTextBatch(s.opt.Delimiter)
	}
	group.Go(func() error {
		defer close(full)
		if s.first != nil {
			full <- s.first
		}
		return s.scan(ctx, free, full)
	})
	group.Go(func() error {
		row := &textRow{token: s.null}
		for b := range full {
			row.batch = b
			if err := s.convert(row, bad, do); err != nil {
				return err
			}
			b.reset()
			free <- b
		}
		return nil
	})
	return group.Wait()
}

// scan fills batches until the file ends.
func (s *csvSource) scan(ctx context.Context, free, full chan *textBatch) error {
	for {
		var b *textBatch
		select {
		case b = <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
		for !b.isFull() {
			r, err := s.read()
			if err != nil {
				full <- b
				if errors.Is(err, io.EOF) && s.in.raw.err == nil {
					return nil
				}
				return s.failure(err)
			}
			s.add(b, r)
		}
		full <- b
	}
}

func (s *csvSource) convert(row *textRow, bad *faults, do func(fileRow) error) error {
	for i := range row.batch.rows {
		row.at(i)
		if n := row.len(); n != len(s.names) {
			of, left := "the file", 0
			if !s.part.IsZero() {
				of, left = "the first row of its table", fieldsBefore-1
			}
			bad.add(CodeColumnCount, row.number(), "", nil, func(f *Failure) {
				f.Message = fmt.Sprintf("the row has %s, %s has %d", columnsOf(n+left), of, len(s.names)+left)
				f.Expected = columnsOf(len(s.names) + left)
				f.Hint = "have DMS write the file again; no row may shift into wrong columns"
				if !bad.oneByOne { // else the file is published without the row
					f.Hint = "have DMS write the file again, which is then a file of its own, and skip this one; no row may shift into wrong columns"
				}
			})
		} else if field, found := row.notUTF8(); found {
			bad.add(string(dms.CSVNotUTF8), row.number(), s.names[field], nil, func(f *Failure) {
				f.Message, f.Expected, f.Hint = notUTF8Message, csvExpected, csvHint
				if !bad.oneByOne {
					f.Hint += wholeHint
				}
			})
		}
		if err := do(row); err != nil {
			return err
		}
	}
	return nil
}

const (
	notUTF8Message = "the text is not valid UTF-8"
	csvExpected    = "CSV as RFC 4180 defines it, in UTF-8"
	csvHint        = "check delimiter, quoting and character set of the DMS endpoint"
	// wholeHint is what to do with the file, where none of it can be read.
	wholeHint = "; if the registered delimiter was wrong, apply and resume with --retry, " +
		"else have DMS write the file again, which is then a file of its own, and skip this one"
)

// failure tells a fault of the CSV text from a fault of reading it.
func (s *csvSource) failure(err error) error {
	e, ok := dms.AsCSVError(err)
	if !ok {
		return s.in.readFailure(s.key, err)
	}
	f := &Failure{Code: string(e.Code), ObjectKey: s.key, Message: e.Error(), Row: e.Row,
		Expected: csvExpected, Hint: csvHint + wholeHint}
	if e.Field < len(s.names) && s.part.IsZero() {
		f.Column = s.names[e.Field]
	}
	return f
}
