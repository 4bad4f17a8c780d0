package transform

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
)

// inputBuffer is the buffer of reading an object, if it is as large as that.
const inputBuffer = 256 << 10

// input is the raw object of a file: pinned to its version, hashed as it is read.
type input struct {
	object objects.Reader
	raw    *hashingReader
	buf    *bufio.Reader
	text   io.Reader // the content without compression
	gzip   bool
}

// hashingReader hashes and counts what passes, and ends when its context ends.
type hashingReader struct {
	ctx  context.Context
	r    io.Reader
	hash hash.Hash
	n    int64
	err  error // a fault of the bucket, not of the content
}

func (h *hashingReader) Read(p []byte) (int, error) {
	if h.err = h.ctx.Err(); h.err != nil {
		return 0, h.err
	}
	n, err := h.r.Read(p)
	h.hash.Write(p[:n])
	h.n += int64(n)
	if err != nil && err != io.EOF { // a bucket's own wrapping of EOF is a fault
		h.err = err
	}
	return n, err
}

// openObject opens a raw object in the version that the file names.
func openObject(ctx context.Context, raw objects.Bucket, o dms.Object) (objects.Reader, error) {
	object, err := raw.Open(ctx, o.Key, objects.Version{ID: o.VersionID, ETag: o.ETag})
	switch {
	case errors.Is(err, objects.ErrNotFound):
		return nil, &Failure{Code: CodeObjectGone, ObjectKey: o.Key, Message: "the raw object is gone",
			Expected: "the version that was announced", Hint: "put it back and retry, or skip the file"}
	case errors.Is(err, objects.ErrChanged):
		return nil, changedFailure(o)
	case err != nil:
		return nil, fmt.Errorf("open raw object %s: %w", o.Key, err)
	}
	return object, nil
}

func changedFailure(o dms.Object) error {
	return &Failure{Code: CodeObjectChanged, ObjectKey: o.Key, Message: "the raw object was written again since it was announced",
		Expected: "the version that was announced", Hint: "skip the file: the new version is a file of its own"}
}

// openInput opens the content of a CSV object. Compression is told by the first
// bytes, which no UTF-8 text begins with; a name that promises it must keep it.
func openInput(ctx context.Context, object objects.Reader, key string) (*input, error) {
	in := &input{object: object}
	in.raw = &hashingReader{ctx: ctx, r: object, hash: sha256.New()}
	in.buf = bufio.NewReaderSize(in.raw, int(min(max(object.Info().Size, 512), inputBuffer)))
	in.text = in.buf
	first, err := in.buf.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read raw object %s: %w", key, err)
	}
	if len(first) == 0 {
		if namedGzip(key) {
			return nil, gzipFailure(key, "the object has no bytes, and an empty gzip file has 20: the file is cut off")
		}
		return in, nil
	}
	in.gzip = bytes.Equal(first, []byte{0x1f, 0x8b})
	if !in.gzip {
		if namedGzip(key) {
			return nil, gzipFailure(key, "the name says gzip, the content is not gzip")
		}
		return in, nil
	}
	z, err := gzip.NewReader(in.buf)
	if err != nil {
		return nil, in.readFailure(key, err)
	}
	in.text = z
	return in, nil
}

func namedGzip(key string) bool { return strings.HasSuffix(strings.ToLower(key), ".gz") }

// readFailure classifies a fault of reading: broken compression is the file's
// fault, a fault of the bucket may pass.
func (in *input) readFailure(key string, err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case in.raw.err != nil || !in.gzip:
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return gzipFailure(key, "the gzip data end too early: the file is cut off")
	case errors.Is(err, gzip.ErrChecksum):
		return gzipFailure(key, "the gzip checksum does not fit the content")
	case errors.Is(err, gzip.ErrHeader) || errors.As(err, &corrupt):
		return gzipFailure(key, "the gzip data are damaged")
	}
	return fmt.Errorf("read raw object %s: %w", key, err)
}

func gzipFailure(key, message string) *Failure {
	return &Failure{Code: CodeGzip, ObjectKey: key, Message: message, Expected: "complete gzip members",
		Hint: "this file can never be read: have DMS write it again, which is then a file of its own, also under the same key; and skip this one"}
}

// finish reads what decompression left.
func (in *input) finish(o dms.Object) (Input, error) {
	if _, err := io.Copy(io.Discard, in.buf); err != nil {
		return Input{}, fmt.Errorf("read raw object %s: %w", o.Key, err)
	}
	return in.raw.input(o, in.object.Info().Size)
}

// input tells what was read. It compares its size with what the bucket
// promised, and its hash with the ETag that a local bucket makes of it.
func (h *hashingReader) input(o dms.Object, size int64) (Input, error) {
	if h.n != size {
		return Input{}, fmt.Errorf("read raw object %s: %d bytes came, %d were promised", o.Key, h.n, size)
	}
	o.LastModified = o.LastModified.UTC()
	in := Input{Object: o, SHA256: hex.EncodeToString(h.hash.Sum(nil)), Bytes: h.n}
	if isSHA256(o.ETag) && !strings.EqualFold(o.ETag, in.SHA256) {
		return Input{}, changedFailure(o)
	}
	return in, nil
}
