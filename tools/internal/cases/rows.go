package cases

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// Cell is one value of a row, as text in the format of the expected rows: int
// plain; decimal with its scale; float and double in any spelling of the number;
// date YYYY-MM-DD; timestamp with six decimals, with time zone in UTC with
// +00:00; boolean true or false; binary in lower-case hex.
type Cell struct {
	Text string
	Null bool
}

// nullToken is null in the expected rows, where it stands without quotes.
const nullToken = `\N`

// Rows are the rows of a table. Seq may be ranged over once, and stops after
// the first error; a row is valid until the next one is asked for.
type Rows struct {
	Columns []string
	Seq     iter.Seq2[[]Cell, error]
}

// ReadCSV reads rows as the expected rows are written: RFC 4180 with a header,
// `\N` without quotes for null. Unlike most readers it keeps line endings
// inside quotes as they are.
func ReadCSV(r io.Reader) (Rows, error) {
	reader := &csvReader{in: bufio.NewReaderSize(r, 1<<16)}
	header, err := reader.record()
	if err == io.EOF {
		return Rows{}, errors.New("there is no header line")
	}
	if err != nil {
		return Rows{}, err
	}
	rows := Rows{Columns: make([]string, len(header))}
	for i, cell := range header {
		rows.Columns[i] = cell.Text
	}
	rows.Seq = func(yield func([]Cell, error) bool) {
		for {
			row, err := reader.record()
			if err == io.EOF {
				return
			}
			if err == nil && len(row) != len(rows.Columns) {
				err = fmt.Errorf("record %d has %d fields, the header %d", reader.records-1, len(row), len(rows.Columns))
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
	return rows, nil
}

// OpenCSV is ReadCSV for a file; close it when the rows have been read.
func OpenCSV(path string) (Rows, io.Closer, error) {
	f, err := os.Open(path)
	if err != nil {
		return Rows{}, nil, fmt.Errorf("open expected rows: %w", err)
	}
	rows, err := ReadCSV(f)
	if err != nil {
		return Rows{}, nil, errors.Join(fmt.Errorf("read %s: %w", path, err), f.Close())
	}
	return rows, f, nil
}

type csvReader struct {
	in      *bufio.Reader
	cells   []Cell
	field   []byte
	records int
}

// record reads one record; io.EOF after the last.
func (r *csvReader) record() ([]Cell, error) {
	r.cells = r.cells[:0]
	r.records++
	if _, err := r.in.Peek(1); err != nil {
		return nil, err
	}
	for {
		more, err := r.readField()
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", r.records, err)
		}
		if !more {
			return r.cells, nil
		}
	}
}

// readField reads one field and what ends it; more tells that a comma did.
func (r *csvReader) readField() (more bool, err error) {
	r.field = r.field[:0]
	quoted, open := false, false
	for {
		b, err := r.in.ReadByte()
		switch {
		case err == io.EOF && open:
			return false, io.ErrUnexpectedEOF
		case err != nil && err != io.EOF:
			return false, err
		case err == io.EOF, b == '\n' && !open:
			if !quoted && len(r.field) > 0 && r.field[len(r.field)-1] == '\r' {
				r.field = r.field[:len(r.field)-1]
			}
			r.add(quoted)
			return false, nil
		case open && b == '"':
			if next, err := r.in.Peek(1); err == nil && next[0] == '"' {
				_, _ = r.in.Discard(1) // it was peeked at
				r.field = append(r.field, '"')
			} else {
				open = false
			}
		case open:
			r.field = append(r.field, b)
		case b == ',':
			r.add(quoted)
			return true, nil
		case b == '"' && len(r.field) == 0 && !quoted:
			quoted, open = true, true
		case quoted && b == '\r': // of the line ending
		case quoted || b == '"':
			return false, fmt.Errorf("a quote stands where none may")
		default:
			r.field = append(r.field, b)
		}
	}
}

func (r *csvReader) add(quoted bool) {
	text := string(r.field)
	if !quoted && text == nullToken {
		r.cells = append(r.cells, Cell{Null: true})
		return
	}
	r.cells = append(r.cells, Cell{Text: text})
}
