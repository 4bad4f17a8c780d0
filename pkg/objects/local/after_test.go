//go:build unix

package local

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/objects"
)

// TestScanAfterTellsOfWhatItPasses: files that are being written, and what cannot be
// read, are told of with the reason; what is no object is not.
func TestScanAfterTellsOfWhatItPasses(t *testing.T) {
	dir := t.TempDir()
	b, err := New("raw", dir, ReadOnly())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	w := watch(t, b, WatchConfig{StableFor: time.Hour})
	for _, name := range []string{"a/1", "c/1", "d/shut", "e/1"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	scan := func(after string, want objects.Want) (seen, reasons []string, kinds []objects.Seen) {
		for s, err := range w.ScanAfter(t.Context(), "", after, want) {
			if err != nil {
				t.Fatal(err)
			}
			seen, kinds = append(seen, s.Key), append(kinds, s.Seen)
			if s.Reason != nil {
				reasons = append(reasons, s.Reason.Error())
			}
		}
		return seen, reasons, kinds
	}
	check := func(what string, got, want any, same bool) {
		t.Helper()
		if !same {
			t.Errorf("%s: %q, expected %q", what, got, want)
		}
	}
	files := []string{"a/1", "c/1", "d/shut", "e/1"}
	var unwhole []string
	seen, reasons, kinds := scan("", func(key string, whole bool) bool {
		if !whole {
			unwhole = append(unwhole, key)
		}
		return true
	})
	check("what is being written is seen", seen, files, slices.Equal(seen, files))
	check("of it is asked", unwhole, files, slices.Equal(unwhole, files))
	if len(reasons) != 4 || reasons[0] != "it is still being written" || kinds[0] != objects.SeenUnwhole {
		t.Errorf("it says %q, %v", reasons, kinds)
	}
	b.now = func() time.Time { return time.Now().Add(2 * time.Hour) } // then all has rested
	seen, _, kinds = scan("a/1", func(string, bool) bool { return false })
	check("what nobody asks for is seen", seen, files[1:], slices.Equal(seen, files[1:]))
	check("as such", kinds, "other", !slices.ContainsFunc(kinds, func(k objects.Seen) bool { return k != objects.SeenOther }))
	seen, reasons, _ = scan("a/", nil)
	check("whole files are seen", seen, files, slices.Equal(seen, files) && len(reasons) == 0)
	if r := w.Report(); r.Objects != 0 || r.Unstable != 0 || r.Skipped != 0 {
		t.Errorf("the report tells of it: %+v", r)
	}
	if os.Geteuid() == 0 {
		return // nothing is shut to root
	}
	b.etags.drop("d/shut")
	for name, mode := range map[string]os.FileMode{"d/shut": 0, "e": 0} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, name), 0o755) })
	}
	seen, reasons, kinds = scan("a/1", nil)
	check("the shut are seen", seen, "c/1, d/shut and a folder", slices.Equal(seen, []string{"c/1", "d/shut", ""}))
	if len(reasons) != 2 || kinds[1] != objects.SeenUnreadable || !strings.HasPrefix(reasons[1], "e: ") {
		t.Errorf("of the shut it says %q, %v", reasons, kinds)
	}
}
