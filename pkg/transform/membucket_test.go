package transform

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/openblotter/blotter/pkg/objects"
)

// memBucket keeps objects in memory. onCommit may break a commit.
type memBucket struct {
	mu       sync.Mutex
	objects  map[string][]byte
	onCommit func(key string) error
	open     int // writers neither committed nor aborted
}

func newMemBucket() *memBucket { return &memBucket{objects: map[string][]byte{}} }

func (m *memBucket) put(key string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key] = data
}

func (m *memBucket) keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.objects))
}

func (m *memBucket) Name() string { return "memory" }

func etagOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (m *memBucket) Stat(_ context.Context, key string) (objects.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.objects[key]
	if !ok {
		return objects.Info{}, objects.ErrNotFound
	}
	return objects.Info{Key: key, ETag: etagOf(data), Size: int64(len(data)), LastModified: time.Unix(0, 0)}, nil
}

func (m *memBucket) Open(ctx context.Context, key string, v objects.Version) (objects.Reader, error) {
	info, err := m.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	if v.ETag != "" && v.ETag != info.ETag {
		return nil, objects.ErrChanged
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memReader{Reader: bytes.NewReader(m.objects[key]), info: info}, nil
}

func (m *memBucket) Create(_ context.Context, key string) (objects.Writer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open++
	return &memWriter{bucket: m, key: key}, nil
}

func (m *memBucket) List(ctx context.Context, prefix string) iter.Seq2[objects.Info, error] {
	return func(yield func(objects.Info, error) bool) {
		for _, key := range m.keys() {
			if strings.HasPrefix(key, prefix) {
				if info, err := m.Stat(ctx, key); !yield(info, err) {
					return
				}
			}
		}
	}
}

func (m *memBucket) Copy(ctx context.Context, src objects.Bucket, srcKey string, v objects.Version, dstKey string) (objects.Info, error) {
	return objects.Info{}, fmt.Errorf("copy %s: not supported in memory", srcKey)
}

func (m *memBucket) Remove(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}

type memReader struct {
	*bytes.Reader
	info objects.Info
}

func (r *memReader) Info() objects.Info { return r.info }
func (r *memReader) Close() error       { return nil }

type memWriter struct {
	bucket *memBucket
	key    string
	buf    bytes.Buffer
	done   bool
}

func (w *memWriter) Write(p []byte) (int, error) { return w.buf.Write(p) }

func (w *memWriter) Commit(ctx context.Context) (objects.Info, error) {
	if hook := w.bucket.onCommit; hook != nil {
		if err := hook(w.key); err != nil {
			return objects.Info{}, err
		}
	}
	if _, err := w.bucket.Stat(ctx, w.key); err == nil {
		return objects.Info{}, fmt.Errorf("commit: %w", objects.ErrExists)
	}
	w.end()
	w.bucket.put(w.key, w.buf.Bytes())
	return w.bucket.Stat(ctx, w.key)
}

func (w *memWriter) end() {
	w.bucket.mu.Lock()
	defer w.bucket.mu.Unlock()
	if !w.done {
		w.done = true
		w.bucket.open--
	}
}

func (w *memWriter) Abort() error {
	w.end()
	return nil
}

var (
	_ objects.Bucket = (*memBucket)(nil)
	_ io.ReaderAt    = (*memReader)(nil)
)
