package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"time"

	"github.com/openblotter/blotter/pkg/objects"
)

const (
	fileMode   = 0o644
	folderMode = 0o755
)

// Bucket is a bucket in a folder. All methods may be used by many goroutines,
// and many processes may use one folder.
type Bucket struct {
	name      string
	dir       string // absolute
	root      *os.Root
	immutable bool
	readOnly  bool
	etags     etagCache
	folders   folders
	now       func() time.Time
}

var _ objects.Bucket = (*Bucket)(nil)

// Option says more about a bucket.
type Option func(*Bucket)

// Immutable says that only Blotter writes to the folder and that no object in
// it is ever changed: copies between two such buckets are hard links.
func Immutable() Option { return func(b *Bucket) { b.immutable = true } }

// ReadOnly says that the folder is somebody else's: it must be there, and
// nothing is written to it. Create, Copy to it and Remove fail with
// objects.ErrReadOnly.
func ReadOnly() Option { return func(b *Bucket) { b.readOnly = true } }

// New opens the bucket in the folder dir, which is made if it is not there,
// and removes what writers that died have left.
func New(name, dir string, opts ...Option) (*Bucket, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	b := &Bucket{name: name, now: time.Now}
	for _, opt := range opts {
		opt(b)
	}
	if !b.readOnly {
		if err := makeDir(abs); err != nil {
			return nil, fmt.Errorf("make folder of bucket %s: %w", name, err)
		}
	}
	// The true path: a walk does not begin at a link.
	if b.dir, err = filepath.EvalSymlinks(abs); err != nil {
		return nil, fmt.Errorf("open folder of bucket %s: %w", name, err)
	}
	if b.root, err = os.OpenRoot(b.dir); err != nil {
		return nil, fmt.Errorf("open folder of bucket %s: %w", name, err)
	}
	if !b.readOnly {
		b.sweep()
	}
	return b, nil
}

// Close lets go of the folder. Readers and writers that are open may be used
// to their end, but no writer can commit.
func (b *Bucket) Close() error { return b.root.Close() }

// Name implements objects.Bucket.
func (b *Bucket) Name() string { return b.name }

// Dir is the absolute path of the folder.
func (b *Bucket) Dir() string { return b.dir }

// Stat implements objects.Bucket. It reads the whole object if its ETag is not
// remembered.
func (b *Bucket) Stat(ctx context.Context, key string) (objects.Info, error) {
	f, name, err := b.open(key)
	if err != nil {
		return objects.Info{}, b.fail("stat", key, err)
	}
	defer f.Close()
	sum, s, err := b.sum(ctx, name, f)
	if err != nil {
		return objects.Info{}, b.fail("stat", key, err)
	}
	return infoOf(key, s, sum.String()), nil
}

// Open implements objects.Bucket.
func (b *Bucket) Open(ctx context.Context, key string, v objects.Version) (objects.Reader, error) {
	f, name, err := b.open(key)
	if err != nil {
		return nil, b.fail("open", key, err)
	}
	r, err := b.reader(ctx, key, name, f, v)
	if err != nil {
		return nil, errors.Join(b.fail("open", key, err), f.Close())
	}
	return r, nil
}

func (b *Bucket) reader(ctx context.Context, key, name string, f *os.File, v objects.Version) (*reader, error) {
	switch {
	case v.ID != "":
		return nil, fmt.Errorf("%w: a folder has no version %s of it", objects.ErrChanged, v.ID)
	case v.ETag != "":
		sum, s, err := b.sum(ctx, name, f)
		if err != nil {
			return nil, err
		}
		if sum.String() != v.ETag {
			return nil, fmt.Errorf("%w: asked for ETag %s, found %s", objects.ErrChanged, v.ETag, sum)
		}
		return &reader{file: f, info: infoOf(key, s, v.ETag), pinned: true, stamp: s}, nil
	}
	s, err := stampFile(f)
	if err != nil {
		return nil, err
	}
	etag := ""
	if sum, ok := b.etags.get(name, b.identity(s)); ok {
		etag = sum.String()
	}
	return &reader{file: f, info: infoOf(key, s, etag), stamp: s}, nil
}

// Remove implements objects.Bucket. Folders that it leaves empty are removed too.
func (b *Bucket) Remove(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return b.fail("remove", key, err)
	}
	if b.readOnly {
		return b.fail("remove", key, objects.ErrReadOnly)
	}
	name, err := pathOf(key)
	if err != nil {
		return nil // no object can have this key
	}
	info, err := b.root.Lstat(name)
	if isMissing(err) || err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		err = b.root.Remove(name)
	}
	if err != nil && !isMissing(err) {
		return b.fail("remove", key, err)
	}
	b.etags.drop(name)
	b.prune(path.Dir(name))
	return nil
}

// open opens the file of a key, which must be a regular one, for reading.
func (b *Bucket) open(key string) (*os.File, string, error) {
	name, err := pathOf(key)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", objects.ErrNotFound, err)
	}
	f, err := b.openFile(name)
	return f, name, err
}

func (b *Bucket) openFile(name string) (*os.File, error) {
	// Not blocking: opening a pipe would wait for its writer.
	f, err := b.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if isMissing(err) {
		return nil, objects.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = objects.ErrNotFound
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// isMissing reports whether an error says that there is no such file: one of
// its folders may be a file, or its name too long to exist.
func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG)
}

func infoOf(key string, s stamp, etag string) objects.Info {
	return objects.Info{Key: key, ETag: etag, Size: s.size, LastModified: time.Unix(0, s.modified).UTC()}
}

func (b *Bucket) fail(doing, key string, err error) error {
	return fmt.Errorf("%s object %q of bucket %s: %w", doing, key, b.name, err)
}
