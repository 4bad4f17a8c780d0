package transform

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parquet-go/parquet-go"
)

const (
	// maxWideScratch bounds what the values of one wide row group may take on disk.
	// It is less than the largest scratch space of a Lambda function.
	maxWideScratch = 8 << 30
	// maxWideRow bounds one row of it, which is held whole, and copied on its way.
	maxWideRow = maxGroupMemory
	// wideBuffers bounds the read buffers of all columns of a wide row group together.
	wideBuffers = 16 << 20
	// valuesAtOnce is how many values of one column are decoded at a time.
	valuesAtOnce = 256
)

// wideGroup reads a row group whose columns cannot be decoded beside each other: a
// page of each is held then, and DMS writes pages of 1 MiB for each of up to some
// thousand columns. So it lays out the values of one column after the other in a
// scratch file, and then reads all of them from there, row by row. One column is
// decoded at a time; the file is removed by close.
type wideGroup struct {
	limit   int64 // bytes of scratch
	longest int64 // bytes of a row
	file    *os.File
	size    int64
	columns []wideColumn
	row     parquet.Row
	arena   []byte // the values of a row
	ends    []int  // in arena, of each column's value
	null    []bool
}

// wideColumn is where the values of a column lie.
type wideColumn struct {
	kind       parquet.Kind
	begin, end int64
	r          *bufio.Reader
}

func newWideGroup(dir *scratch, limit, longest int64) (*wideGroup, error) {
	path, err := dir.file("wide")
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create scratch file for a wide row group: %w", err)
	}
	return &wideGroup{limit: limit, longest: longest, file: f}, nil
}

func (w *wideGroup) close() error {
	return errors.Join(w.file.Close(), os.Remove(w.file.Name()))
}

// scratchError is a fault of the scratch file, not of the object that is read.
type scratchError struct{ err error }

func (e *scratchError) Error() string { return "scratch file for a wide row group: " + e.err.Error() }
func (e *scratchError) Unwrap() error { return e.err }

// lay writes all values of the group, column by column.
func (w *wideGroup) lay(ctx context.Context, group parquet.RowGroup) error {
	out := bufio.NewWriterSize(w.file, maxRunBuffer)
	for _, chunk := range group.ColumnChunks() {
		begin := w.size
		n, err := w.layColumn(ctx, chunk, out)
		if err != nil {
			return err
		}
		if n != group.NumRows() {
			return fmt.Errorf("a row group has %d rows, column %d of it %d values", group.NumRows(), len(w.columns)+1, n)
		}
		w.columns = append(w.columns, wideColumn{kind: chunk.Type().Kind(), begin: begin, end: w.size})
	}
	if err := out.Flush(); err != nil {
		return &scratchError{err}
	}
	return nil
}

func (w *wideGroup) layColumn(ctx context.Context, chunk parquet.ColumnChunk, out *bufio.Writer) (n int64, err error) {
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	for {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		k, err := w.layPage(page, out)
		parquet.Release(page)
		if n += k; err != nil {
			return n, err
		}
	}
}

// layPage writes each value as its length plus one and its bytes; zero is null.
func (w *wideGroup) layPage(page parquet.Page, out *bufio.Writer) (count int64, err error) {
	var length [binary.MaxVarintLen64]byte
	var raw []byte
	values, buf := page.Values(), make([]parquet.Value, valuesAtOnce)
	for {
		n, err := values.ReadValues(buf)
		count += int64(n)
		for _, v := range buf[:n] {
			size := 0
			if !v.IsNull() {
				raw = v.AppendBytes(raw[:0])
				size = len(raw) + 1
			}
			head := binary.PutUvarint(length[:], uint64(size))
			if w.size += int64(head + max(size-1, 0)); w.size > w.limit {
				return count, &unreadError{what: fmt.Sprintf("the values of a row group have more than %d GiB", w.limit>>30), expected: "smaller row groups"}
			}
			if _, err := out.Write(length[:head]); err != nil {
				return count, &scratchError{err}
			}
			if size > 0 {
				if _, err := out.Write(raw); err != nil {
					return count, &scratchError{err}
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return count, nil
		}
		if err != nil {
			return count, err
		}
		if n == 0 {
			return count, io.ErrNoProgress
		}
	}
}

// rewind makes ready for next.
func (w *wideGroup) rewind() {
	size := min(max(wideBuffers/max(len(w.columns), 1), minRunBuffer), maxRunBuffer)
	for i := range w.columns {
		c := &w.columns[i]
		c.r = bufio.NewReaderSize(io.NewSectionReader(w.file, c.begin, c.end-c.begin), size)
	}
	w.row = make(parquet.Row, len(w.columns))
	w.ends, w.null = make([]int, len(w.columns)), make([]bool, len(w.columns))
}

// next gives the next row, which is valid until the one after.
func (w *wideGroup) next() (parquet.Row, error) {
	w.arena = w.arena[:0]
	for i := range w.columns {
		c := &w.columns[i]
		size, err := binary.ReadUvarint(c.r)
		if err != nil {
			return nil, &scratchError{err}
		}
		if w.null[i] = size == 0; !w.null[i] {
			begin := len(w.arena)
			if size-1 > uint64(w.longest-int64(begin)) {
				return nil, &unreadError{what: fmt.Sprintf("the values of a row have more than %d MiB together", w.longest>>20), expected: "smaller rows"}
			}
			w.arena = append(w.arena, make([]byte, size-1)...)
			if _, err := io.ReadFull(c.r, w.arena[begin:]); err != nil {
				return nil, &scratchError{err}
			}
		}
		w.ends[i] = len(w.arena)
	}
	begin := 0
	for i, end := range w.ends {
		w.row[i] = parquet.NullValue()
		if !w.null[i] {
			w.row[i] = w.columns[i].kind.Value(w.arena[begin:end:end])
		}
		begin = end
	}
	return w.row, nil
}
