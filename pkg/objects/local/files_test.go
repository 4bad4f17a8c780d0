//go:build unix

package local

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/openblotter/blotter/pkg/objects"
)

func keys(t *testing.T, b *Bucket, prefix string) []string {
	t.Helper()
	var list []string
	for info, err := range b.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, info.Key)
	}
	return list
}

func symlink(t *testing.T, b *Bucket, target, name string) {
	t.Helper()
	if err := os.Symlink(target, filepath.Join(b.dir, name)); err != nil {
		t.Fatal(err)
	}
}

func TestLinks(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBucket(t)
	writeFile(t, b, "folder/file", "content")
	symlink(t, b, "folder/file", "inside")
	symlink(t, b, "../folder/file", "folder/up")
	symlink(t, b, outside, "outside")
	symlink(t, b, "..", "parent")
	symlink(t, b, ".", "loop")
	symlink(t, b, "folder", "link to folder")
	symlink(t, b, "nowhere", "broken")
	if got, want := keys(t, b, ""), []string{"folder/file", "folder/up", "inside"}; !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
	if info, err := b.Stat(t.Context(), "inside"); err != nil || info.Size != 7 {
		t.Errorf("a link inside the folder: %+v, %v", info, err)
	}
	for _, key := range []string{"outside", "broken", "parent/secret", "loop", "parent"} {
		if _, err := b.Open(t.Context(), key, objects.Version{}); err == nil {
			t.Errorf("%s can be read", key)
		}
	}
	w, err := b.Create(t.Context(), "parent/new")
	if err == nil {
		_, err = w.Commit(t.Context())
	}
	if err == nil {
		t.Error("an object was written outside the folder")
	}
}

func TestPipeIsNoObject(t *testing.T) {
	b := newBucket(t)
	if err := syscall.Mkfifo(filepath.Join(b.dir, "pipe"), 0o644); err != nil {
		t.Skip(err)
	}
	if _, err := b.Stat(t.Context(), "pipe"); !errors.Is(err, objects.ErrNotFound) {
		t.Errorf("Stat: %v", err)
	}
	if got := keys(t, b, ""); len(got) != 0 {
		t.Errorf("listed %q", got)
	}
}

func TestNameThatIsNoUTF8(t *testing.T) {
	b := newBucket(t)
	if err := os.WriteFile(filepath.Join(b.dir, "caf\xe9.csv"), []byte("x"), 0o644); err != nil {
		t.Skip(err)
	}
	got := keys(t, b, "")
	if want := []string{".blotter-bytes-caf%E9.csv"}; !slices.Equal(got, want) {
		t.Fatalf("listed %q, want %q", got, want)
	}
	if info, err := b.Stat(t.Context(), got[0]); err != nil || info.Size != 1 {
		t.Errorf("Stat: %+v, %v", info, err)
	}
}

func TestKeyThroughAnObject(t *testing.T) {
	b := newBucket(t)
	writeFile(t, b, "a/b", "x")
	for _, key := range []string{"a/b/c", "a"} {
		w, err := b.Create(t.Context(), key)
		if err == nil {
			_, err = w.Commit(t.Context())
		}
		if !errors.Is(err, objects.ErrKey) || errors.Is(err, objects.ErrExists) {
			t.Errorf("create %s: %v", key, err)
		}
	}
	for _, key := range []string{strings.Repeat("p", 256), "a/" + strings.Repeat("é", 200), ""} {
		if _, err := b.Create(t.Context(), key); !errors.Is(err, objects.ErrKey) {
			t.Errorf("create %q: %v", key, err)
		}
		if _, err := b.Stat(t.Context(), key); !errors.Is(err, objects.ErrNotFound) {
			t.Errorf("stat %q: %v", key, err)
		}
	}
	if entries, err := os.ReadDir(filepath.Join(b.dir, tempFolder)); err == nil && len(entries) > 0 {
		t.Errorf("temporary files are left: %v", entries)
	}
}

func TestReadOnly(t *testing.T) {
	if _, err := New("raw", filepath.Join(t.TempDir(), "missing"), ReadOnly()); err == nil {
		t.Error("a folder that is not there was opened")
	}
	b := newBucket(t, ReadOnly())
	writeFile(t, b, "a/b", "x")
	if _, err := b.Create(t.Context(), "c"); !errors.Is(err, objects.ErrReadOnly) {
		t.Errorf("Create: %v", err)
	}
	if _, err := b.Copy(t.Context(), b, "a/b", objects.Version{}, "c"); !errors.Is(err, objects.ErrReadOnly) {
		t.Errorf("Copy: %v", err)
	}
	if err := b.Remove(t.Context(), "a/b"); !errors.Is(err, objects.ErrReadOnly) {
		t.Errorf("Remove: %v", err)
	}
	if entries, err := os.ReadDir(b.dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestFolderReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "raw")
	b, err := New("raw", dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := os.Rename(dir, dir+"-old"); err != nil {
		t.Fatal(err)
	}
	list := func() error {
		for _, err := range b.List(t.Context(), "") {
			return err
		}
		return nil
	}
	if list() == nil {
		t.Error("a folder that was moved away looks empty")
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if list() == nil {
		t.Error("a folder that was replaced looks empty")
	}
}

func TestEmptyFoldersArePruned(t *testing.T) {
	b := newBucket(t)
	for _, key := range []string{"staging/t/f1/1/rows", "staging/t/f2/1/rows"} {
		w, err := b.Create(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Remove(t.Context(), "staging/t/f1/1/rows"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "staging/t/f1")); !os.IsNotExist(err) {
		t.Errorf("an empty folder stays: %v", err)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "staging/t/f2/1")); err != nil {
		t.Error(err)
	}
}
