package objectstest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/openblotter/blotter/pkg/objects"
)

func pinned(t *testing.T, b objects.Bucket) {
	info := put(t, b, "k", "content")
	for _, v := range []objects.Version{{}, {ETag: info.ETag}, {ID: info.VersionID, ETag: info.ETag}} {
		r, err := b.Open(t.Context(), "k", v)
		must(t, err)
		got := r.Info()
		if got.Key != "k" || got.Size != 7 || !got.LastModified.Equal(info.LastModified) ||
			v.ETag != "" && got.ETag != info.ETag {
			t.Errorf("Reader tells of %+v, Commit of %+v", got, info)
		}
		must(t, r.Close())
	}
	other := put(t, b, "other", "Content")
	if other.ETag == info.ETag {
		t.Fatal("different contents have one ETag")
	}
	_, err := b.Open(t.Context(), "k", objects.Version{ETag: other.ETag})
	wantError(t, "Open in another version", err, objects.ErrChanged)
	foreign := "of-another-object"
	if other.VersionID != "" {
		foreign = other.VersionID
	}
	_, err = b.Open(t.Context(), "k", objects.Version{ID: foreign})
	wantError(t, "Open in another object's version", err, objects.ErrChanged)
	_, err = b.Open(t.Context(), "missing", objects.Version{ID: foreign})
	wantError(t, "Open of no object in a version", err, objects.ErrNotFound)
	_, err = b.Copy(t.Context(), b, "k", objects.Version{ETag: other.ETag}, "copy")
	wantError(t, "Copy of another version", err, objects.ErrChanged)
	_, err = b.Stat(t.Context(), "copy")
	wantError(t, "Stat of what was not copied", err, objects.ErrNotFound)
}

// pinnedAfterReplacement: who asks for a version by its ETag never gets
// another, where the bucket keeps no versions.
func pinnedAfterReplacement(t *testing.T, b objects.Bucket) {
	first := put(t, b, "k", "first")
	if first.VersionID != "" {
		t.Skip("the bucket keeps versions: the first one stays readable")
	}
	open, err := b.Open(t.Context(), "k", objects.Version{ETag: first.ETag})
	must(t, err)
	must(t, b.Remove(t.Context(), "k"))
	second := put(t, b, "k", "2econd")
	_, err = b.Open(t.Context(), "k", objects.Version{ETag: first.ETag})
	wantError(t, "Open in the old version", err, objects.ErrChanged)
	if got := read(t, b, "k", objects.Version{ETag: second.ETag}); got != "2econd" {
		t.Errorf("the new version holds %q", got)
	}
	// A reader that was open before gives the old bytes or says so.
	content, err := io.ReadAll(open)
	if err == nil && string(content) != "first" || err != nil && !errors.Is(err, objects.ErrChanged) {
		t.Errorf("the reader of the old version gave %q, %v", content, err)
	}
	must(t, open.Close())
}

// versionStays: where the bucket keeps versions, each stays readable by its id,
// and listings tell of the newest.
func versionStays(t *testing.T, b objects.Bucket) {
	first := put(t, b, "k", "first")
	if first.VersionID == "" {
		t.Skip("the bucket keeps no versions")
	}
	must(t, b.Remove(t.Context(), "k"))
	checkKeys(t, "listed after Remove", list(t, b, ""))
	_, err := b.Stat(t.Context(), "k")
	wantError(t, "Stat after Remove", err, objects.ErrNotFound)
	second := put(t, b, "k", "2econd")
	if second.VersionID == first.VersionID {
		t.Fatalf("two versions have the id %s", first.VersionID)
	}
	for _, v := range []struct {
		info    objects.Info
		content string
	}{{first, "first"}, {second, "2econd"}} {
		if got := read(t, b, "k", objects.Version{ID: v.info.VersionID, ETag: v.info.ETag}); got != v.content {
			t.Errorf("version %s holds %q", v.info.VersionID, got)
		}
	}
	_, err = b.Open(t.Context(), "k", objects.Version{ID: first.VersionID, ETag: second.ETag})
	wantError(t, "Open of one version with the ETag of another", err, objects.ErrChanged)
	copied, err := b.Copy(t.Context(), b, "k", objects.Version{ID: first.VersionID}, "copy")
	must(t, err)
	if got := read(t, b, "copy", objects.Version{ID: copied.VersionID}); got != "first" {
		t.Errorf("the copy of the old version holds %q", got)
	}
	for info, err := range b.List(t.Context(), "k") {
		must(t, err)
		if info.VersionID != "" && info.VersionID != second.VersionID || info.Size != second.Size {
			t.Errorf("listed as %+v, the newest is %+v", info, second)
		}
	}
}

func readerAt(t *testing.T, b objects.Bucket) {
	content := pattern(200_000)
	info := put(t, b, "k", content)
	r, err := b.Open(t.Context(), "k", objects.Version{ETag: info.ETag})
	must(t, err)
	defer r.Close()
	race(8, func(i int) {
		buf := make([]byte, 1000)
		for n := range 50 {
			offset := (i*7919 + n*104729) % (len(content) - len(buf))
			if n, err := r.ReadAt(buf, int64(offset)); err != nil || string(buf[:n]) != content[offset:offset+len(buf)] {
				t.Errorf("ReadAt %d: %d bytes, %v", offset, n, err)
				return
			}
		}
	})
	buf := make([]byte, 100)
	n, err := r.ReadAt(buf, int64(len(content)-10))
	if n != 10 || !errors.Is(err, io.EOF) || string(buf[:n]) != content[len(content)-10:] {
		t.Errorf("ReadAt over the end: %d bytes, %v", n, err)
	}
	if n, err := r.ReadAt(buf, int64(len(content))); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("ReadAt at the end: %d bytes, %v", n, err)
	}
}

func mixedReads(t *testing.T, b objects.Bucket) {
	content := pattern(10_000)
	put(t, b, "k", content)
	r, err := b.Open(t.Context(), "k", objects.Version{})
	must(t, err)
	defer r.Close()
	first, middle := make([]byte, 100), make([]byte, 100)
	_, err = io.ReadFull(r, first)
	must(t, err)
	_, err = r.ReadAt(middle, 5000)
	must(t, err)
	rest, err := io.ReadAll(r)
	must(t, err)
	if string(first)+string(rest) != content || string(middle) != content[5000:5100] {
		t.Error("a random read moved the sequential one")
	}
}

// big streams an object through without holding it.
func big(t *testing.T, b objects.Bucket) {
	const chunks = 40
	chunk := []byte(pattern(1 << 20))
	w, err := b.Create(t.Context(), "big")
	must(t, err)
	written := sha256.New()
	for i := range chunks {
		chunk[0] = byte(i)
		written.Write(chunk)
		_, err := w.Write(chunk)
		must(t, err)
	}
	info, err := w.Commit(t.Context())
	must(t, err)
	if info.Size != chunks<<20 {
		t.Errorf("%d bytes were committed, want %d", info.Size, chunks<<20)
	}
	r, err := b.Open(t.Context(), "big", objects.Version{ID: info.VersionID, ETag: info.ETag})
	must(t, err)
	defer r.Close()
	got := sha256.New()
	_, err = io.Copy(got, r)
	must(t, err)
	if string(got.Sum(nil)) != string(written.Sum(nil)) {
		t.Error("other bytes come back than were written")
	}
}

func etagOfContent(t *testing.T, b objects.Bucket) {
	one := put(t, b, "one", "same")
	two := put(t, b, "two", "same")
	if one.ETag != two.ETag {
		t.Errorf("one content has two ETags: %s, %s", one.ETag, two.ETag)
	}
}

func copyWithin(t *testing.T, b objects.Bucket) {
	for i, v := range []func(objects.Info) objects.Version{
		func(objects.Info) objects.Version { return objects.Version{} },
		func(o objects.Info) objects.Version { return objects.Version{ID: o.VersionID, ETag: o.ETag} },
	} {
		src, dst := fmt.Sprintf("from/%d", i), fmt.Sprintf("to/some/folder/%d", i)
		content := pattern(10_000 + i)
		info := put(t, b, src, content)
		copied, err := b.Copy(t.Context(), b, src, v(info), dst)
		must(t, err)
		stat, err := b.Stat(t.Context(), dst)
		must(t, err)
		if copied.Key != dst || copied.Size != info.Size || copied.ETag != stat.ETag || stat.Size != info.Size {
			t.Errorf("Copy tells of %+v, Stat of %+v", copied, stat)
		}
		must(t, b.Remove(t.Context(), src))
		if read(t, b, dst, objects.Version{ETag: copied.ETag}) != content {
			t.Error("the copy is not what was copied")
		}
	}
}

// copyBig: what an adapter copies by parts is whole, and create-only too.
func copyBig(t *testing.T, b objects.Bucket) {
	content := pattern(bigSize)
	info := put(t, b, "src", content)
	copied, err := b.Copy(t.Context(), b, "src", objects.Version{ID: info.VersionID, ETag: info.ETag}, "dst")
	must(t, err)
	if copied.Size != bigSize || read(t, b, "dst", objects.Version{ID: copied.VersionID, ETag: copied.ETag}) != content {
		t.Errorf("the copy is not what was copied: %+v", copied)
	}
	_, err = b.Copy(t.Context(), b, "src", objects.Version{}, "dst")
	wantError(t, "a second Copy", err, objects.ErrExists)
}

func copyExists(t *testing.T, b objects.Bucket) {
	put(t, b, "src", "new")
	put(t, b, "dst", "old")
	_, err := b.Copy(t.Context(), b, "src", objects.Version{}, "dst")
	wantError(t, "Copy", err, objects.ErrExists)
	if got := read(t, b, "dst", objects.Version{}); got != "old" {
		t.Errorf("the object holds %q", got)
	}
}

// CopyBetween copies an object from one bucket to another, of whatever adapters.
func CopyBetween(t *testing.T, from, to objects.Bucket) {
	content := pattern(100_000)
	info := put(t, from, "a/k", content)
	copied, err := to.Copy(t.Context(), from, "a/k", objects.Version{ID: info.VersionID, ETag: info.ETag}, "b/k")
	must(t, err)
	must(t, from.Remove(t.Context(), "a/k"))
	if read(t, to, "b/k", objects.Version{ID: copied.VersionID, ETag: copied.ETag}) != content {
		t.Error("the copy is not what was copied")
	}
}
