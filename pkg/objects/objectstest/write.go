package objectstest

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/objects"
)

func createAndRead(t *testing.T, b objects.Bucket) {
	if b.Name() == "" {
		t.Error("the bucket has no name")
	}
	for _, content := range []string{"", "x", pattern(5000)} {
		key := fmt.Sprintf("a/b/%d.csv", len(content))
		before := time.Now()
		info := put(t, b, key, content)
		if info.Key != key || info.Size != int64(len(content)) || info.ETag == "" {
			t.Errorf("Commit tells of %+v", info)
		}
		// Clocks of file systems and services run in steps of up to a second.
		if info.LastModified.Before(before.Add(-2*time.Second)) || info.LastModified.After(time.Now().Add(2*time.Second)) {
			t.Errorf("modified at %v, now it is %v", info.LastModified, time.Now())
		}
		stat, err := b.Stat(t.Context(), key)
		must(t, err)
		if stat.ETag != info.ETag || stat.Size != info.Size || stat.Key != key || stat.VersionID != info.VersionID ||
			!stat.LastModified.Equal(info.LastModified) {
			t.Errorf("Commit tells of %+v, Stat of %+v", info, stat)
		}
		if got := read(t, b, key, objects.Version{}); got != content {
			t.Errorf("%s: %d bytes come back of %d", key, len(got), len(content))
		}
	}
}

func notFound(t *testing.T, b objects.Bucket) {
	put(t, b, "there/is", "x")
	for _, key := range []string{"missing", "there", "there/is/below", "there/", "a/b/c/d", "thereis"} {
		_, err := b.Stat(t.Context(), key)
		wantError(t, "Stat "+key, err, objects.ErrNotFound)
		_, err = b.Open(t.Context(), key, objects.Version{})
		wantError(t, "Open "+key, err, objects.ErrNotFound)
		_, err = b.Open(t.Context(), key, objects.Version{ETag: "x"})
		wantError(t, "Open with an ETag "+key, err, objects.ErrNotFound)
		must(t, b.Remove(t.Context(), key))
	}
	_, err := b.Copy(t.Context(), b, "missing", objects.Version{}, "copy")
	wantError(t, "Copy", err, objects.ErrNotFound)
	checkKeys(t, "left", list(t, b, ""), "there/is")
}

func invisible(t *testing.T, b objects.Bucket) {
	w, err := b.Create(t.Context(), "new/object")
	must(t, err)
	_, err = io.WriteString(w, pattern(300_000))
	must(t, err)
	_, err = b.Stat(t.Context(), "new/object")
	wantError(t, "Stat before Commit", err, objects.ErrNotFound)
	checkKeys(t, "listed before Commit", list(t, b, ""))
	_, err = w.Commit(t.Context())
	must(t, err)
	checkKeys(t, "listed after Commit", list(t, b, ""), "new/object")
	must(t, w.Abort()) // does nothing any more
	checkKeys(t, "listed after Abort", list(t, b, ""), "new/object")
	if _, err := io.WriteString(w, "more"); err == nil {
		t.Error("a writer takes bytes after Commit")
	}
	if _, err := w.Commit(t.Context()); err == nil {
		t.Error("a writer commits twice")
	}
}

func abort(t *testing.T, b objects.Bucket) {
	w, err := b.Create(t.Context(), "k")
	must(t, err)
	_, err = io.WriteString(w, "x")
	must(t, err)
	must(t, w.Abort())
	must(t, w.Abort())
	if _, err := w.Commit(t.Context()); err == nil {
		t.Error("an aborted writer commits")
	}
	checkKeys(t, "listed", list(t, b, ""))
	put(t, b, "k", "y")
}

func exists(t *testing.T, b objects.Bucket) {
	first := put(t, b, "k", "first")
	_, err := tryPut(t, b, "k", "second")
	wantError(t, "a second Create", err, objects.ErrExists)
	_, err = tryPut(t, b, "k", "first")
	wantError(t, "a Create with the same content", err, objects.ErrExists)
	if got := read(t, b, "k", objects.Version{ETag: first.ETag, ID: first.VersionID}); got != "first" {
		t.Errorf("the object holds %q", got)
	}
}

// createRace: of many writers of one key one wins, and its bytes are what is there.
func createRace(t *testing.T, b objects.Bucket) {
	for round := range 5 {
		key := fmt.Sprintf("new/folder/%d/object", round)
		var wins, lost, winner atomic.Int64
		race(16, func(i int) {
			content := strings.Repeat(fmt.Sprintf("writer %02d;", i), 2000)
			switch _, err := tryPut(t, b, key, content); {
			case err == nil:
				wins.Add(1)
				winner.Store(int64(i))
			default:
				wantError(t, "a writer that lost", err, objects.ErrExists)
				lost.Add(1)
			}
		})
		if wins.Load() != 1 || lost.Load() != 15 {
			t.Fatalf("%d writers won, %d lost", wins.Load(), lost.Load())
		}
		want := strings.Repeat(fmt.Sprintf("writer %02d;", winner.Load()), 2000)
		if read(t, b, key, objects.Version{}) != want {
			t.Error("the object is not what its winner wrote")
		}
	}
}

// bigSize is more than an adapter sends at once.
const bigSize = 11 << 20

// existsBig: what is there stays, however large what comes is.
func existsBig(t *testing.T, b objects.Bucket) {
	put(t, b, "k", "first")
	_, err := tryPut(t, b, "k", pattern(bigSize))
	wantError(t, "a second Create", err, objects.ErrExists)
	if got := read(t, b, "k", objects.Version{}); got != "first" {
		t.Errorf("the object has %d bytes", len(got))
	}
}

// createRaceBig: of large writers of one key one wins, and what is there is its
// own, whole.
func createRaceBig(t *testing.T, b objects.Bucket) {
	const writers = 3
	var wins, winner atomic.Int64
	race(writers, func(i int) {
		content := strings.Repeat(fmt.Sprintf("writer %02d;", i), bigSize/10)
		switch _, err := tryPut(t, b, "k", content); {
		case err == nil:
			wins.Add(1)
			winner.Store(int64(i))
		default:
			wantError(t, "a writer that lost", err, objects.ErrExists)
		}
	})
	if wins.Load() != 1 {
		t.Fatalf("%d writers won", wins.Load())
	}
	if read(t, b, "k", objects.Version{}) != strings.Repeat(fmt.Sprintf("writer %02d;", winner.Load()), bigSize/10) {
		t.Error("the object is not what its winner wrote")
	}
}

// abortBig: what was sent before Abort leaves nothing.
func abortBig(t *testing.T, b objects.Bucket) {
	w, err := b.Create(t.Context(), "k")
	must(t, err)
	_, err = io.WriteString(w, pattern(2*bigSize))
	must(t, err)
	must(t, w.Abort())
	checkKeys(t, "listed", list(t, b, ""))
	put(t, b, "k", "y")
}

func canceled(t *testing.T, b objects.Bucket) {
	w, err := b.Create(t.Context(), "k")
	must(t, err)
	_, err = io.WriteString(w, "x")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = w.Commit(ctx)
	wantError(t, "Commit", err, context.Canceled)
	must(t, w.Abort())
	checkKeys(t, "listed", list(t, b, ""))
	for _, err := range b.List(ctx, "") {
		wantError(t, "List", err, context.Canceled)
	}
}

func remove(t *testing.T, b objects.Bucket) {
	for _, key := range []string{"a/b/c", "a/b/d", "a/e"} {
		put(t, b, key, key)
	}
	must(t, b.Remove(t.Context(), "a/b")) // a folder is no object
	must(t, b.Remove(t.Context(), "a/b/c"))
	must(t, b.Remove(t.Context(), "a/b/c"))
	checkKeys(t, "listed", list(t, b, ""), "a/b/d", "a/e")
	_, err := b.Stat(t.Context(), "a/b/c")
	wantError(t, "Stat", err, objects.ErrNotFound)
	put(t, b, "a/b/c", "again")
	if got := read(t, b, "a/b/c", objects.Version{}); got != "again" {
		t.Errorf("the object holds %q", got)
	}
}

// removeBesideCreate: removals of the last object of a folder do not disturb
// those who write to it.
func removeBesideCreate(t *testing.T, b objects.Bucket) {
	race(8, func(i int) {
		for n := range 20 {
			key := fmt.Sprintf("shared/folder/%d-%d", i, n)
			if _, err := tryPut(t, b, key, "x"); err != nil {
				t.Error(err)
				return
			}
			if err := b.Remove(t.Context(), key); err != nil {
				t.Error(err)
				return
			}
		}
	})
	checkKeys(t, "left", list(t, b, ""))
}
