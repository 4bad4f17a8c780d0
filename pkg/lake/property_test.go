package lake_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
)

// units has a composite key that begins with text.
func units() registry.Table {
	return table("rms", "case notes+2024", []string{"area", "id"},
		registry.Column{Name: "note", Type: registry.Type{Kind: registry.String}},
		registry.Column{Name: "id", Type: registry.Type{Kind: registry.Int}, Required: true},
		registry.Column{Name: "area", Type: registry.Type{Kind: registry.String}, Required: true})
}

// modelRow is what a table should hold, or remember as deleted, for a key.
type modelRow struct {
	pos     string
	row     int64
	deleted bool
	text    string
}

// fileOf is one random file: its changes and what they mean to the model.
type fileOf struct {
	name    string
	kind    dms.FileKind
	changes []change
	meaning map[string]modelRow
}

func drawFile(t *rapid.T, spec registry.Table, kind dms.FileKind, name string) fileOf {
	f := fileOf{name: name, kind: kind, meaning: map[string]modelRow{}}
	ids := rapid.SliceOfNDistinct(rapid.Int64Range(-4, 12), 0, 8, rapid.ID).Draw(t, name)
	for i, id := range ids {
		row := int64(i + 1)
		pos := "/" + name
		if kind == dms.KindChange {
			pos = fmt.Sprintf("%02d/%s", rapid.IntRange(0, 6).Draw(t, "time"), name)
		}
		deleted := kind == dms.KindChange && rapid.IntRange(0, 2).Draw(t, "op") == 0
		text := fmt.Sprintf("%s-%d", name, i)
		var c change
		var key, line string
		if spec.PrimaryKey[0] == "id" {
			c = report(id, text, pos, row)
			if deleted {
				c = removal(id, pos, row)
			}
			key = fmt.Sprintf("%08d", id+100)
			line = fmt.Sprintf("%d|%s|%s", id, text, lake.FormatValue(registry.Type{Kind: registry.Decimal, Precision: 20, Scale: 2}, decimal(id*100-5000)))
		} else {
			area := string(rune('a' + (id+4)%3))
			note, number, name := parquet.ByteArrayValue([]byte(text)), parquet.Int32Value(int32(id)), parquet.ByteArrayValue([]byte(area))
			c = change{values: []parquet.Value{note, number, name}, pos: pos, row: row}
			if deleted {
				c = change{values: []parquet.Value{name, number}, deleted: true, pos: pos, row: row}
			}
			key = fmt.Sprintf("%s%08d", area, id+100)
			line = fmt.Sprintf("%s|%d|%s", text, id, area)
		}
		f.changes = append(f.changes, c)
		f.meaning[key] = modelRow{pos: class(kind) + pos, row: row, deleted: deleted, text: line}
	}
	return f
}

func apply(model map[string]modelRow, files ...fileOf) {
	for _, f := range files {
		for key, r := range f.meaning {
			if old, ok := model[key]; !ok || r.pos > old.pos || r.pos == old.pos && r.row > old.row {
				model[key] = r
			}
		}
	}
}

func contents(model map[string]modelRow) []string {
	var keys, out []string
	for k, r := range model {
		if !r.deleted {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		out = append(out, model[k].text)
	}
	return out
}

var errCrash = errors.New("crash")

// TestPublishIsAFold publishes random files in random groups and order, some of
// them again, with crashes at every step, and compares with a map.
func TestPublishIsAFold(t *testing.T) {
	reached := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		cfg := lake.DefaultConfig()
		cfg.WindowRows = rapid.IntRange(1, 5).Draw(rt, "window")
		cfg.MergeFanIn = rapid.IntRange(2, 4).Draw(rt, "fan-in")
		cfg.MaxTombstoneFiles = rapid.IntRange(1, 3).Draw(rt, "tombstone files")
		cfg.AdoptRows = int64(rapid.IntRange(0, 6).Draw(rt, "adopt"))
		cfg.SmallTableRows = rapid.SampledFrom([]int64{0, 0, 6, 1000}).Draw(rt, "small")
		cfg.RewriteFraction = rapid.SampledFrom([]float64{0, 0.5, 1}).Draw(rt, "fraction")
		cfg.MaxDeleteFiles = rapid.IntRange(1, 3).Draw(rt, "delete files")
		cfg.RowGroupBytes = rapid.SampledFrom([]int64{1, 400, 64 << 20}).Draw(rt, "row group bytes")
		cfg.PositionDeleteRows = 1
		cfg.Maintenance = drawMaintenance(rt)
		if rapid.IntRange(0, 2).Draw(rt, "delete files pile up") == 0 {
			cfg.SmallTableRows, cfg.RewriteFraction, cfg.MaxDeleteFiles = 0, 1, 8
			cfg.Maintenance.DeletedFraction, cfg.Maintenance.MaxFileDeletes, cfg.Maintenance.MaxSmallFiles = 1, 1, 12
			cfg.Maintenance.TidyRows = 0
		}
		spec := rapid.SampledFrom([]registry.Table{reports(), units()}).Draw(rt, "table")

		dir, err := os.MkdirTemp(quickDir(), "lake") //nolint:usetesting // one for each of many runs, in memory
		if err != nil {
			rt.Fatal(err)
		}
		var ends []func()
		w := newWorldIn(rt, dir, cfg, func(f func()) { ends = append(ends, f) })
		defer func() {
			for _, f := range ends {
				f()
			}
			_ = os.RemoveAll(dir)
		}()
		run := &foldRun{world: w, spec: spec, model: map[string]modelRow{}, reached: reached}
		for n := range rapid.IntRange(1, 7).Draw(rt, "publications") {
			run.publishSome(rt, n)
			for rapid.IntRange(0, 2).Draw(rt, "maintain") == 0 {
				run.maintainSome(rt)
			}
			if got, want := w.rows(rt, spec.ID), contents(run.model); !slices.Equal(got, want) {
				rt.Fatalf("after publication %d rows are\n%v\nwant\n%v", n, got, want)
			}
		}
	})
	for _, s := range []string{lake.StrategyAppend, lake.StrategyRowDelta, lake.StrategyCopyOnWrite, lake.StrategyReplace, "crash", "superseded", "again",
		"named", "named, " + lake.StrategyAppend, "named, " + lake.StrategyRowDelta, "named, " + lake.StrategyCopyOnWrite} {
		if reached[s] == 0 {
			t.Errorf("%q was never reached", s)
		}
	}
}

// quickDir is a folder in memory where there is one: the run syncs some ten
// thousand files.
func quickDir() string {
	const shared = "/dev/shm"
	if info, err := os.Stat(shared); err == nil && info.IsDir() {
		return shared
	}
	return ""
}

type foldRun struct {
	*world
	spec    registry.Table
	model   map[string]modelRow
	token   uint64
	old     []fileOf
	reached map[string]int
}

func (r *foldRun) publishSome(rt *rapid.T, n int) {
	r.token++
	mode := lake.Merge
	if rapid.IntRange(0, 5).Draw(rt, "mode") == 0 {
		mode = lake.Replace
		r.model = map[string]modelRow{}
	}
	var files []fileOf
	for i := range rapid.IntRange(0, 4).Draw(rt, "files") {
		kind := dms.KindChange
		if mode == lake.Replace && rapid.Bool().Draw(rt, "load") {
			kind = dms.KindLoad
		}
		files = append(files, drawFile(rt, r.spec, kind, fmt.Sprintf("f%d%d", n, i)))
	}
	if len(r.old) > 0 && mode == lake.Merge && rapid.IntRange(0, 3).Draw(rt, "again") == 0 {
		files = append(files, r.old[rapid.IntRange(0, len(r.old)-1).Draw(rt, "which")])
		r.reached["again"]++
	}
	if mode == lake.Replace {
		r.old = nil
	}
	var parts []lake.Part
	for _, f := range files {
		s := stagedSpec{file: f.name, kind: f.kind, token: r.token, changes: f.changes, perFile: rapid.IntRange(0, 4).Draw(rt, "per file")}
		if f.kind == dms.KindChange && rapid.IntRange(0, 3).Draw(rt, "no position deletes") > 0 {
			s.tamper = r.findPositions(rt, r.spec, rapid.IntRange(1, 3).Draw(rt, "shares"))
		}
		parts = append(parts, r.stage(rt, r.spec, s))
		if f.kind == dms.KindChange && !slices.ContainsFunc(r.old, func(g fileOf) bool { return g.name == f.name }) {
			r.old = append(r.old, f)
		}
	}
	if n > 0 && rapid.IntRange(0, 5).Draw(rt, "another snapshot comes between") == 0 {
		r.maintainSome(rt)
		r.token++
	}
	apply(r.model, files...)
	req := lake.Request{Spec: r.spec, Token: r.token, Mode: mode, Parts: parts}
	crash := rapid.SampledFrom([]lake.Step{"", "", lake.StepAudited, lake.StepFolded, lake.StepWritten, lake.StepDeletes,
		lake.StepTombstones, lake.StepStaged, lake.StepCommitted}).Draw(rt, "crash")
	r.step = func(s lake.Step) error {
		if s == crash {
			return errCrash
		}
		return nil
	}
	_, err := r.lake.Publish(context.Background(), req)
	r.step = nil
	if errors.Is(err, errCrash) {
		r.reached["crash"]++
	} else if err != nil {
		rt.Fatal(err)
	}
	result, err := r.lake.Publish(context.Background(), req)
	if err != nil {
		rt.Fatal(err)
	}
	r.reached[result.Strategy]++
	r.checkRowsHash(rt, r.spec.ID, result)
	if result.Named {
		r.reached["named"]++
		r.reached["named, "+result.Strategy]++
	}
	for _, f := range result.Files {
		r.reached["superseded"] += int(f.Superseded)
	}
	if want := len(contents(r.model)); result.TableRows != int64(want) {
		rt.Fatalf("the result says %d rows, want %d", result.TableRows, want)
	}
}
