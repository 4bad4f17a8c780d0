package lake_test

import (
	"testing"

	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// TestFilesOfOtherEngines merges into a file that another engine has rewritten
// in an order of its own.
func TestFilesOfOtherEngines(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := reports()
	if _, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: 1}); err != nil {
		t.Fatal(err)
	}
	addUnsorted(t, w)
	expect(t, w.rows(t, spec.ID), "1|a|-49.00", "2|a|-48.00", "3|a|-47.00")
	r := w.publish(t, spec, 2, lake.Merge, w.stage(t, spec, stagedSpec{file: "c", kind: dms.KindChange, token: 2, changes: []change{
		report(1, "late", "", 1), report(2, "b", "/b", 2), removal(3, "/b", 3), report(4, "b", "/b", 4)}}))
	if r.Strategy != lake.StrategyRowDelta || r.TableRows != 3 || r.Files[0].Superseded != 1 {
		t.Fatalf("got %+v", r)
	}
	if r.RowsHash != "" {
		t.Error("a hash is given of rows that another engine brought")
	}
	expect(t, w.rows(t, spec.ID), "1|a|-49.00", "2|b|-48.00", "4|b|-46.00")
}

// addUnsorted commits a data file without sort order, as another engine would,
// under a location as Hadoop spells it.
func addUnsorted(t *testing.T, w *world) {
	t.Helper()
	spec := reports()
	tbl, err := w.catalog.LoadTable(t.Context(), lake.Identifier(spec.ID))
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.io.Bucket().Create(t.Context(), "rms/reports/data/foreign.parquet")
	if err != nil {
		t.Fatal(err)
	}
	pw := parquet.NewWriter(out, transform.RowsSchema(transform.StagedColumns(spec), spec.Provenance))
	for i, id := range []int64{3, 1, 2} {
		row := rowOf(spec, stagedSpec{file: "f", kind: dms.KindChange}, report(id, "a", "/a", int64(i+1)))
		if _, err := pw.WriteRows([]parquet.Row{row}); err != nil {
			t.Fatal(err)
		}
	}
	if err := pw.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := out.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	location := "file:" + w.dir + "/curated/rms/reports/data/foreign.parquet"
	b, err := iceberg.NewDataFileBuilder(*iceberg.UnpartitionedSpec, iceberg.EntryContentData, location, iceberg.ParquetFile, nil, nil, nil, 3, info.Size)
	if err != nil {
		t.Fatal(err)
	}
	tx := tbl.NewTransaction()
	if err := tx.AddDataFiles(t.Context(), []iceberg.DataFile{b.Build()}, nil, icetable.WithoutAutoNameMapping()); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestRowsOfOtherEnginesAreInNoHash: once another engine has committed, the hash is not
// known, whatever commits of ours come between, until all rows are replaced.
func TestRowsOfOtherEnginesAreInNoHash(t *testing.T) {
	between := map[string]func(w *world, spec registry.Table){
		"nothing": func(*world, registry.Table) {},
		"a fence": func(w *world, spec registry.Table) {
			if _, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: 2}); err != nil {
				t.Fatal(err)
			}
		},
		"maintenance": func(w *world, spec registry.Table) { w.maintain(t, spec, 2) },
	}
	for name, ours := range between {
		for _, foreign := range []bool{false, true} {
			w, spec := newWorld(t, lake.DefaultConfig()), reports()
			file := func(name string, token uint64, id int64) lake.Part {
				return w.stage(t, spec, stagedSpec{file: name, kind: dms.KindChange, token: token, changes: []change{report(id, "ours", "/b", 1)}})
			}
			if r := w.publish(t, spec, 1, lake.Merge, file("a", 1, 10)); r.RowsHash == "" {
				t.Fatal("no hash is given of rows that are all ours")
			}
			if foreign {
				addUnsorted(t, w)
			}
			ours(w, spec)
			if r := w.publish(t, spec, 3, lake.Merge, file("b", 3, 11)); (r.RowsHash == "") != foreign {
				t.Errorf("with %s between, another engine %t: the hash is %q", name, foreign, r.RowsHash)
			}
			if r := w.publish(t, spec, 4, lake.Replace, file("c", 4, 12)); r.RowsHash == "" {
				t.Errorf("with %s between: no hash is given of rows that are all replaced", name)
			}
		}
	}
}
