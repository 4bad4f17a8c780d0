package lake_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
)

func many(from, to int64, status, pos string) []change {
	var out []change
	for id := from; id < to; id++ {
		out = append(out, report(id, status, pos, id-from+1))
	}
	return out
}

// TestReplaceAdopts takes staged files as they are where nothing is overtaken
// and ranges are disjoint, and merges the others.
func TestReplaceAdopts(t *testing.T) {
	cfg := lake.DefaultConfig()
	cfg.AdoptRows = 10
	w := newWorld(t, cfg)
	spec := reports()
	r := w.publish(t, spec, 2, lake.Replace,
		w.stage(t, spec, stagedSpec{file: "l1", kind: dms.KindLoad, token: 1, perFile: 1500, changes: many(0, 3000, "l1", "/1")}),
		w.stage(t, spec, stagedSpec{file: "l2", kind: dms.KindLoad, token: 1, changes: many(2990, 4000, "l2", "/2")}),
		w.stage(t, spec, stagedSpec{file: "c1", kind: dms.KindChange, token: 1, changes: []change{removal(3999, "/c", 1), removal(5000, "/c", 2)}}))
	if r.TableRows != 3999 || r.Files[0].Superseded != 10 || r.Files[1].Superseded != 1 {
		t.Fatalf("load gave %+v", r)
	}
	if got := adopted(t, w); got != 1 {
		t.Errorf("%d files were adopted, want the first one of l1 alone", got)
	}
	rows := w.rows(t, spec.ID)
	if len(rows) != 3999 || rows[2989] != "2989|l1|2939.00" || rows[2990] != "2990|l2|2940.00" {
		t.Fatalf("%d rows, %v", len(rows), rows[2988:2992])
	}
	d, err := w.lake.Describe(t.Context(), spec.ID)
	if err != nil || d.Tombstones != 2 {
		t.Fatalf("description %+v, %v", d, err)
	}
	// The next generation forgets rows and deletes.
	r = w.publish(t, spec, 3, lake.Replace, w.stage(t, spec, stagedSpec{file: "l3", kind: dms.KindLoad, token: 3, changes: many(7, 9, "l3", "/3")}))
	if d, err = w.lake.Describe(t.Context(), spec.ID); err != nil || d.Tombstones != 0 || d.DataFiles != 1 || r.TableRows != 2 {
		t.Fatalf("description %+v, %v", d, err)
	}
	expect(t, w.rows(t, spec.ID), "7|l3|-43.00", "8|l3|-42.00")
	// An empty load empties the table.
	w.publish(t, spec, 4, lake.Replace)
	expect(t, w.rows(t, spec.ID))
}

// adopted counts data files that bear the name of a staged file.
func adopted(t *testing.T, w *world) int {
	t.Helper()
	n := 0
	files, err := filepath.Glob(filepath.Join(w.dir, "curated/rms/reports/data/l*-2-*.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	for range files {
		n++
	}
	return n
}

func TestTableWithoutKey(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := table("rms", "audit.log", nil,
		registry.Column{Name: "what", Type: registry.Type{Kind: registry.String}})
	line := func(s string, row int64) change {
		return change{values: []parquet.Value{parquet.ByteArrayValue([]byte(s))}, pos: "/p", row: row}
	}
	r := w.publish(t, spec, 1, lake.Replace, w.stage(t, spec, stagedSpec{file: "l", kind: dms.KindLoad, token: 1, changes: []change{line("b", 1), line("a", 2)}}))
	if r.TableRows != 2 {
		t.Fatalf("load gave %+v", r)
	}
	r = w.publish(t, spec, 2, lake.Merge,
		w.stage(t, spec, stagedSpec{file: "c1", kind: dms.KindChange, token: 2, changes: []change{line("b", 1)}}),
		w.stage(t, spec, stagedSpec{file: "c2", kind: dms.KindChange, token: 2, perFile: 1, changes: []change{line("d", 1), line("c", 2)}}))
	if r.TableRows != 5 || r.Strategy != lake.StrategyAppend {
		t.Fatalf("changes gave %+v", r)
	}
	if got := strings.Join(w.rows(t, spec.ID), " "); len(got) != len("b a b d c") || !strings.Contains(got, "b d c") || !strings.Contains(got, "b a") {
		t.Fatalf("rows are %s", got)
	}
}

// TestEvolution adds and widens columns in the commit that needs them.
func TestEvolution(t *testing.T) {
	cfg := lake.DefaultConfig()
	cfg.SmallTableRows, cfg.RewriteFraction = 0, 1
	w := newWorld(t, cfg)
	old := table("rms", "units", []string{"id"},
		registry.Column{Name: "id", Type: registry.Type{Kind: registry.Int}, Required: true},
		registry.Column{Name: "speed", Type: registry.Type{Kind: registry.Float}},
		registry.Column{Name: "fee", Type: registry.Type{Kind: registry.Decimal, Precision: 9, Scale: 2}})
	oldRow := func(id int32, row int64) change {
		return change{values: []parquet.Value{parquet.Int32Value(id), parquet.FloatValue(1.5), parquet.Int32Value(-150)}, pos: "/a", row: row}
	}
	w.publish(t, old, 1, lake.Replace, w.stage(t, old, stagedSpec{file: "l", kind: dms.KindLoad, token: 1, changes: []change{oldRow(1, 1), oldRow(2, 2), oldRow(3, 3)}}))

	spec := old
	spec.Version = 2
	spec.Columns = []registry.Column{
		{ID: 1, Name: "id", Type: registry.Type{Kind: registry.Long}, Required: true},
		{ID: 2, Name: "speed", Type: registry.Type{Kind: registry.Double}},
		{ID: 3, Name: "fee", Type: registry.Type{Kind: registry.Decimal, Precision: 20, Scale: 2}},
		{ID: 7, Name: "note", Type: registry.Type{Kind: registry.String}},
	}
	spec.Provenance.Next = 8
	r := w.publish(t, spec, 2, lake.Merge, w.stage(t, spec, stagedSpec{file: "c", kind: dms.KindChange, token: 2, changes: []change{
		{values: []parquet.Value{parquet.Int64Value(2), parquet.DoubleValue(0.1), decimal(7), parquet.ByteArrayValue([]byte("n"))}, pos: "/b", row: 1}}}))
	d, err := w.lake.Describe(t.Context(), spec.ID)
	if err != nil {
		t.Fatal(err)
	}
	if r.Strategy != lake.StrategyRowDelta || d.Snapshots != 2 || len(d.Columns) != 4 || d.Columns[3].Name != "note" {
		t.Fatalf("got %+v, %+v", r, d)
	}
	want := []string{`1|1.5|-1.50|\N`, `2|0.1|0.07|n`, `3|1.5|-1.50|\N`}
	expect(t, w.rows(t, spec.ID), want...)

	// What was staged under the old registration is still welcome, also when
	// files are rewritten.
	whole := w.cfg
	whole.SmallTableRows = 100
	w.cfg = whole
	w.lake = w.open(t, nil)
	w.publish(t, spec, 3, lake.Merge, w.stage(t, old, stagedSpec{file: "c0", kind: dms.KindChange, token: 3, changes: []change{oldRow(4, 1)}}))
	expect(t, w.rows(t, spec.ID), append(want, `4|1.5|-1.50|\N`)...)

	for name, change := range map[string]func(*registry.Table){
		"type": func(s *registry.Table) { s.Columns[1].Type.Kind = registry.String },
		"key":  func(s *registry.Table) { s.PrimaryKey = []string{"id", "note"} },
	} {
		bad := spec
		bad.Columns = append([]registry.Column(nil), spec.Columns...)
		change(&bad)
		if _, err := w.lake.Publish(t.Context(), lake.Request{Spec: bad, Token: 9, Mode: lake.Merge}); !errors.Is(err, lake.ErrIncompatible) {
			t.Errorf("another %s gave %v", name, err)
		}
	}
}

// TestCreateWithGaps makes the table of a registration whose ids have gaps.
func TestCreateWithGaps(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := reports()
	spec.Version = 5
	spec.Columns[1] = registry.Column{ID: 9, Name: "late", Type: registry.Type{Kind: registry.String}}
	spec.Provenance.Next = 10
	for range 2 {
		if _, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: 1}); err != nil {
			t.Fatal(err)
		}
	}
	w.publish(t, spec, 2, lake.Merge, w.stage(t, spec, stagedSpec{file: "c", kind: dms.KindChange, token: 2, changes: []change{report(1, "x", "/p", 1)}}))
	d, err := w.lake.Describe(t.Context(), spec.ID)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(d.Columns[0].ID, d.Columns[1].ID, d.Columns[2].ID, len(d.Columns)) != "1 9 3 3" {
		t.Fatalf("columns are %+v", d.Columns)
	}
	expect(t, w.rows(t, spec.ID), `1|x|-49.00`)
}

// TestAnotherKey comes with a full load, and merges follow it.
func TestAnotherKey(t *testing.T) {
	cfg := lake.DefaultConfig()
	cfg.SmallTableRows, cfg.RewriteFraction = 0, 1
	w := newWorld(t, cfg)
	spec := reports()
	w.publish(t, spec, 1, lake.Replace, w.stage(t, spec, stagedSpec{file: "l", kind: dms.KindLoad, token: 1, changes: many(1, 4, "a", "/l")}))
	next := reports()
	next.Version, next.PrimaryKey = 2, []string{"status"}
	next.Columns[0].Required = false
	by := func(id int64, status, pos string) change { return report(id, status, pos, 1) }
	w.publish(t, next, 2, lake.Replace, w.stage(t, next, stagedSpec{file: "m", kind: dms.KindLoad, token: 2, changes: []change{by(1, "b", "/l"), by(2, "a", "/l")}}))
	r := w.publish(t, next, 3, lake.Merge, w.stage(t, next, stagedSpec{file: "c", kind: dms.KindChange, token: 3, changes: []change{by(7, "a", "/c")}}))
	if r.Strategy != lake.StrategyRowDelta || r.TableRows != 2 {
		t.Fatalf("got %+v", r)
	}
	expect(t, w.rows(t, spec.ID), "7|a|-43.00", "1|b|-49.00")
}

func TestNoTable(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	id := dms.TableID{DB: "x", Table: "y"}
	if _, err := w.lake.Rows(t.Context(), id); !errors.Is(err, lake.ErrNoTable) {
		t.Errorf("rows: %v", err)
	}
	if _, err := w.lake.Describe(t.Context(), id); !errors.Is(err, lake.ErrNoTable) {
		t.Errorf("describe: %v", err)
	}
	if _, err := lake.Open(t.Context(), lake.Config{}, lake.Deps{}); err == nil || strings.Count(err.Error(), "\n") < 5 {
		t.Errorf("open: %v", err)
	}
}

// TestRowsAreOfOneMoment reads on while the table changes.
func TestRowsAreOfOneMoment(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := reports()
	w.publish(t, spec, 1, lake.Replace, w.stage(t, spec, stagedSpec{file: "l", kind: dms.KindLoad, token: 1, changes: many(0, 5000, "a", "/l")}))
	set, err := w.lake.Rows(t.Context(), spec.ID)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for row, err := range set.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if row.Number != int64(n+1) || row.File != "l" || row.Position != "0/l" {
			t.Fatalf("row %d comes from %s, row %d, position %s", n, row.File, row.Number, row.Position)
		}
		if n++; n == 100 {
			w.publish(t, spec, 2, lake.Replace)
		}
	}
	if n != 5000 {
		t.Fatalf("%d rows", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range set.All(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

// TestDamagedTombstones are found out before anything is decided by them.
func TestDamagedTombstones(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := reports()
	w.publish(t, spec, 1, lake.Merge, w.stage(t, spec, stagedSpec{file: "c", kind: dms.KindChange, token: 1, changes: []change{removal(1, "/p", 1)}}))
	files, err := filepath.Glob(filepath.Join(w.dir, "curated/_tombstones/rms/reports/*.parquet"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	data[8] ^= 1
	if err := os.WriteFile(files[0], data, 0o644); err != nil {
		t.Fatal(err)
	}
	part := w.stage(t, spec, stagedSpec{file: "d", kind: dms.KindChange, token: 2, changes: many(0, 3, "late", "/o")})
	if _, err := w.lake.Publish(t.Context(), lake.Request{Spec: spec, Token: 2, Mode: lake.Merge, Parts: []lake.Part{part}}); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Fatalf("got %v", err)
	}
}
