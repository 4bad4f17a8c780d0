package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/openblotter/blotter/pkg/objects"
)

// Copy implements objects.Bucket. From an immutable bucket to another it makes
// a hard link if the file systems allow it. All other copies are read, hashed
// and written: if the source is a folder and v names an ETag, what was copied
// is exactly that or the copy fails with ErrChanged.
func (b *Bucket) Copy(ctx context.Context, src objects.Bucket, srcKey string, v objects.Version, dstKey string) (objects.Info, error) {
	info, err := b.copy(ctx, src, srcKey, v, dstKey)
	if err != nil {
		return objects.Info{}, fmt.Errorf("copy %q of bucket %s to %q of bucket %s: %w",
			srcKey, src.Name(), dstKey, b.name, err)
	}
	return info, nil
}

func (b *Bucket) copy(ctx context.Context, src objects.Bucket, srcKey string, v objects.Version, dstKey string) (objects.Info, error) {
	if b.readOnly {
		return objects.Info{}, objects.ErrReadOnly
	}
	from, ok := src.(*Bucket)
	if !ok {
		r, err := src.Open(ctx, srcKey, v)
		if err != nil {
			return objects.Info{}, err
		}
		defer r.Close()
		return b.stream(ctx, r, "", dstKey)
	}
	if from.immutable && b.immutable {
		info, err := b.link(ctx, from, srcKey, v, dstKey)
		if !errors.Is(err, errNoLink) {
			return info, err
		}
	}
	// Not opened by its ETag: that would read it twice.
	r, err := from.Open(ctx, srcKey, objects.Version{ID: v.ID})
	if err != nil {
		return objects.Info{}, err
	}
	defer r.Close()
	return b.stream(ctx, r, v.ETag, dstKey)
}

// stream copies what r gives, if it has this ETag.
func (b *Bucket) stream(ctx context.Context, r io.Reader, etag, dstKey string) (objects.Info, error) {
	w, err := b.create(ctx, dstKey)
	if err != nil {
		return objects.Info{}, err
	}
	defer func() { _ = w.Abort() }()
	if _, err := w.ReadFrom(contextReader{ctx, r}); err != nil {
		return objects.Info{}, err
	}
	if err := w.buf.Flush(); err != nil {
		return objects.Info{}, err
	}
	if found := sum(w.hash.Sum(nil)).String(); etag != "" && found != etag {
		return objects.Info{}, fmt.Errorf("%w: asked for ETag %s, found %s", objects.ErrChanged, etag, found)
	}
	return w.Commit(ctx)
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// errNoLink: these file systems cannot link the one file into the other folder.
var errNoLink = errors.New("no hard link")

func (b *Bucket) link(ctx context.Context, from *Bucket, srcKey string, v objects.Version, dstKey string) (objects.Info, error) {
	dst, err := pathOf(dstKey)
	if err != nil {
		return objects.Info{}, err
	}
	r, err := from.Open(ctx, srcKey, v)
	if err != nil {
		return objects.Info{}, err
	}
	defer r.Close()
	src, err := pathOf(srcKey)
	if err != nil {
		return objects.Info{}, err
	}
	err = b.publish(dst, func() error {
		return os.Link(filepath.Join(from.dir, filepath.FromSlash(src)), filepath.Join(b.dir, filepath.FromSlash(dst)))
	})
	switch {
	case errors.Is(err, objects.ErrExists), errors.Is(err, objects.ErrKey), errors.Is(err, context.Canceled):
		return objects.Info{}, err
	case err != nil:
		return objects.Info{}, fmt.Errorf("%w: %w", errNoLink, err)
	}
	info := r.Info()
	info.Key = dstKey
	if s := r.(*reader).stamp; info.ETag != "" {
		b.etags.put(dst, b.identity(s), parseSum(info.ETag))
		return info, nil
	}
	return b.Stat(ctx, dstKey)
}
