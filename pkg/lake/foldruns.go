package lake

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// stagedChange is one change of a staged file, where a cursor stands.
type stagedChange struct {
	key []byte
	pos []byte
	row int64 // in the raw file
	// ties counts the changes of the key in other files that this one overtook although
	// their time is the same.
	ties int64

	from  *stagedFile
	index int64 // its row in from
}

// place gives what a cursor stands on; the same address whenever it is asked.
func (c *stagedChange) place() *stagedChange { return c }

// changeCursor walks changes in key order. What it stands on is valid until it
// goes on. It may be closed at any time, and again.
type changeCursor interface {
	place() *stagedChange
	next(ctx context.Context) (bool, error)
	close() error
}

var (
	_ changeCursor = (*stagedCursor)(nil)
	_ changeCursor = (*runCursor)(nil)
)

// reduce merges cursors into sorted runs of their latest changes, a few at a time,
// until few are left.
func (f *fold) reduce(ctx context.Context) error {
	for f.fanIn > 0 && len(f.all) > f.fanIn {
		var left []changeCursor
		for some := range slices.Chunk(f.all, f.fanIn) {
			if len(some) == 1 {
				left = append(left, some[0])
				continue
			}
			run, err := f.writeRun(ctx, some)
			if err != nil {
				return err
			}
			left = append(left, run)
		}
		f.all = left
	}
	return nil
}

// runBuffer is what reading or writing a run takes.
const runBuffer = 64 << 10

// writeRun folds some cursors into a run.
func (f *fold) writeRun(ctx context.Context, some []changeCursor) (*runCursor, error) {
	run, err := f.scratch.begin()
	if err != nil {
		return nil, err
	}
	part := newFold(some)
	w := bufio.NewWriterSize(run, runBuffer)
	var rec []byte
	for {
		c, err := part.next(ctx)
		if err != nil {
			return nil, err
		}
		if c == nil {
			break
		}
		n, ok := f.numbers[c.from]
		if !ok {
			n = len(f.files)
			f.numbers[c.from] = n
			f.files = append(f.files, c.from)
		}
		rec = binary.AppendUvarint(rec[:0], uint64(len(c.key)))
		rec = append(rec, c.key...)
		rec = binary.AppendUvarint(rec, uint64(len(c.pos)))
		rec = append(rec, c.pos...)
		rec = binary.AppendVarint(rec, c.row)
		rec = binary.AppendUvarint(rec, uint64(n))
		rec = binary.AppendVarint(rec, c.index)
		rec = binary.AppendVarint(rec, c.ties)
		w.Write(rec)
	}
	if err := w.Flush(); err != nil {
		return nil, fmt.Errorf("write a sorted run: %w", err)
	}
	if _, err := run.Commit(ctx); err != nil {
		return nil, fmt.Errorf("write a sorted run: %w", err)
	}
	return &runCursor{fold: f, run: run}, nil
}

// runCursor reads a run.
type runCursor struct {
	stagedChange
	fold *fold
	run  *scratchRun
	in   *bufio.Reader // nil until it is read
}

func (c *runCursor) next(context.Context) (bool, error) {
	if c.in == nil {
		c.in = bufio.NewReaderSize(c.run.reader(), runBuffer)
	}
	if _, err := c.in.Peek(1); errors.Is(err, io.EOF) {
		return false, c.close()
	}
	err := c.read()
	if err != nil {
		return false, fmt.Errorf("read a sorted run: %w", err)
	}
	return true, nil
}

func (c *runCursor) read() error {
	var err error
	if c.key, err = c.field(c.key); err != nil {
		return err
	}
	if c.pos, err = c.field(c.pos); err != nil {
		return err
	}
	if c.row, err = binary.ReadVarint(c.in); err != nil {
		return err
	}
	n, err := binary.ReadUvarint(c.in)
	if err != nil {
		return err
	}
	c.from = c.fold.files[n]
	if c.index, err = binary.ReadVarint(c.in); err != nil {
		return err
	}
	c.ties, err = binary.ReadVarint(c.in)
	return err
}

func (c *runCursor) field(buf []byte) ([]byte, error) {
	n, err := binary.ReadUvarint(c.in)
	if err != nil {
		return nil, err
	}
	buf = slices.Grow(buf[:0], int(n))[:n]
	_, err = io.ReadFull(c.in, buf)
	return buf, err
}

// close frees the buffer; the run stays until the scratch file is closed.
func (c *runCursor) close() error {
	c.in = nil
	return nil
}
