package lake

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// stagedCursor walks the keys of one part's rows files, or of its deletes files,
// in key order, and audits what it walks over. It keeps one file open.
type stagedCursor struct {
	stagedChange // the current one

	lake  *Lake
	part  *part
	spec  registry.Table // see evolution
	files []*stagedFile
	at    int // the file of the current row

	open *transform.StagedReader
	rows *keyedReader
	prev []byte // the key before the current one
	min  []byte // the manifest's position range
	max  []byte
}

func (l *Lake) newStagedCursor(p *part, files []*stagedFile, spec registry.Table) *stagedCursor {
	return &stagedCursor{
		lake: l, part: p, spec: spec, files: files, at: -1,
		min: []byte(p.manifest.MinPosition), max: []byte(p.manifest.MaxPosition),
	}
}

// columns are those that the cursor reads: the key and provenance.
func (c *stagedCursor) columns() []registry.Column {
	return append(transform.KeyColumns(c.spec), provenanceFields(c.spec.Provenance)...)
}

// file is that of the current row.
func (c *stagedCursor) file() *stagedFile { return c.files[c.at] }

// next goes to the next change; false after the last one.
func (c *stagedCursor) next(ctx context.Context) (bool, error) {
	for {
		if c.rows != nil {
			ok, err := c.rows.next()
			if err != nil {
				return false, c.readFault(err)
			}
			if ok {
				return true, c.check()
			}
			if err := c.finish(); err != nil {
				return false, err
			}
		}
		if c.at+1 >= len(c.files) {
			return false, nil
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
		c.at++
		if err := c.start(ctx); err != nil {
			return false, err
		}
	}
}

func (c *stagedCursor) start(ctx context.Context) error {
	f := c.file()
	open, err := transform.OpenStaged(ctx, c.lake.staging, f.StagedParquet)
	if err != nil {
		return f.auditFault(err)
	}
	c.open = open
	c.rows, err = newKeyedReader(open.File(), c.part.local(c.columns()), c.part.local(transform.KeyColumns(c.spec)))
	if err != nil {
		return fmt.Errorf("read staged file %s: %w", f.Key, err)
	}
	return nil
}

// check audits the current row and takes it up.
func (c *stagedCursor) check() error {
	f, n := c.file(), len(c.rows.keyCols)
	c.key = c.rows.key
	fileID, row := c.rows.value(n).ByteArray(), c.rows.value(n+1)
	c.pos, c.row = c.rows.value(n+2).ByteArray(), row.Int64()
	c.from, c.index, c.ties = f, c.rows.row, 0
	first := c.rows.row == 0 && c.at == 0
	switch {
	case n > 0 && !first && bytes.Compare(c.prev, c.key) >= 0:
		return c.part.fault(CodeKeyOrder, f.Key, c.rows.row+1, "its key does not follow the key before it")
	case n > 0 && c.rows.row == 0 && hex.EncodeToString(c.key) != f.MinKey:
		return c.part.fault(CodeKeyBounds, f.Key, c.rows.row+1, "the first key is not the one that the manifest names")
	case bytes.Compare(c.pos, c.min) < 0, bytes.Compare(c.pos, c.max) > 0:
		return c.part.fault(CodePosition, f.Key, c.rows.row+1, "its position lies outside of the manifest's range")
	case string(fileID) != string(c.part.manifest.FileID):
		return c.part.fault(CodeProvenance, f.Key, c.rows.row+1, "it names another file as its origin")
	case row.IsNull() || c.row < 1:
		return c.part.fault(CodeProvenance, f.Key, c.rows.row+1, "it names no row of its file as its origin")
	}
	kind := c.part.positions()
	if wantLoad := kind == dms.KindLoad; len(c.pos) == 0 || (c.pos[0] == '0') != wantLoad {
		return c.part.fault(CodePosition, f.Key, c.rows.row+1, "its position is not that of a row of a %s file", kind)
	}
	c.prev = append(c.prev[:0], c.key...)
	return nil
}

// finish closes the file after its last row.
func (c *stagedCursor) finish() error {
	f := c.file()
	err := errors.Join(c.rows.closePages(), c.open.Close())
	if c.rows.row != f.Rows {
		err = errors.Join(err, c.part.fault(CodeRowCount, f.Key, 0, "%d rows, the manifest says %d", c.rows.row, f.Rows))
	} else if len(c.rows.keyCols) > 0 && hex.EncodeToString(c.prev) != f.MaxKey {
		err = errors.Join(err, c.part.fault(CodeKeyBounds, f.Key, f.Rows, "the last key is not the one that the manifest names"))
	}
	c.rows, c.open = nil, nil
	return err
}

func (c *stagedCursor) readFault(err error) error {
	f := c.file()
	if errors.Is(err, transform.ErrNullKey) {
		return c.part.fault(CodeKeyOrder, f.Key, c.rows.row+1, "a column of its key is null")
	}
	return fmt.Errorf("read staged file %s: %w", f.Key, err)
}

// close frees the open file, wherever the cursor stands.
func (c *stagedCursor) close() error {
	if c.open == nil {
		return nil
	}
	err := errors.Join(c.rows.closePages(), c.open.Close())
	c.rows, c.open = nil, nil
	return err
}
