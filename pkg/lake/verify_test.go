package lake_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
)

// TestVerify: a byte that was altered in a page of a data file is found at its file, and
// the hash is that of the rows else.
func TestVerify(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := reports()
	var changes []change
	for n := range int64(50) {
		changes = append(changes, report(n, fmt.Sprint("status ", n), "/1", n+1))
	}
	r := w.publish(t, spec, 1, lake.Merge, w.stage(t, spec, stagedSpec{file: "f", kind: dms.KindChange, token: 1, changes: changes}))
	set, err := w.lake.RowsAt(t.Context(), spec.ID, r.SnapshotID)
	if err != nil {
		t.Fatal(err)
	}
	verify := func() (hash string, wrong []string) {
		t.Helper()
		h, whole, err := set.Verify(t.Context(), func(object string, err error) {
			if err == nil {
				t.Error("a file is wrong without an error")
			}
			wrong = append(wrong, object)
		})
		if err != nil || whole != (len(wrong) == 0) {
			t.Fatalf("whole is %v with %q wrong, %v", whole, wrong, err)
		}
		return h.String(), wrong
	}
	if hash, wrong := verify(); hash != r.RowsHash || len(wrong) > 0 {
		t.Fatalf("as it was written, the hash is %s and %q are wrong; published was %s", hash, wrong, r.RowsHash)
	}
	path, pages := pagesOf(t, w.dir)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range pages {
		b[at] ^= 4
		err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, b, 0o600))
		if _, wrong := verify(); err != nil || len(wrong) != 1 || !strings.HasSuffix(path, wrong[0]) {
			t.Errorf("of an altered byte at %d it says %q is wrong (%v)", at, wrong, err)
		}
		b[at] ^= 4
	}
}

// pagesOf gives the one data file of a warehouse, and the last byte of each of its pages.
func pagesOf(t *testing.T, dir string) (path string, last []int64) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "curated"), func(p string, _ fs.DirEntry, err error) error {
		if strings.Contains(p, "/data/") && strings.HasSuffix(p, ".parquet") {
			path = p
		}
		return err
	})
	if err != nil || path == "" {
		t.Fatalf("found %q, %v", path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Metadata().RowGroups {
		for _, c := range g.Columns {
			first := c.MetaData.DataPageOffset
			if d := c.MetaData.DictionaryPageOffset; d > 0 {
				first = min(first, d)
			}
			last = append(last, first+c.MetaData.TotalCompressedSize-1)
		}
	}
	return path, last
}
