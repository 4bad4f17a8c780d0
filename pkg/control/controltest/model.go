package controltest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

// tableModel is what a table must hold after what was done to it.
type tableModel struct {
	version uint64
	state   []byte
	outbox  [][]byte
	files   map[dms.FileID]control.FileRow
	specs   uint64
}

var modelStates = []string{"waiting", "granted", "staged", "published", "quarantined"}

// model drives a store with random operations and compares every answer with
// that of maps. One store serves all runs: each uses tables of its own.
func model(t *testing.T, open func(t *testing.T) Store) {
	s := open(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		tables := []dms.TableID{
			{DB: fmt.Sprint("m", run), Table: "a"}, {DB: fmt.Sprint("m", run), Table: "b"},
		}
		m := map[dms.TableID]*tableModel{}
		for _, id := range tables {
			m[id] = &tableModel{files: map[dms.FileID]control.FileRow{}}
		}
		table := func(rt *rapid.T) (dms.TableID, *tableModel) {
			id := rapid.SampledFrom(tables).Draw(rt, "table")
			return id, m[id]
		}
		rt.Repeat(map[string]func(*rapid.T){
			"commit": func(rt *rapid.T) {
				id, tm := table(rt)
				modelCommit(rt, s, id, tm)
				modelItem(rt, s, id, tm)
			},
			"clear": func(rt *rapid.T) {
				id, tm := table(rt)
				version := drawVersion(rt, tm.version)
				noError(rt, s.ClearOutbox(rt.Context(), id, version))
				if version == tm.version {
					tm.outbox = nil
				}
				modelItem(rt, s, id, tm)
			},
			"queries": func(rt *rapid.T) {
				id, tm := table(rt)
				modelQueries(rt, s, id, tm)
			},
		})
		for _, id := range tables {
			modelItem(rt, s, id, m[id])
		}
	})
}

// drawVersion mostly draws the version that fits.
func drawVersion(rt *rapid.T, version uint64) uint64 {
	if rapid.IntRange(0, 3).Draw(rt, "stale") == 0 {
		return rapid.Uint64Range(0, version+2).Draw(rt, "version")
	}
	return version
}

func noError(rt *rapid.T, err error) {
	rt.Helper()
	if err != nil {
		rt.Fatal(err)
	}
}

func modelCommit(rt *rapid.T, s Store, id dms.TableID, tm *tableModel) {
	c := control.Change{
		Table:  id,
		Expect: drawVersion(rt, tm.version),
		State:  rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(rt, "state"),
		Outbox: rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 2), 0, 2).Draw(rt, "outbox"),
	}
	numbers := rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 0, 3, rapid.ID).Draw(rt, "files")
	for _, n := range numbers {
		f := file(n, rapid.SampledFrom(modelStates).Draw(rt, "state"), rapid.Bool().Draw(rt, "live"))
		f.Kind = rapid.SampledFrom([]dms.FileKind{dms.KindLoad, dms.KindChange}).Draw(rt, "kind")
		f.Order = dms.FileOrder(fmt.Sprint(rapid.IntRange(0, 3).Draw(rt, "order")))
		c.Files = append(c.Files, f)
	}
	if rapid.Bool().Draw(rt, "spec") {
		c.Spec = &control.Spec{Version: tm.specs + 1, JSON: []byte(fmt.Sprint(tm.specs + 1))}
	}
	err := s.Commit(rt.Context(), c)
	if c.Expect != tm.version || len(tm.outbox) > 0 {
		if !errors.Is(err, control.ErrConflict) {
			rt.Fatalf("commit on %d while version %d has %d events to publish: %v", c.Expect, tm.version, len(tm.outbox), err)
		}
		return
	}
	noError(rt, err)
	tm.version, tm.state, tm.outbox = c.Expect+1, c.State, c.Outbox
	for _, f := range c.Files {
		tm.files[f.FileID] = f
	}
	if c.Spec != nil {
		tm.specs++
	}
}

func modelItem(rt *rapid.T, s Store, id dms.TableID, tm *tableModel) {
	item, err := s.Table(rt.Context(), id)
	if tm.version == 0 {
		if !errors.Is(err, control.ErrNotFound) {
			rt.Fatalf("table that was never committed: %v", err)
		}
		return
	}
	noError(rt, err)
	if item.Version != tm.version || !bytes.Equal(item.State, tm.state) || !slices.EqualFunc(item.Outbox, tm.outbox, bytes.Equal) {
		rt.Fatalf("got %+v, want %+v", item, *tm)
	}
}

func modelQueries(rt *rapid.T, s Store, id dms.TableID, tm *tableModel) {
	ctx := rt.Context()
	unflushed, err := s.Unflushed(ctx)
	noError(rt, err)
	if slices.Contains(unflushed, id) != (len(tm.outbox) > 0) {
		rt.Fatalf("unflushed %v, but the outbox holds %d events", unflushed, len(tm.outbox))
	}
	live, err := s.LiveFiles(ctx, id)
	noError(rt, err)
	sameFiles(rt, "live files", live, tm.list(func(f control.FileRow) bool { return f.Live }))

	since := base.Add(time.Duration(rapid.IntRange(0, 9).Draw(rt, "since")) * time.Second)
	published, err := s.PublishedChanges(ctx, id, since)
	noError(rt, err)
	sameFiles(rt, "published changes", published, tm.list(func(f control.FileRow) bool {
		return f.State == "published" && f.Kind == dms.KindChange && !f.LastModified.Before(since)
	}))

	states := rapid.SliceOfN(rapid.SampledFrom(modelStates), 0, 3).Draw(rt, "states")
	limit := rapid.IntRange(1, 12).Draw(rt, "limit")
	files, err := s.Files(ctx, id, states, limit)
	noError(rt, err)
	want := tm.list(func(f control.FileRow) bool { return len(states) == 0 || slices.Contains(states, f.State) })
	slices.Reverse(want)
	sameFiles(rt, "files", files, want[:min(limit, len(want))])

	if tm.specs > 0 {
		spec, err := s.Spec(ctx, id, 0)
		noError(rt, err)
		if spec.Version != tm.specs || string(spec.JSON) != fmt.Sprint(tm.specs) {
			rt.Fatalf("newest registration is %d, want %d", spec.Version, tm.specs)
		}
	}
}

// list gives the files that match, by order, then by id.
func (m *tableModel) list(match func(control.FileRow) bool) []control.FileRow {
	var list []control.FileRow
	for _, f := range m.files {
		if match(f) {
			list = append(list, f)
		}
	}
	slices.SortFunc(list, func(a, b control.FileRow) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.FileID, b.FileID))
	})
	return list
}

func sameFiles(rt *rapid.T, what string, got, want []control.FileRow) {
	rt.Helper()
	if !slices.EqualFunc(got, want, equalFile) {
		rt.Fatalf("%s:\n got %v\nwant %v", what, ids(got), ids(want))
	}
}
