package local

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"syscall"

	"github.com/openblotter/blotter/pkg/objects"
)

// writeBuffer gathers small writes: each costs a system call and a hash of few
// bytes.
const writeBuffer = 128 << 10

var writeBuffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, writeBuffer) }}

var errSpent = errors.New("the writer has been committed or aborted")

// writer writes a temporary file, which it holds locked, and links it to its
// name at the end.
type writer struct {
	bucket *Bucket
	key    string
	name   string // the path of the object
	temp   string // the path of the temporary file
	file   *os.File
	hash   hash.Hash
	buf    *bufio.Writer // nil: spent
}

var _ objects.Writer = (*writer)(nil)

// Create implements objects.Bucket.
func (b *Bucket) Create(ctx context.Context, key string) (objects.Writer, error) {
	w, err := b.create(ctx, key)
	if err != nil {
		return nil, b.fail("create", key, err)
	}
	return w, nil
}

func (b *Bucket) create(ctx context.Context, key string) (*writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if b.readOnly {
		return nil, objects.ErrReadOnly
	}
	name, err := pathOf(key)
	if err != nil {
		return nil, err
	}
	f, temp, err := b.createTemp()
	if err != nil {
		return nil, err
	}
	w := &writer{bucket: b, key: key, name: name, temp: temp, file: f, hash: sha256.New()}
	w.buf = writeBuffers.Get().(*bufio.Writer)
	w.buf.Reset(io.MultiWriter(f, w.hash))
	return w, nil
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if w.buf == nil {
		return 0, w.bucket.fail("write", w.key, errSpent)
	}
	n, err := w.buf.Write(p)
	if err != nil {
		err = w.bucket.fail("write", w.key, err)
	}
	return n, err
}

// ReadFrom spares io.Copy a buffer.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	if w.buf == nil {
		return 0, w.bucket.fail("write", w.key, errSpent)
	}
	return w.buf.ReadFrom(r)
}

// Commit implements objects.Writer.
func (w *writer) Commit(ctx context.Context) (objects.Info, error) {
	if w.buf == nil {
		return objects.Info{}, w.bucket.fail("commit", w.key, errSpent)
	}
	info, err := w.commit(ctx)
	if err != nil {
		err = w.bucket.fail("commit", w.key, err)
	}
	return info, errors.Join(err, w.release())
}

func (w *writer) commit(ctx context.Context) (objects.Info, error) {
	if err := w.buf.Flush(); err != nil {
		return objects.Info{}, err
	}
	if err := w.file.Sync(); err != nil {
		return objects.Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return objects.Info{}, err
	}
	b := w.bucket
	if err := b.publish(w.name, func() error { return b.root.Link(w.temp, w.name) }); err != nil {
		return objects.Info{}, err
	}
	// Before the stamp is taken: the link less changes the inode once more.
	if err := b.root.Remove(w.temp); err != nil && !isMissing(err) {
		return objects.Info{}, err
	}
	s, err := stampFile(w.file)
	if err != nil {
		return objects.Info{}, err
	}
	written := sum(w.hash.Sum(nil))
	b.remember(w.name, s, written)
	return infoOf(w.key, s, written.String()), nil
}

// publish makes the folders of a name and lets link make the name, durably.
func (b *Bucket) publish(name string, link func() error) error {
	// A removal may prune a folder at any moment before there is something in it.
	const attempts = 100
	dir := path.Dir(name)
	for attempt := 1; ; attempt++ {
		err := b.ensureFolder(dir)
		if err == nil {
			err = link()
		}
		if err == nil {
			return b.syncFolder(dir)
		}
		if !errors.Is(err, fs.ErrNotExist) || attempt == attempts {
			return b.explainLink(name, err)
		}
		b.folders.forget(dir)
	}
}

func (b *Bucket) explainLink(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		if info, statErr := b.root.Lstat(name); statErr == nil && info.IsDir() {
			return fmt.Errorf("%w: other objects lie below it, so it is a folder here", objects.ErrKey)
		}
		return objects.ErrExists
	case errors.Is(err, syscall.EXDEV):
		return fmt.Errorf("folder %s lies on another file system than its bucket; put both on one: %w",
			path.Dir(name), err)
	case errors.Is(err, syscall.ENAMETOOLONG):
		return fmt.Errorf("%w: the path is too long: %w", objects.ErrKey, err)
	}
	return err
}

// Abort implements objects.Writer.
func (w *writer) Abort() error {
	if w.buf == nil {
		return nil
	}
	if err := w.release(); err != nil {
		return w.bucket.fail("abort", w.key, err)
	}
	return nil
}

// release removes the temporary file, if it is still there, before it lets go
// of its lock.
func (w *writer) release() error {
	w.buf.Reset(nil)
	writeBuffers.Put(w.buf)
	w.buf = nil
	err := w.bucket.root.Remove(w.temp)
	if isMissing(err) {
		err = nil
	}
	return errors.Join(err, w.file.Close())
}
