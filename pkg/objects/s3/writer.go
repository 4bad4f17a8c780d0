package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/cenkalti/backoff/v5"

	"github.com/openblotter/blotter/pkg/objects"
)

const (
	// writerKey names, in an object's metadata, who wrote it.
	writerKey = "blotter-writer"
	// maxParts is how many parts an upload of S3 may have.
	maxParts = 10_000
	// cleanupTimeout bounds the removal of parts that nobody needs.
	cleanupTimeout = 30 * time.Second
	// conflictTries bounds how often a write is repeated that met another.
	conflictTries = 10
)

var errSpent = errors.New("the writer has been committed or aborted")

// writer gathers parts and sends each while the next is gathered.
type writer struct {
	bucket *Bucket
	key    string
	name   string // its own, in the metadata
	spent  bool
	part   *bytes.Buffer // being gathered
	size   int64

	// Of a multipart upload:
	ctx    context.Context // of Create, without its end; uploads end with cancel
	cancel context.CancelFunc
	upload *string
	parts  []types.CompletedPart
	sent   chan sentPart // the answer to the part that is on its way; nil: none is
}

type sentPart struct {
	part types.CompletedPart
	buf  *bytes.Buffer
	err  error
}

var _ objects.Writer = (*writer)(nil)

// Create implements objects.Bucket. Nothing is asked of S3 before the first part
// is full, or Commit.
func (b *Bucket) Create(ctx context.Context, key string) (objects.Writer, error) {
	err := ctx.Err()
	switch {
	case err != nil:
	case b.cfg.ReadOnly:
		err = objects.ErrReadOnly
	default:
		err = b.checkKey(key)
	}
	if err != nil {
		return nil, b.fail("create", key, err)
	}
	w := &writer{bucket: b, key: key, name: rand.Text(), part: new(bytes.Buffer)}
	w.ctx, w.cancel = context.WithCancel(ctx)
	return w, nil
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if w.spent {
		return 0, w.bucket.fail("write", w.key, errSpent)
	}
	n := 0
	for n < len(p) {
		// A full part is sent when more comes: what fits into one is no upload.
		if w.part.Len() == w.bucket.limits.Part {
			if err := w.send(); err != nil {
				return n, w.bucket.fail("write", w.key, err)
			}
		}
		got, _ := w.part.Write(p[n:min(len(p), n+w.bucket.limits.Part-w.part.Len())])
		n += got
		w.size += int64(got)
	}
	return n, nil
}

// send begins to send the gathered part, once the one before has arrived.
func (w *writer) send() error {
	if w.upload == nil {
		out, err := w.bucket.client.CreateMultipartUpload(w.ctx, &awss3.CreateMultipartUploadInput{
			Bucket: &w.bucket.cfg.Bucket, Key: w.bucket.key(w.key), Metadata: map[string]string{writerKey: w.name},
			ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		})
		if err != nil {
			return fmt.Errorf("begin its upload: %w", err)
		}
		w.upload = out.UploadId
	}
	free, err := w.wait()
	if err != nil {
		return err
	}
	number := int32(len(w.parts) + 1)
	if number > maxParts {
		return fmt.Errorf("it is larger than %d parts of %d bytes; write smaller objects", maxParts, w.bucket.limits.Part)
	}
	full := w.part
	w.part = free
	w.sent = make(chan sentPart, 1)
	go func(sent chan<- sentPart) {
		out, err := w.bucket.client.UploadPart(w.ctx, &awss3.UploadPartInput{
			Bucket: &w.bucket.cfg.Bucket, Key: w.bucket.key(w.key), UploadId: w.upload, PartNumber: &number,
			Body: bytes.NewReader(full.Bytes()), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		})
		if err != nil {
			sent <- sentPart{err: fmt.Errorf("send part %d: %w", number, err)}
			return
		}
		full.Reset()
		sent <- sentPart{buf: full, part: types.CompletedPart{
			PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32,
		}}
	}(w.sent)
	return nil
}

// wait takes the answer to the part on its way, and gives a free buffer.
func (w *writer) wait() (*bytes.Buffer, error) {
	if w.sent == nil {
		return new(bytes.Buffer), nil
	}
	sent := <-w.sent
	w.sent = nil
	if sent.err != nil {
		return nil, sent.err
	}
	w.parts = append(w.parts, sent.part)
	return sent.buf, nil
}

// Commit implements objects.Writer.
func (w *writer) Commit(ctx context.Context) (objects.Info, error) {
	if w.spent {
		return objects.Info{}, w.bucket.fail("commit", w.key, errSpent)
	}
	info, err := w.commit(ctx)
	if err != nil {
		err = errors.Join(w.bucket.fail("commit", w.key, err), w.release())
	}
	w.spend()
	return info, err
}

func (w *writer) commit(ctx context.Context) (objects.Info, error) {
	if err := ctx.Err(); err != nil {
		return objects.Info{}, err
	}
	stop := context.AfterFunc(ctx, w.cancel) // parts that are still on their way
	defer stop()
	write := w.put
	if w.upload != nil {
		if err := w.finishParts(); err != nil {
			return objects.Info{}, errors.Join(ctx.Err(), err)
		}
		write = w.complete
	}
	version, err := write(ctx)
	return w.bucket.written(ctx, w.key, w.name, version, err)
}

// put writes what fitted into one part. Where it meets another write of the key
// that is not decided yet, it tries again.
func (w *writer) put(ctx context.Context) (objects.Version, error) {
	return backoff.Retry(ctx, func() (objects.Version, error) {
		out, err := w.bucket.client.PutObject(ctx, &awss3.PutObjectInput{
			Bucket: &w.bucket.cfg.Bucket, Key: w.bucket.key(w.key), Body: bytes.NewReader(w.part.Bytes()),
			IfNoneMatch: &anything, Metadata: map[string]string{writerKey: w.name},
		})
		if err != nil {
			return objects.Version{}, finalUnlessConflict(err)
		}
		return objects.Version{ID: versionOf(out.VersionId), ETag: unquoted(out.ETag)}, nil
	}, backoff.WithMaxTries(conflictTries))
}

// anything is the condition that no object is there.
var anything = "*"

func finalUnlessConflict(err error) error {
	if isConflict(err) {
		return err
	}
	return backoff.Permanent(err)
}

func (w *writer) finishParts() error {
	if err := w.send(); err != nil { // there is a last part: a full one waits for more
		return err
	}
	_, err := w.wait()
	return err
}

func (w *writer) complete(ctx context.Context) (objects.Version, error) {
	out, err := w.bucket.client.CompleteMultipartUpload(ctx, &awss3.CompleteMultipartUploadInput{
		Bucket: &w.bucket.cfg.Bucket, Key: w.bucket.key(w.key), UploadId: w.upload, IfNoneMatch: &anything,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: w.parts},
	})
	if err != nil {
		return objects.Version{}, err
	}
	w.upload = nil
	return objects.Version{ID: versionOf(out.VersionId), ETag: unquoted(out.ETag)}, nil
}

// written tells of what a create-only write made, or whether it failed. An answer
// may have been lost and the write repeated, which then finds its own object; the
// writer's name in the metadata shows that.
func (b *Bucket) written(ctx context.Context, key, writer string, v objects.Version, err error) (objects.Info, error) {
	var permanent *backoff.PermanentError
	if errors.As(err, &permanent) {
		err = permanent.Unwrap()
	}
	if err != nil && !isPrecondition(err) && !isConflict(err) && codeOf(err) != "NoSuchUpload" {
		return objects.Info{}, err
	}
	there, headErr := b.head(ctx, key, v)
	switch {
	case err == nil:
		return there.info, headErr
	case errors.Is(headErr, objects.ErrNotFound):
		return objects.Info{}, fmt.Errorf("another write of it got in between; write it again: %w", err)
	case headErr != nil:
		return objects.Info{}, errors.Join(err, headErr)
	case there.metadata[writerKey] == writer:
		return there.info, nil
	}
	return objects.Info{}, objects.ErrExists
}

// Abort implements objects.Writer.
func (w *writer) Abort() error {
	if w.spent {
		return nil
	}
	err := w.release()
	w.spend()
	if err != nil {
		return w.bucket.fail("abort", w.key, err)
	}
	return nil
}

func (w *writer) spend() {
	w.cancel()
	w.spent, w.part = true, nil
}

// release removes the parts of an upload that came to nothing.
func (w *writer) release() error {
	w.cancel()
	if w.sent != nil {
		<-w.sent
		w.sent = nil
	}
	if w.upload == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), cleanupTimeout)
	defer cancel()
	return w.bucket.dropUpload(ctx, w.key, w.upload)
}

func (b *Bucket) dropUpload(ctx context.Context, key string, upload *string) error {
	_, err := b.client.AbortMultipartUpload(ctx, &awss3.AbortMultipartUploadInput{
		Bucket: &b.cfg.Bucket, Key: b.key(key), UploadId: upload,
	})
	if err != nil && codeOf(err) != "NoSuchUpload" && !isMissing(err) {
		return fmt.Errorf("remove the parts of its upload: %w", err)
	}
	return nil
}

// ReadFrom spares io.Copy a buffer of its own.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	buf := make([]byte, 64<<10)
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, buf)
}
