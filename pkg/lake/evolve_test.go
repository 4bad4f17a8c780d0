package lake_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
)

func typed(kind registry.Kind) registry.Type { return registry.Type{Kind: kind} }

// counters is registered with a narrow key and one narrow column.
func counters() registry.Table {
	return table("rms", "counters", []string{"id"},
		registry.Column{Name: "id", Type: typed(registry.Int), Required: true},
		registry.Column{Name: "n", Type: typed(registry.Int)})
}

// asFile is a registration as one file has it: with wider types and columns of
// its own, numbered as a transform does.
func asFile(spec registry.Table, wide bool, extra ...registry.Column) registry.Table {
	spec.Columns = slices.Clone(spec.Columns)
	if wide {
		for i := range spec.Columns {
			spec.Columns[i].Type = typed(registry.Long)
		}
	}
	for _, c := range extra {
		c.ID = spec.Provenance.Next
		spec.Provenance.Next++
		spec.Columns = append(spec.Columns, c)
	}
	return spec
}

// values makes parquet values: int is an int32, int64 a long, nil null.
func values(vs ...any) []parquet.Value {
	out := make([]parquet.Value, len(vs))
	for i, v := range vs {
		switch v := v.(type) {
		case nil:
			out[i] = parquet.NullValue()
		case int:
			out[i] = parquet.Int32Value(int32(v))
		case string:
			out[i] = parquet.ByteArrayValue([]byte(v))
		default:
			out[i] = parquet.ValueOf(v)
		}
	}
	return out
}

func text(name string) registry.Column {
	return registry.Column{Name: name, Type: typed(registry.String)}
}

// each strategy of merging, by the configuration that leads to it.
func strategies() map[string]lake.Config {
	delta := lake.DefaultConfig()
	delta.SmallTableRows, delta.RewriteFraction = 0, 1
	return map[string]lake.Config{lake.StrategyRowDelta: delta, lake.StrategyCopyOnWrite: lake.DefaultConfig()}
}

// TestFilesEvolve publishes files together that differ in their schemas: columns
// with the same id under other names, with the same name under other ids, wide
// and narrow keys.
func TestFilesEvolve(t *testing.T) {
	for strategy, cfg := range strategies() {
		t.Run(strategy, func(t *testing.T) {
			w := newWorld(t, cfg)
			spec := counters()
			file := func(as registry.Table, name string, token uint64, changes ...change) lake.Part {
				return w.stage(t, as, stagedSpec{file: name, kind: dms.KindChange, token: token, changes: changes})
			}
			w.publish(t, spec, 1, lake.Merge, file(spec, "a", 1,
				change{values: values(1, 10), pos: "/a", row: 1}, change{values: values(-2, 20), pos: "/a", row: 2}, change{values: values(3, nil), pos: "/a", row: 3}))
			r := w.publish(t, spec, 2, lake.Merge,
				file(asFile(spec, false, text("beat"), text("shift")), "b", 2, change{values: values(1, 11, "b1", "s1"), pos: "/b", row: 1}),
				file(asFile(spec, false, text("Shift"), text("BEAT")), "c", 2, change{values: values(4, 40, "s4", "b4"), pos: "/c", row: 1}),
				file(asFile(spec, true, text("note")), "d", 2, change{values: values(int64(-2), int64(1)<<40, "n"), pos: "/d", row: 1},
					change{values: values(int64(3)), deleted: true, pos: "/d", row: 2}))
			if r.Strategy != strategy {
				t.Errorf("strategy is %s", r.Strategy)
			}
			want := []string{`-2|1099511627776|\N|\N|n`, `1|11|b1|s1|\N`, `4|40|b4|s4|\N`}
			expect(t, w.rows(t, spec.ID), want...)
			// A narrow file meets wide rows; the delete of a wide key holds for narrow ones.
			w.publish(t, spec, 3, lake.Merge, file(spec, "e", 3, change{values: values(4, 41), pos: "/e", row: 1}, change{values: values(3, 9), pos: "/cc", row: 2}))
			want[2] = `4|41|\N|\N|\N`
			expect(t, w.rows(t, spec.ID), want...)
			checkSchemas(t, w, spec.ID)
		})
	}
}

// checkSchemas: schema and rows changed in one snapshot.
func checkSchemas(t *testing.T, w *world, id dms.TableID) {
	t.Helper()
	list, err := w.lake.Schemas(t.Context(), id)
	if err != nil || len(list) != 2 {
		t.Fatalf("schemas are %+v, %v", list, err)
	}
	last := list[1]
	if !last.Current || last.Since == nil || last.Token != "2" || registry.ShowColumns(last.Added) != "(beat string, shift string, note string)" ||
		len(last.Changed) != 2 || len(last.Removed) != 0 || last.Moved {
		t.Errorf("the last schema is %+v", last)
	}
	d, err := w.lake.Describe(t.Context(), id)
	if err != nil || d.Snapshots != 3 {
		t.Errorf("%d snapshots, want one for each commit (%v)", d.Snapshots, err)
	}
}

// TestReplaceEvolves: a full load may change the schema too; what it lacks stays
// as a column.
func TestReplaceEvolves(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := counters()
	load := func(as registry.Table, name string, token uint64, changes ...change) lake.Part {
		return w.stage(t, as, stagedSpec{file: name, kind: dms.KindLoad, token: token, changes: changes})
	}
	w.publish(t, spec, 1, lake.Replace, load(asFile(spec, false, text("beat")), "a", 1, change{values: values(1, 1, "b"), pos: "/a", row: 1}))
	w.publish(t, spec, 2, lake.Replace,
		load(asFile(spec, true, text("shift")), "b", 2, change{values: values(int64(5), int64(5), "s"), pos: "/b", row: 1}),
		load(spec, "c", 2, change{values: values(2, 2), pos: "/c", row: 1}))
	expect(t, w.rows(t, spec.ID), `2|2|\N|\N`, `5|5|\N|s`)
}

// TestAdoptsOnlyEqualColumns: a staged file whose ids or types mean something
// else in the table is written anew.
func TestAdoptsOnlyEqualColumns(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := counters()
	publish := func(token uint64, as registry.Table, vs ...any) {
		t.Helper()
		part := w.stage(t, as, stagedSpec{file: fmt.Sprintf("l%d", token), kind: dms.KindLoad, token: token, changes: []change{{values: values(vs...), pos: "/l", row: 1}}})
		w.publish(t, spec, token, lake.Replace, part)
	}
	adopted := func(token uint64) bool {
		files, err := filepath.Glob(filepath.Join(w.dir, fmt.Sprintf("curated/rms/counters/data/l%d-*.parquet", token)))
		if err != nil {
			t.Fatal(err)
		}
		return len(files) > 0
	}
	publish(1, asFile(spec, false, text("beat")), 1, 1, "b")
	publish(2, asFile(spec, false, text("shift")), 1, 1, "s")              // the id of beat
	publish(3, spec, 1, 1)                                                 // fewer columns
	publish(4, asFile(spec, true), int64(1), int64(1))                     // wider: the table follows
	publish(5, spec, 1, 1)                                                 // narrower
	publish(6, asFile(spec, true, text("BEAT")), int64(1), int64(1), "b6") // equal
	for token, want := range map[uint64]bool{1: true, 2: false, 3: true, 4: true, 5: false, 6: true} {
		if adopted(token) != want {
			t.Errorf("file %d: adopted is %v", token, !want)
		}
	}
	expect(t, w.rows(t, spec.ID), `1|1|b6|\N`)
}

// TestRegisteredLater: a registration finds the columns that files have brought.
func TestRegisteredLater(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := counters()
	w.publish(t, spec, 1, lake.Merge, w.stage(t, asFile(spec, false, text("beat"), text("Shift")), stagedSpec{file: "a", kind: dms.KindChange, token: 1,
		changes: []change{{values: values(1, 1, "b", "s"), pos: "/a", row: 1}}}))
	was, err := w.lake.Describe(t.Context(), spec.ID)
	if err != nil {
		t.Fatal(err)
	}
	next := spec
	next.Version = 2
	// The registration numbers shift as the lake numbered beat, and reorders.
	next.Columns = []registry.Column{spec.Columns[0], text("shift"), spec.Columns[1]}
	if next, err = registry.AssignIDs(&spec, next); err != nil {
		t.Fatal(err)
	}
	w.publish(t, next, 2, lake.Merge, w.stage(t, next, stagedSpec{file: "b", kind: dms.KindChange, token: 2,
		changes: []change{{values: values(2, "s2", 2), pos: "/b", row: 1}}}))
	expect(t, w.rows(t, spec.ID), `1|s|1|b`, `2|s2|2|\N`)
	is, err := w.lake.Describe(t.Context(), spec.ID)
	if err != nil || is.Columns[1] != was.Columns[3] || is.Columns[1].Name != "Shift" {
		t.Errorf("columns were %+v, are %+v (%v)", was.Columns, is.Columns, err)
	}

	bad := next
	bad.Version, bad.Columns = 3, append(slices.Clone(next.Columns), registry.Column{Name: "BEAT", Type: typed(registry.Int)})
	if bad, err = registry.AssignIDs(&next, bad); err != nil {
		t.Fatal(err)
	}
	_, err = w.lake.Publish(t.Context(), lake.Request{Spec: bad, Token: 3, Mode: lake.Merge})
	if !errors.Is(err, lake.ErrIncompatible) || !strings.Contains(err.Error(), "beat string") || !strings.Contains(err.Error(), "BEAT int") {
		t.Errorf("an incompatible registration gave %v", err)
	}
}

// TestCannotBeBoth refuses the file, and shows both schemas.
func TestCannotBeBoth(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := counters()
	number := registry.Column{Name: "x", Type: typed(registry.Long)}
	good := w.stage(t, asFile(spec, false, number), stagedSpec{file: "a", kind: dms.KindChange, token: 1, changes: []change{{values: values(1, 1, int64(4711)), pos: "/a", row: 1}}})
	bad := w.stage(t, asFile(spec, false, text("X")), stagedSpec{file: "b", kind: dms.KindChange, token: 1, changes: []change{{values: values(2, 2, "secret"), pos: "/b", row: 1}}})
	_, err := w.lake.Publish(t.Context(), lake.Request{Spec: spec, Token: 1, Mode: lake.Merge, Parts: []lake.Part{good, bad}})
	var refused *lake.AuditError
	if !errors.As(err, &refused) || refused.Code != lake.CodeTypes || refused.FileID != "b" {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"X string", "x long"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not show %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "4711") {
		t.Errorf("%v shows a value", err)
	}
	expect(t, w.rows(t, spec.ID))
}

// TestEvolvedWithoutKey appends files of other schemas to a table without a key.
func TestEvolvedWithoutKey(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := table("rms", "counters", nil, registry.Column{Name: "n", Type: typed(registry.Int)})
	stage := func(as registry.Table, token uint64, vs ...any) lake.Part {
		return w.stage(t, as, stagedSpec{file: fmt.Sprintf("f%d", token), kind: dms.KindChange, token: token, changes: []change{{values: values(vs...), pos: "/f", row: 1}}})
	}
	w.publish(t, spec, 1, lake.Merge, stage(spec, 1, 1))
	w.publish(t, spec, 2, lake.Merge, stage(asFile(spec, true, text("beat")), 2, int64(1)<<40, "b"))
	w.publish(t, spec, 3, lake.Merge, stage(asFile(spec, false, text("shift")), 3, 3, "s"))
	got := w.rows(t, spec.ID)
	slices.Sort(got)
	expect(t, got, `1099511627776|b|\N`, `1|\N|\N`, `3|\N|s`)
}
