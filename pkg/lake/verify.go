package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
)

// Verify reads every value of every data file and delete file of the snapshot, so that the
// checksums of their pages are held to them (Parquet, PageHeader.crc), and tells of each
// file that cannot be read. Where all can, whole is true and h the RowsHash of the live
// rows. Who alters a value and its checksum is not found: only making the rows anew is.
func (s *RowSet) Verify(ctx context.Context, wrong func(object string, err error)) (h RowsHash, whole bool, err error) {
	whole = true
	for _, f := range s.snap.files {
		err := s.verifyFile(ctx, f, &h)
		if ctx.Err() != nil {
			return h, false, ctx.Err()
		}
		if err != nil && !errors.Is(err, objects.ErrNotFound) {
			// What the store cannot give now is no fault of the file.
			if err := s.lake.readThrough(ctx, f.FilePath()); err != nil {
				return h, false, err
			}
		}
		if err != nil {
			wrong(s.lake.keyOf(f.FilePath()), err)
			whole = false
		}
	}
	return h, whole, nil
}

// Damaged reports whether an error of a read says that an object of the lake is gone or is
// not what was written, instead of what kept it from being read now.
func Damaged(err error) bool {
	return errors.Is(err, objects.ErrNotFound) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, parquet.ErrCorrupted) || errors.Is(err, io.ErrUnexpectedEOF)
}

// readThrough reads an object to its end.
func (l *Lake) readThrough(ctx context.Context, location string) error {
	f, err := l.io.Open(location)
	if err != nil {
		return fmt.Errorf("read %s: %w", location, err)
	}
	_, err = io.Copy(io.Discard, f)
	if err = errors.Join(err, f.Close(), ctx.Err()); err != nil {
		return fmt.Errorf("read %s: %w", location, err)
	}
	return nil
}

func (s *RowSet) verifyFile(ctx context.Context, f *dataFile, h *RowsHash) (err error) {
	file, closer, err := s.lake.openParquet(ctx, f.FilePath())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	hidden, err := s.lake.deletedRows(ctx, f)
	if err != nil {
		return err
	}
	r, err := newRowReader(file, s.cols)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.closePages()) }()
	origin := len(s.Columns)
	for {
		if r.row&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		ok, err := r.next()
		if err != nil || !ok {
			return err
		}
		if !hidden.has(r.row) {
			h.Add(dms.FileID(r.value(origin).ByteArray()), r.value(origin+1).Int64())
		}
	}
}
