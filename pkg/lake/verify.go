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
	origin := s.cols[len(s.Columns) : len(s.Columns)+2]
	want := append(origin[:len(origin):len(origin)], s.cols...)
	whole = true
	for _, f := range s.snap.files {
		err := s.originsIn(ctx, f, want, func(file []byte, row int64) { h.Add(dms.FileID(file), row) })
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
	if found := (*DamagedError)(nil); errors.As(err, &found) {
		return true
	}
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
