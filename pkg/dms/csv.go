package dms

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"
)

// DefaultMaxField is the largest CSV field that a CSVReader takes unless told
// otherwise: 16 MiB.
const DefaultMaxField = 16 << 20

// CSVOptions say how a CSV file is written. The zero value is RFC 4180 with
// commas.
type CSVOptions struct {
	// Delimiter is one ASCII character, no quote and no line end; 0 is a comma.
	Delimiter byte
	// MaxField bounds the bytes of a field; 0 is DefaultMaxField. A record may
	// have twice as many, and 65,536 fields. The reader holds one record, and twice that while its
	// buffer grows.
	MaxField int
	// EmptyLines makes an empty line a record of one empty field, as it is in a
	// file of a single column. Otherwise empty lines are no records at all.
	EmptyLines bool
	// KeepNotUTF8 gives records with text that is not valid UTF-8, which tell of
	// it (see Record.NotUTF8), instead of ending with CSVNotUTF8. That is safe:
	// delimiters, quotes and line ends are ASCII, which no byte of a longer UTF-8
	// character is, so that such text cannot shift what follows it.
	KeepNotUTF8 bool
}

// Field is one field of a CSV record.
type Field struct {
	// Text is the field without its quotes, doubled quotes undone, line ends
	// within quotes as they are in the file. It is valid UTF-8, unless the record
	// says otherwise.
	Text []byte
	// Quoted tells that the field stood in quotes: it is text even where it
	// reads like the token for NULL.
	Quoted bool
}

// Record is one record of a CSV file. It and its fields are valid until the
// reader's next Read.
type Record struct {
	fields []Field
	row    int64
	offset int64
	bad    int // the first field that is not UTF-8, counted from 1; 0 if all are
}

// NotUTF8 gives the first field whose text is not valid UTF-8, counted from 0;
// false if there is none. Without CSVOptions.KeepNotUTF8 there never is.
func (r Record) NotUTF8() (field int, found bool) { return r.bad - 1, r.bad > 0 }

// Len is the number of fields.
func (r Record) Len() int { return len(r.fields) }

// Field gives field i, counted from 0.
func (r Record) Field(i int) Field { return r.fields[i] }

// Row is the record's number in the file, from 1; a header line counts.
func (r Record) Row() int64 { return r.row }

// Offset is where the record begins, in bytes of the uncompressed file.
func (r Record) Offset() int64 { return r.offset }

// CSVReader reads RFC 4180 strictly: what it does not understand exactly it
// refuses. Fields may hold line ends inside quotes. A record ends with LF, CRLF
// or the end of the file; a CR elsewhere is text. A byte order mark at the start
// is skipped. It allocates nothing per record. It is not safe for concurrent use.
type CSVReader struct {
	src       io.Reader
	comma     byte
	empty     bool
	keepBad   bool
	maxField  int
	maxRecord int

	buf        []byte // buf[start:end] is read from src and not yet given out
	start, end int
	base       int64 // offset in the file of buf[0]
	srcErr     error // what src ended with: io.EOF or a fault
	quote      int   // no quote lies in buf[start:quote]; one lies at quote if quoteAt
	quoteAt    bool
	begun      bool

	row    int64 // records given out
	fields []Field
	spans  []span
	bad    int // see Record
}

// NewCSVReader reads CSV from r. It buffers by itself.
func NewCSVReader(r io.Reader, opt CSVOptions) *CSVReader {
	c := &CSVReader{src: r, comma: opt.Delimiter, empty: opt.EmptyLines, keepBad: opt.KeepNotUTF8, maxField: opt.MaxField}
	if c.comma == 0 {
		c.comma = ','
	}
	if c.maxField <= 0 {
		c.maxField = DefaultMaxField
	}
	c.maxRecord = 2 * c.maxField
	c.buf = make([]byte, min(csvBuffer, max(c.maxRecord, 16)))
	return c
}

// EmptyLines sets CSVOptions.EmptyLines for the records that are not read yet,
// once those before have told how many columns the file has.
func (c *CSVReader) EmptyLines(records bool) { c.empty = records }

const csvBuffer = 256 << 10

// maxFields bounds the fields of a record, as no source has so many columns:
// each takes more memory than the byte that it may be in the file.
const maxFields = 1 << 16

// Read gives the next record, io.EOF after the last, a *CSVError for what is no
// valid CSV, or a fault of the reader below, wrapped. After an error the reader
// is of no further use.
func (c *CSVReader) Read() (Record, error) {
	if !c.begun {
		if err := c.skipMark(); err != nil {
			return Record{}, err
		}
	}
	c.bad = 0
	for {
		end, quoted, err := c.line()
		if err != nil {
			return Record{}, err
		}
		if quoted {
			return c.readQuoted()
		}
		offset := c.base + int64(c.start)
		text := c.buf[c.start:end]
		c.start = min(end+1, c.end)
		if n := len(text); n > 0 && text[n-1] == '\r' {
			text = text[:n-1]
		}
		if len(text) == 0 && !c.empty {
			continue
		}
		if err := c.split(text, offset); err != nil {
			return Record{}, err
		}
		c.row++
		return Record{fields: c.fields, row: c.row, offset: offset, bad: c.bad}, nil
	}
}

// skipMark skips a UTF-8 byte order mark.
func (c *CSVReader) skipMark() error {
	c.begun = true
	for c.end-c.start < 3 && c.srcErr == nil {
		if err := c.fill(); err != nil {
			return err
		}
	}
	if bytes.HasPrefix(c.buf[c.start:c.end], []byte("\xef\xbb\xbf")) {
		c.start += 3
	}
	return nil
}

// line finds the end of the line that begins at start: the index of its LF, or
// of the file's end. It stops early, with quoted, once a quote is seen: then
// the line's end need not be the record's.
func (c *CSVReader) line() (end int, quoted bool, err error) {
	from := c.start
	for {
		if i := bytes.IndexByte(c.buf[from:c.end], '\n'); i >= 0 {
			return from + i, c.quoteBefore(from + i), nil
		}
		if c.quoteBefore(c.end) {
			return 0, true, nil
		}
		if c.srcErr != nil {
			if c.srcErr != io.EOF {
				return 0, false, c.readError()
			}
			if c.start == c.end {
				return 0, false, io.EOF
			}
			return c.end, false, nil
		}
		seen := c.end - c.start
		if err := c.fill(); err != nil {
			return 0, false, err
		}
		from = c.start + seen
	}
}

// quoteBefore reports whether buf[start:limit] holds a quote. What it learns of
// the buffer it keeps, so that a file without quotes is searched once.
func (c *CSVReader) quoteBefore(limit int) bool {
	if c.quote < c.start {
		c.quote, c.quoteAt = c.start, false
	}
	if c.quote >= limit {
		return false
	}
	if !c.quoteAt {
		i := bytes.IndexByte(c.buf[c.quote:c.end], '"')
		if i < 0 {
			c.quote = c.end
			return false
		}
		c.quote, c.quoteAt = c.quote+i, true
	}
	return c.quote < limit
}

// split divides a line without quotes into fields.
func (c *CSVReader) split(text []byte, offset int64) error {
	line := text
	c.fields = c.fields[:0]
	for {
		i := bytes.IndexByte(text, c.comma)
		if i < 0 {
			break
		}
		if len(c.fields) == maxFields-1 {
			return c.fault(CSVRecordSize, maxFields, offset)
		}
		c.fields = append(c.fields, Field{Text: text[:i:i]})
		text = text[i+1:]
	}
	c.fields = append(c.fields, Field{Text: text})
	if len(line) <= c.maxField && utf8.Valid(line) {
		return nil
	}
	for i, f := range c.fields {
		if len(f.Text) > c.maxField {
			return c.fault(CSVFieldSize, i, offset)
		}
		if err := c.checkText(f.Text, i, offset); err != nil {
			return err
		}
		offset += int64(len(f.Text)) + 1
	}
	return nil
}

// checkText refuses the text of a field that is not UTF-8, or notes it.
func (c *CSVReader) checkText(text []byte, field int, offset int64) error {
	switch {
	case utf8.Valid(text):
	case !c.keepBad:
		return c.fault(CSVNotUTF8, field, offset)
	case c.bad == 0:
		c.bad = field + 1
	}
	return nil
}

// fill reads more behind end, and moves what is unread to the front or grows
// the buffer to make room for it. The end of src and its faults go to srcErr.
func (c *CSVReader) fill() error {
	if c.start > 0 {
		copy(c.buf, c.buf[c.start:c.end])
		c.base += int64(c.start)
		c.quote -= c.start
		c.end -= c.start
		c.start = 0
	}
	if c.end == len(c.buf) {
		if len(c.buf) >= c.maxRecord {
			return c.fault(CSVRecordSize, 0, c.base)
		}
		grown := make([]byte, min(2*len(c.buf), c.maxRecord))
		copy(grown, c.buf[:c.end])
		c.buf = grown
	}
	for range 100 {
		n, err := c.src.Read(c.buf[c.end:])
		c.end += n
		c.srcErr = err
		if n > 0 || err != nil {
			return nil
		}
	}
	c.srcErr = io.ErrNoProgress
	return nil
}

func (c *CSVReader) readError() error {
	return fmt.Errorf("read row %d: %w", c.row+1, c.srcErr)
}

func (c *CSVReader) fault(code CSVCode, field int, offset int64) error {
	return &CSVError{Code: code, Row: c.row + 1, Field: field, Offset: offset}
}
