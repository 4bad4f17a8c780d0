package lake_test

import (
	"errors"
	"os"
	"path/filepath"
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
