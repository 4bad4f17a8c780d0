package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/objects"
)

// later makes a bucket's clock run ahead, so that its files have been left alone.
func later(b *Bucket, d time.Duration) {
	b.now = func() time.Time { return time.Now().Add(d) }
}

func newBucket(t testing.TB, opts ...Option) *Bucket {
	t.Helper()
	b, err := New("raw", t.TempDir(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func writeFile(t testing.TB, b *Bucket, name, content string) {
	t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func etagOf(t testing.TB, b *Bucket, key string) string {
	t.Helper()
	info, err := b.Stat(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return info.ETag
}

func (b *Bucket) remembers(name string) bool {
	info, err := b.root.Stat(name)
	if err != nil {
		return false
	}
	_, ok := b.etags.get(name, b.identity(stampOf(info)))
	return ok
}

func TestETagIsTheHash(t *testing.T) {
	b := newBucket(t)
	writeFile(t, b, "a", "hello\n")
	const want = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03" // sha256sum
	if got := etagOf(t, b, "a"); got != want {
		t.Errorf("got %s", got)
	}
}

func TestETagRemembered(t *testing.T) {
	b := newBucket(t)
	writeFile(t, b, "a", "one")
	first := etagOf(t, b, "a")
	if b.remembers("a") {
		t.Error("the ETag of a file that may still change within one step of the clock is remembered")
	}
	later(b, time.Minute)
	etagOf(t, b, "a")
	if !b.remembers("a") {
		t.Error("the ETag of a file at rest is not remembered")
	}

	// The same size and the same modification time: only the change time tells.
	info, err := os.Stat(filepath.Join(b.dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, b, "a", "two")
	if err := os.Chtimes(filepath.Join(b.dir, "a"), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if etagOf(t, b, "a") == first {
		t.Error("a file that was overwritten keeps its ETag")
	}
	_, err = b.Open(t.Context(), "a", objects.Version{ETag: first})
	if !errors.Is(err, objects.ErrChanged) {
		t.Errorf("Open with the old ETag: %v", err)
	}
}

func TestETagsAreBounded(t *testing.T) {
	c := etagCache{limit: 100}
	for i := range 1000 {
		c.put(fmt.Sprint(i), stamp{size: int64(i)}, sum{})
	}
	if len(c.entries) > 100 {
		t.Errorf("%d entries are kept", len(c.entries))
	}
	if _, ok := c.get("999", stamp{size: 999}); !ok {
		t.Error("the newest entry is gone")
	}
}

func TestReadNoticesChange(t *testing.T) {
	b := newBucket(t)
	writeFile(t, b, "a", "content")
	r, err := b.Open(t.Context(), "a", objects.Version{ETag: etagOf(t, b, "a")})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := os.OpenFile(filepath.Join(b.dir, "a"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(" and more"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, objects.ErrChanged) {
		t.Errorf("reading a file that has grown: %v", err)
	}
}

func TestHashingCanBeCanceled(t *testing.T) {
	b := newBucket(t)
	writeFile(t, b, "a", "content")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Stat(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("Stat: %v", err)
	}
}

func TestCopyHashesWhatItCopies(t *testing.T) {
	b, failed := newBucket(t), newBucket(t, Immutable())
	later(b, time.Minute)
	writeFile(t, b, "a", "one")
	pin := objects.Version{ETag: etagOf(t, b, "a")}
	info, err := failed.Copy(t.Context(), b, "a", pin, "copy")
	if err != nil || info.ETag != pin.ETag {
		t.Fatalf("copied %+v, %v", info, err)
	}
	if linked(t, filepath.Join(b.dir, "a"), filepath.Join(failed.dir, "copy")) {
		t.Error("the copy of a raw object would change with it")
	}
	writeFile(t, b, "a", "two")
	if _, err := failed.Copy(t.Context(), b, "a", pin, "again"); !errors.Is(err, objects.ErrChanged) {
		t.Errorf("copying a version that is gone: %v", err)
	}
	if _, err := failed.Stat(t.Context(), "again"); !errors.Is(err, objects.ErrNotFound) {
		t.Errorf("it left something: %v", err)
	}
}

func TestCopyLinksImmutableObjects(t *testing.T) {
	staging, curated := newBucket(t, Immutable()), newBucket(t, Immutable())
	w, err := staging.Create(t.Context(), "s/part.parquet")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "rows"); err != nil {
		t.Fatal(err)
	}
	created, err := w.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, pin := range []objects.Version{{}, {ETag: created.ETag}} {
		key := fmt.Sprintf("data/%d/part.parquet", i)
		info, err := curated.Copy(t.Context(), staging, "s/part.parquet", pin, key)
		if err != nil || info.Key != key || info.ETag != created.ETag || info.Size != 4 {
			t.Errorf("copied %+v, %v", info, err)
		}
		if !linked(t, filepath.Join(staging.dir, "s/part.parquet"), filepath.Join(curated.dir, key)) {
			t.Error("bytes were copied")
		}
		if !curated.remembers(key) || !staging.remembers("s/part.parquet") {
			t.Error("the link made an ETag forgotten")
		}
		_, err = curated.Copy(t.Context(), staging, "s/part.parquet", pin, key)
		if !errors.Is(err, objects.ErrExists) {
			t.Errorf("a second copy: %v", err)
		}
	}
	_, err = curated.Copy(t.Context(), staging, "s/part.parquet", objects.Version{ETag: "x"}, "other")
	if !errors.Is(err, objects.ErrChanged) {
		t.Errorf("another version: %v", err)
	}
}

func linked(t *testing.T, a, b string) bool {
	t.Helper()
	first, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.Stat(b)
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(first, second)
}
