package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/openblotter/blotter/pkg/objects"
)

const (
	// stall is how long a body may give nothing before it is taken up anew.
	stall = time.Minute
	// maxBroken is how often in a row a body may break off without giving a byte.
	maxBroken = 5
)

// reader reads one version. Read is for one goroutine, ReadAt for many.
type reader struct {
	bucket *Bucket
	ctx    context.Context // io.Reader has none; the one of Open bounds its reads
	info   objects.Info
	blocks blocks

	body   io.ReadCloser // of the sequential read; nil: none is open
	cancel context.CancelFunc
	offset int64
	broken int
}

var _ objects.Reader = (*reader)(nil)

// Open implements objects.Bucket.
func (b *Bucket) Open(ctx context.Context, key string, v objects.Version) (objects.Reader, error) {
	h, err := b.head(ctx, key, v)
	if err != nil {
		return nil, b.fail("open", key, err)
	}
	r := &reader{bucket: b, ctx: ctx, info: h.info}
	r.blocks.init(r)
	return r, nil
}

func (r *reader) Info() objects.Info { return r.info }

// Close lets go of the body that is open.
func (r *reader) Close() error {
	r.drop()
	return nil
}

func (r *reader) drop() {
	if r.body != nil {
		_ = r.body.Close() // all that was wanted of it was read
		r.cancel()
		r.body = nil
	}
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.offset < r.info.Size {
		n, err := r.readBody(p)
		r.offset += int64(n)
		if n > 0 {
			r.broken = 0
			return n, nil // an error shows at the next read, which takes the body up again
		}
		if err == nil {
			continue
		}
		r.drop()
		if r.broken++; r.broken >= maxBroken || !resumable(err) || r.ctx.Err() != nil {
			return 0, r.fail(err)
		}
	}
	return 0, r.end()
}

// end reads the end of a body that was read whole: there the SDK compares the
// checksum, where S3 keeps one.
func (r *reader) end() error {
	if r.body == nil {
		return io.EOF
	}
	watch := time.AfterFunc(stall, r.cancel)
	_, err := io.Copy(io.Discard, r.body)
	watch.Stop()
	r.drop()
	if err != nil {
		return r.fail(err)
	}
	return io.EOF
}

// readBody reads from the open body, or opens one. It gives up where nothing
// comes for too long.
func (r *reader) readBody(p []byte) (int, error) {
	if r.body == nil {
		ctx, cancel := context.WithCancel(r.ctx)
		body, err := r.get(ctx, r.offset, r.info.Size-r.offset)
		if err != nil {
			cancel()
			return 0, err
		}
		r.body, r.cancel = body, cancel
	}
	watch := time.AfterFunc(stall, r.cancel)
	n, err := r.body.Read(p[:min(int64(len(p)), r.info.Size-r.offset)])
	watch.Stop()
	if n > 0 && err != nil {
		if !errors.Is(err, io.EOF) {
			r.drop()
		}
		err = nil
	}
	return n, err
}

// get opens length bytes from offset, of this version and no other.
func (r *reader) get(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
	in := &awss3.GetObjectInput{
		Bucket: &r.bucket.cfg.Bucket, Key: r.bucket.key(r.info.Key), VersionId: optional(r.info.VersionID),
		IfMatch: quoted(r.info.ETag),
	}
	if offset > 0 || length < r.info.Size {
		rng := fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)
		in.Range = &rng
	}
	out, err := r.bucket.client.GetObject(ctx, in)
	switch {
	case err == nil && in.Range != nil:
		return cut(out.Body, aws.ToString(out.ContentRange), offset, length)
	case err == nil:
		return out.Body, nil
	case isPrecondition(err), isMissing(err):
		return nil, fmt.Errorf("%w while it was read", objects.ErrChanged)
	}
	return nil, err
}

// cut makes sure that a body holds the range that was asked for. A server may
// answer with the whole object instead, which HTTP allows and S3 does not do.
func cut(body io.ReadCloser, contentRange string, offset, length int64) (io.ReadCloser, error) {
	switch {
	case strings.HasPrefix(contentRange, fmt.Sprintf("bytes %d-%d/", offset, offset+length-1)):
		return body, nil
	case contentRange != "":
		return nil, errors.Join(fmt.Errorf("asked for %d bytes from %d, was given %s", length, offset, contentRange), body.Close())
	}
	if _, err := io.CopyN(io.Discard, body, offset); err != nil {
		return nil, errors.Join(err, body.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(body, length), body}, nil
}

// ReadAt implements io.ReaderAt.
func (r *reader) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, r.fail(fmt.Errorf("read at %d: before the start", offset))
	}
	if offset >= r.info.Size {
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), r.info.Size-offset)]
	n, err := r.blocks.readAt(want, offset)
	if err != nil {
		return n, r.fail(err)
	}
	if len(want) < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// fetch fills p from offset, which must lie inside of the object.
func (r *reader) fetch(p []byte, offset int64) error {
	var err error
	for n, tries := 0, 0; tries < maxBroken; tries++ {
		var got int
		got, err = r.fetchSome(p[n:], offset+int64(n))
		n += got
		if n == len(p) {
			return nil
		}
		if !resumable(err) || r.ctx.Err() != nil {
			return err
		}
		if got > 0 {
			tries = 0
		}
	}
	return err
}

func (r *reader) fetchSome(p []byte, offset int64) (int, error) {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	body, err := r.get(ctx, offset, int64(len(p)))
	if err != nil {
		return 0, err
	}
	defer body.Close()
	n := 0
	for n < len(p) {
		watch := time.AfterFunc(stall, cancel)
		got, err := body.Read(p[n:])
		watch.Stop()
		n += got
		if err != nil && n < len(p) {
			return n, err
		}
	}
	return n, nil
}

// resumable: the body broke off, which says nothing of the object. What S3
// answered was retried already.
func resumable(err error) bool {
	return codeOf(err) == "" && statusOf(err) == 0 && !errors.Is(err, objects.ErrChanged)
}

// errBroken: a body broke off, again and again. It is no io.ErrUnexpectedEOF, which says that
// the object itself is too short.
var errBroken = errors.New("the connection broke off before the answer was whole")

func (r *reader) fail(err error) error {
	if cause := r.ctx.Err(); cause != nil {
		err = cause
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errBroken
	}
	return r.bucket.fail("read", r.info.Key, err)
}
