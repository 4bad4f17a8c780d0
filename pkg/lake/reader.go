package lake

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/registry"
)

// slabRows is how many rows are decoded at a time.
const slabRows = 1024

// rowReader reads some columns of a Parquet file, row by row in file order, by
// field id and converted to the types asked for; a column that the file lacks
// reads as null. Values are valid until the reader leaves their slab, and
// beyond as long as retire does not release their page.
type rowReader struct {
	file *parquet.File
	cols []columnReader
	// row is the number of the current row in the file, from 0; -1 before the
	// first next.
	row int64

	group      int   // the row group of the slab
	groupFirst int64 // its first row in the file
	first      int64 // the first row of the slab
	vals       [][]parquet.Value
	n, at      int
	whole      bool // the slab is all there is
	retire     func(parquet.Page)
}

// columnReader reads one column of the current row group.
type columnReader struct {
	column  int // in the file; -1 if it has none
	convert func(parquet.Value) parquet.Value
	target  int // the column index that values carry
	pages   parquet.Pages
	page    parquet.Page
	values  parquet.ValueReader
	left    int64 // values of the page that are not read yet
	skip    int64 // rows of the row group to go to before the next page; -1 none
	buf     []parquet.Value
}

// newRowReader reads the wanted columns; in the values' column index each stands
// at its place in want.
func newRowReader(file *parquet.File, want []registry.Column) (*rowReader, error) {
	r := &rowReader{file: file, row: -1, group: -1, cols: make([]columnReader, len(want)), vals: make([][]parquet.Value, len(want)), retire: parquet.Release}
	for i, w := range want {
		c := columnReader{column: -1, target: i, skip: -1, buf: make([]parquet.Value, slabRows)}
		for j, f := range file.Schema().Fields() {
			if f.ID() != w.ID {
				continue
			}
			if !f.Leaf() || f.Repeated() {
				return nil, fmt.Errorf("column %s is not of a plain type", f.Name())
			}
			convert, err := conversion(f.Type(), w.Type)
			if err != nil {
				return nil, fmt.Errorf("column %s: %w", f.Name(), err)
			}
			leaf, ok := file.Schema().Lookup(f.Name())
			if !ok {
				return nil, fmt.Errorf("column %s is missing", f.Name())
			}
			c.column, c.convert = leaf.ColumnIndex, convert
			_ = j
			break
		}
		r.cols[i] = c
	}
	return r, nil
}

// next goes to the next row; false at the end.
func (r *rowReader) next() (bool, error) {
	r.row++
	if r.at++; r.at < r.n {
		return true, nil
	}
	if r.whole {
		return false, nil
	}
	return r.fill()
}

// seek goes to a row that is not before the current one.
func (r *rowReader) seek(row int64) error {
	if r.n > 0 && row >= r.first && row < r.first+int64(r.n) {
		r.at, r.row = int(row-r.first), row
		return nil
	}
	groups := r.file.RowGroups()
	if r.group < 0 {
		r.group = 0
	}
	for r.group < len(groups) && row >= r.groupFirst+groups[r.group].NumRows() {
		if err := r.leaveGroup(); err != nil {
			return err
		}
	}
	if r.group >= len(groups) {
		return fmt.Errorf("row %d of %d", row, r.file.NumRows())
	}
	for i := range r.cols {
		c := &r.cols[i]
		if end := r.first + int64(r.n); r.n > 0 && c.page != nil && row-end < c.left && row >= end {
			if err := c.discard(row - end); err != nil {
				return err
			}
			continue
		}
		c.drop(r.retire)
		c.skip = row - r.groupFirst
	}
	r.row, r.first, r.n, r.at = row, row, 0, 0
	_, err := r.fill()
	return err
}

// errPages: damaged pages have sent the Parquet reader astray.
var errPages = errors.New("its pages are damaged")

// fill decodes the slab that begins at r.row. A panic of the Parquet reader is a
// fault of the file: one bad file must not end the process.
func (r *rowReader) fill() (more bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			more, err = false, fmt.Errorf("read row group %d: %w: %v", r.group, errPages, p)
		}
	}()
	groups := r.file.RowGroups()
	if r.group < 0 {
		r.group = 0
	}
	for r.group < len(groups) && r.row >= r.groupFirst+groups[r.group].NumRows() {
		if err := r.leaveGroup(); err != nil {
			return false, err
		}
	}
	r.n, r.at, r.first = 0, 0, r.row
	if r.group >= len(groups) {
		return false, nil
	}
	chunks := groups[r.group].ColumnChunks()
	n := min(slabRows, r.groupFirst+groups[r.group].NumRows()-r.row)
	for i := range r.cols {
		c := &r.cols[i]
		if c.column < 0 {
			continue
		}
		if err := c.load(chunks[c.column], r.retire); err != nil {
			return false, fmt.Errorf("read row group %d, column %d: %w", r.group, c.column, err)
		}
		n = min(n, c.left)
	}
	for i := range r.cols {
		vals, err := r.cols[i].read(int(n))
		if err != nil {
			return false, fmt.Errorf("read row group %d, column %d: %w", r.group, r.cols[i].column, err)
		}
		r.vals[i] = vals
	}
	r.n = int(n)
	return n > 0, nil
}

func (r *rowReader) leaveGroup() error {
	r.groupFirst += r.file.RowGroups()[r.group].NumRows()
	r.group++
	r.n = 0
	return r.closePages()
}

func (r *rowReader) closePages() error {
	var errs []error
	for i := range r.cols {
		c := &r.cols[i]
		c.drop(r.retire)
		c.skip = -1
		if c.pages != nil {
			errs = append(errs, c.pages.Close())
			c.pages = nil
		}
	}
	return errors.Join(errs...)
}

// value is that of a column in the current row.
func (r *rowReader) value(col int) parquet.Value { return r.vals[col][r.at] }

// load makes sure that a page with unread values is at hand.
func (c *columnReader) load(chunk parquet.ColumnChunk, retire func(parquet.Page)) error {
	if c.pages == nil {
		c.pages = chunk.Pages()
	}
	if c.skip >= 0 {
		if err := c.pages.SeekToRow(c.skip); err != nil {
			return err
		}
		c.skip = -1
	}
	for c.left == 0 {
		c.drop(retire)
		page, err := c.pages.ReadPage()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		c.page, c.values, c.left = page, page.Values(), page.NumValues()
	}
	return nil
}

func (c *columnReader) drop(retire func(parquet.Page)) {
	if c.page != nil {
		retire(c.page)
	}
	c.page, c.values, c.left = nil, nil, 0
}

// discard leaves out values of the page.
func (c *columnReader) discard(n int64) error {
	for n > 0 {
		k, err := c.readSome(c.buf[:min(n, slabRows)])
		if err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}

func (c *columnReader) readSome(buf []parquet.Value) (int, error) {
	n, err := c.values.ReadValues(buf)
	c.left -= int64(n)
	if n == 0 && err == nil || n == 0 && errors.Is(err, io.EOF) {
		return 0, io.ErrUnexpectedEOF
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return n, err
	}
	return n, nil
}

// read decodes n values, all of them of the page at hand.
func (c *columnReader) read(n int) ([]parquet.Value, error) {
	if c.column < 0 {
		for i := range c.buf[:n] {
			c.buf[i] = parquet.NullValue().Level(0, 0, c.target)
		}
		return c.buf[:n], nil
	}
	for got := 0; got < n; {
		k, err := c.readSome(c.buf[got:n])
		if err != nil {
			return nil, err
		}
		got += k
	}
	if c.convert != nil {
		for i, v := range c.buf[:n] {
			if !v.IsNull() {
				c.buf[i] = c.convert(v)
			}
		}
	}
	return c.buf[:n], nil
}
