package lake_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
)

// TestADamagedTable: whatever object a table lacks, a publication, a fence and a step of
// maintenance that need it name it, and go on once it is back.
func TestADamagedTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, folder, suffix string
		content              string // instead; empty: it is gone
		fence                bool   // a fence needs it, too
	}{
		{"metadata are gone", "metadata", ".metadata.json", "", true},
		{"metadata are cut", "metadata", ".metadata.json", `{"format-version": 2,`, true},
		{"metadata are others", "metadata", ".metadata.json", `{"format-version": 2}`, true},
		{"a manifest list is gone", "metadata", "snap-", "", true},
		{"a data file is gone", "data", ".parquet", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := lake.DefaultConfig()
			w := newWorld(t, cfg)
			spec := reports()
			w.publish(t, spec, 1, lake.Replace, w.stage(t, spec, stagedSpec{file: "l", kind: dms.KindLoad, token: 1, changes: []change{report(1, "a", "/l", 1)}}))
			path := w.newest(t, c.folder, c.suffix)
			was, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err = os.Remove(path); err == nil && c.content != "" {
				err = os.WriteFile(path, []byte(c.content), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			lacks := func(what string, err error) {
				t.Helper()
				var damaged *lake.DamagedError
				if !errors.As(err, &damaged) || !strings.HasSuffix(damaged.Location, filepath.Base(path)) || !strings.Contains(err.Error(), damaged.Location) || !lake.Damaged(err) {
					t.Errorf("%s says %v, expected that it names %s", what, err, path)
				}
			}
			part := w.stage(t, spec, stagedSpec{file: "c", kind: dms.KindChange, token: 2, changes: []change{report(1, "b", "/m", 1)}})
			request := lake.Request{Spec: spec, Token: 2, After: 1, Mode: lake.Merge, Parts: []lake.Part{part}}
			_, err = w.lake.Publish(t.Context(), request)
			lacks("a publication", err)
			if c.fence {
				_, err = w.lake.Fence(t.Context(), spec, lake.Turn{Token: 2, After: 1})
				lacks("a fence", err)
				_, err = w.lake.Maintain(t.Context(), spec, lake.Turn{Token: 2, After: 1})
				lacks("maintenance", err)
			}
			if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, was, 0o600)); err != nil {
				t.Fatal(err)
			}
			if _, err := w.lake.Publish(t.Context(), request); err != nil {
				t.Errorf("once it is back: %v", err)
			}
			expect(t, w.rows(t, spec.ID), "1|b|-49.00")
		})
	}
}

// newest gives the file with this in its name below a folder of a table that was written last.
func (w *world) newest(t *testing.T, folder, part string) (newest string) {
	t.Helper()
	var at os.FileInfo
	err := filepath.Walk(filepath.Join(w.dir, "curated"), func(path string, info os.FileInfo, err error) error {
		if err == nil && filepath.Base(filepath.Dir(path)) == folder && strings.Contains(info.Name(), part) && (at == nil || info.ModTime().After(at.ModTime())) {
			newest, at = path, info
		}
		return err
	})
	if err != nil || newest == "" {
		t.Fatalf("there is no %s in %s (%v)", part, folder, err)
	}
	return newest
}

// TestDamagedRememberedDeletes: remembered deletes that are gone, altered or no Parquet are
// named, too, and a look at the bytes finds those that are altered.
func TestDamagedRememberedDeletes(t *testing.T) {
	t.Parallel()
	cut := func(b []byte) []byte { return b[:len(b)/2] }
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	for name, c := range map[string]struct {
		change func([]byte) []byte // nil: it is gone
		known  bool                // its hash was verified before
		files  int                 // as many may be remembered in
	}{
		"gone":                      {nil, false, 8},
		"cut":                       {cut, false, 8},
		"a bit is another":          {flip, false, 8},
		"no Parquet any more":       {func(b []byte) []byte { clear(b); return b }, true, 8},
		"gone when it is merged":    {nil, false, 1},
		"cut when it is merged":     {cut, false, 1},
		"altered when it is merged": {flip, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := lake.DefaultConfig()
			cfg.MaxTombstoneFiles = c.files
			w := newWorld(t, cfg)
			spec := reports()
			w.publish(t, spec, 1, lake.Replace, w.stage(t, spec, stagedSpec{file: "l", kind: dms.KindLoad, token: 1, changes: []change{report(1, "a", "/l", 1), report(2, "b", "/l", 2)}}))
			w.publish(t, spec, 2, lake.Merge, w.stage(t, spec, stagedSpec{file: "c", kind: dms.KindChange, token: 2, changes: []change{removal(1, "/m", 1)}}))
			token := uint64(2)
			if c.known {
				token++
				w.publish(t, spec, token, lake.Merge, w.stage(t, spec, stagedSpec{file: "d", kind: dms.KindChange, token: token, changes: []change{report(1, "c", "/k", 1)}}))
			}
			path := w.newest(t, "reports", ".parquet")
			was, err := os.ReadFile(path)
			if err == nil {
				err = os.Remove(path)
			}
			if err == nil && c.change != nil {
				err = os.WriteFile(path, c.change(slices.Clone(was)), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			var found []string
			err = w.lake.VerifyTombstones(t.Context(), spec.ID, func(object string, err error) { found = append(found, filepath.Base(object)) })
			if want := c.change != nil; err != nil || want != slices.Equal(found, []string{filepath.Base(path)}) {
				t.Errorf("a look finds %q (%v)", found, err)
			}
			changes := []change{report(1, "late", "/k", 2)}
			if c.files == 1 {
				changes = append(changes, removal(2, "/m", 2))
			}
			part := w.stage(t, spec, stagedSpec{file: "e", kind: dms.KindChange, token: token + 1, changes: changes})
			request := lake.Request{Spec: spec, Token: token + 1, After: token, Mode: lake.Merge, Parts: []lake.Part{part}}
			_, err = w.lake.Publish(t.Context(), request)
			var damaged *lake.DamagedError
			if !errors.As(err, &damaged) || !strings.HasSuffix(damaged.Location, "_tombstones/rms/reports/"+filepath.Base(path)) {
				t.Fatalf("a publication says %v, expected that it names %s", err, path)
			}
			if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, was, 0o600)); err != nil {
				t.Fatal(err)
			}
			if _, err := w.lake.Publish(t.Context(), request); err != nil {
				t.Errorf("once it is back: %v", err)
			}
			want := []string{"2|b|-48.00"}
			if c.files == 1 {
				want = nil
			}
			expect(t, w.rows(t, spec.ID), want...)
		})
	}
}
