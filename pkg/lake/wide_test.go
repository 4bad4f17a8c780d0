package lake_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
)

// TestWideRowsAreWrittenInSmallGroups: a row group is held in memory until it ends,
// so that it must end by its bytes, however few rows that are.
func TestWideRowsAreWrittenInSmallGroups(t *testing.T) {
	const rows, width = 40, 64 << 10
	cfg := delta()
	cfg.RowGroupBytes = 512 << 10
	w := quickWorld(t, cfg)
	spec := reports()
	random := rand.NewChaCha8([32]byte{})
	note := make([]byte, width/2)
	for token := range uint64(4) {
		var changes []change
		for n := range int64(rows) {
			if _, err := random.Read(note); err != nil {
				t.Fatal(err)
			}
			changes = append(changes, report(int64(token)*rows+n, fmt.Sprintf("%x", note), fmt.Sprint("/", token), n+1))
		}
		w.publish(t, spec, token+1, lake.Merge, w.stage(t, spec, stagedSpec{file: fmt.Sprint("f", token), kind: dms.KindChange, token: token + 1, changes: changes}))
	}
	token := uint64(4)
	for range 4 {
		token++
		w.publish(t, spec, token, lake.Merge, w.stage(t, spec, stagedSpec{file: fmt.Sprint("d", token), kind: dms.KindChange, token: token,
			changes: []change{removal(int64(token-5)*rows, fmt.Sprint("/", token), 1)}}))
	}
	before := w.rows(t, spec.ID)
	w.maintainAll(t, spec, &token)
	expect(t, w.rows(t, spec.ID), before...)

	tbl, err := w.catalog.LoadTable(t.Context(), lake.Identifier(spec.ID))
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := tbl.Scan().PlanFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(tasks) != 1 {
		t.Fatalf("%d data files, expected one of all rows", len(tasks))
	}
	key, err := w.io.Key(tasks[0].File.FilePath())
	if err != nil {
		t.Fatal(err)
	}
	file := w.openWritten(t, key)
	for i, g := range file.Metadata().RowGroups {
		// It may end a row later, and what else a row has comes on top.
		if limit := cfg.RowGroupBytes + cfg.RowGroupBytes/8 + 2*width; g.TotalByteSize > limit {
			t.Errorf("row group %d has %d bytes, expected at most %d", i, g.TotalByteSize, limit)
		}
	}
	if n := len(file.Metadata().RowGroups); n > 2*(4*rows*width)/int(cfg.RowGroupBytes) {
		t.Errorf("%d row groups for %d rows", n, 4*rows)
	}
}

// openWritten opens a data file.
func (w *world) openWritten(t *testing.T, key string) *parquet.File {
	t.Helper()
	curated, err := local.New("curated", filepath.Join(w.dir, "curated"))
	if err != nil {
		t.Fatal(err)
	}
	in, err := curated.Open(t.Context(), key, objects.Version{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(in.Close(), curated.Close()) })
	file, err := parquet.OpenFile(in, in.Info().Size)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
