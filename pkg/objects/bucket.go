package objects

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// What a bucket answers beyond success. Adapters wrap these; callers test with errors.Is.
var (
	ErrNotFound = errors.New("object not found")
	ErrExists   = errors.New("object exists already")
	// ErrChanged: the object is there, but not in the version that was asked for.
	ErrChanged = errors.New("object has changed")
	// ErrKey: the bucket cannot hold an object of this key. Reads of such a key
	// fail with ErrNotFound too.
	ErrKey = errors.New("key cannot be stored")
	// ErrReadOnly: the bucket was opened for reading only.
	ErrReadOnly = errors.New("bucket is read only")
)

// Info tells of one version of one object.
type Info struct {
	Key          string
	VersionID    string // empty where the bucket keeps no versions
	ETag         string // empty in a listing where it would have to be computed
	Size         int64
	LastModified time.Time
}

// Want says which objects a watcher is to hand over. It is asked of each that it has
// not handed over yet, by its key. Of one that is not whole, since it is still being
// written, it is told: that is not handed over, whatever the answer.
type Want func(key string, whole bool) bool

// Version pins a read to one version of an object: the version id where there
// is one, else the ETag; with neither, whatever is there.
type Version struct {
	ID   string
	ETag string
}

// Reader reads one version of one object. Sequential and random reads may be
// mixed; ReadAt may be used by many goroutines. A read fails with ErrChanged
// where the bucket notices that the object was changed under it; who needs to
// be sure hashes what he reads.
type Reader interface {
	io.Reader
	io.ReaderAt
	io.Closer
	Info() Info
}

// Writer writes a new object, for one goroutine. Nothing is visible before
// Commit; Commit makes all of it visible at once, durably, or fails with
// ErrExists if the key is taken. After Commit, failed or not, the writer is
// spent; Abort then does nothing, so that it may be deferred.
type Writer interface {
	io.Writer
	Commit(ctx context.Context) (Info, error)
	Abort() error
}

// Bucket is a place for objects, named by keys with "/" between their parts.
// All methods may be used by many goroutines.
type Bucket interface {
	// Name is the bucket's name, as file identities and reports use it.
	Name() string
	// Stat tells of the newest version, its ETag included.
	Stat(ctx context.Context, key string) (Info, error)
	// Open reads an object in the version asked for. Fails with ErrNotFound or
	// ErrChanged. The ETag of Reader.Info may be empty if no version was asked
	// for and it would have to be computed.
	Open(ctx context.Context, key string, v Version) (Reader, error)
	// Create begins a new object. An existing object is never overwritten; that
	// the key is taken shows at Commit.
	Create(ctx context.Context, key string) (Writer, error)
	// List yields the objects whose key begins with prefix, in key order (by the
	// bytes of the keys). It stops at the first error, which it yields.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
	// Copy copies one version of an object of src here, create-only and durable.
	// Where both ends allow it no bytes pass through this process. Fails with
	// ErrNotFound or ErrChanged for the source, ErrExists for the destination.
	Copy(ctx context.Context, src Bucket, srcKey string, v Version, dstKey string) (Info, error)
	// Remove deletes an object; a missing one is no error.
	Remove(ctx context.Context, key string) error
}
