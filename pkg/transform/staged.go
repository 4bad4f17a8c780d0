package transform

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/objects"
)

// ErrCorrupt: staged bytes are not those that the manifest, or the event that
// names the manifest, vouches for. Nothing of the file may be published.
var ErrCorrupt = errors.New("staged object is not what was vouched for")

// readBatch is how many rows are decoded at a time.
const readBatch = 256

// StagedReader reads one staged Parquet file.
type StagedReader struct {
	staged StagedParquet
	object objects.Reader
	file   *parquet.File
}

// OpenStaged opens a staged file and checks its size and row count against what
// the manifest says; it fails with ErrCorrupt if they differ, or if it is no
// Parquet file. The content is vouched for by VerifySHA256 alone: of bytes that
// nobody vouches for, compare the hash first. Close the reader after use.
func OpenStaged(ctx context.Context, bucket objects.Bucket, staged StagedParquet) (*StagedReader, error) {
	object, err := bucket.Open(ctx, staged.Key, objects.Version{})
	if err != nil {
		return nil, fmt.Errorf("open staged file %s: %w", staged.Key, err)
	}
	r := &StagedReader{staged: staged, object: object}
	if err := r.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open staged file %s: %w", staged.Key, err), object.Close())
	}
	return r, nil
}

func (r *StagedReader) open() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: its footer is damaged: %v", ErrCorrupt, p)
		}
	}()
	size := r.object.Info().Size
	if size != r.staged.Bytes {
		return fmt.Errorf("%w: %d bytes, the manifest says %d", ErrCorrupt, size, r.staged.Bytes)
	}
	guard := parquetGuard{r: r.object, size: size, limit: maxGroupMemory}
	if err := guard.footer(); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	file, err := parquet.OpenFile(r.object, r.staged.Bytes, parquet.SkipBloomFilters(true))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if file.NumRows() != r.staged.Rows {
		return fmt.Errorf("%w: %d rows, the manifest says %d", ErrCorrupt, file.NumRows(), r.staged.Rows)
	}
	r.file = file
	return nil
}

// File is the open Parquet file: schema, row groups and their statistics.
func (r *StagedReader) File() *parquet.File { return r.file }

// Rows yields the rows in file order; it stops at the first error, which it
// yields. A row is valid until the next one; its byte values too: Clone what
// must last longer. Columns stand in the order of the schema.
func (r *StagedReader) Rows(ctx context.Context) iter.Seq2[parquet.Row, error] {
	return func(yield func(parquet.Row, error) bool) {
		for i, group := range r.file.RowGroups() {
			if err := r.groupRows(ctx, group, yield); err != nil {
				if !errors.Is(err, errStopped) {
					yield(nil, fmt.Errorf("read staged file %s, row group %d: %w", r.staged.Key, i, err))
				}
				return
			}
		}
	}
}

// errStopped: the consumer of an iterator wants no more.
var errStopped = errors.New("stopped")

func (r *StagedReader) groupRows(ctx context.Context, group parquet.RowGroup, yield func(parquet.Row, error) bool) error {
	rows := group.Rows()
	buf := make([]parquet.Row, readBatch)
	for {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, rows.Close())
		}
		n, err := rows.ReadRows(buf)
		for _, row := range buf[:n] {
			if !yield(row, nil) {
				return errors.Join(errStopped, rows.Close())
			}
		}
		if errors.Is(err, io.EOF) {
			return rows.Close()
		}
		if err != nil {
			return errors.Join(err, rows.Close())
		}
	}
}

// VerifySHA256 reads the whole object and compares its hash with the
// manifest's; ErrCorrupt if they differ.
func (r *StagedReader) VerifySHA256(ctx context.Context) error {
	sum, err := HashObject(ctx, r.object)
	if err != nil {
		return fmt.Errorf("hash staged file %s: %w", r.staged.Key, err)
	}
	if sum != r.staged.SHA256 {
		return fmt.Errorf("staged file %s: %w: SHA-256 %s, the manifest says %s", r.staged.Key, ErrCorrupt, sum, r.staged.SHA256)
	}
	return nil
}

// Close frees the object.
func (r *StagedReader) Close() error { return r.object.Close() }

// VerifySHA256 reads a staged object and compares its hash with the manifest's;
// ErrCorrupt if they differ.
func VerifySHA256(ctx context.Context, bucket objects.Bucket, staged StagedParquet) error {
	object, err := bucket.Open(ctx, staged.Key, objects.Version{})
	if err != nil {
		return fmt.Errorf("open staged file %s: %w", staged.Key, err)
	}
	r := StagedReader{staged: staged, object: object}
	return errors.Join(r.VerifySHA256(ctx), object.Close())
}

// HashObject gives the SHA-256 of a whole object, in hex.
func HashObject(ctx context.Context, object objects.Reader) (string, error) {
	h := sha256.New()
	section := io.NewSectionReader(object, 0, object.Info().Size)
	if _, err := io.CopyBuffer(h, &contextReader{ctx: ctx, r: section}, make([]byte, 1<<18)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// contextReader ends reading when its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
