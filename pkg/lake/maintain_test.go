package lake_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
)

// churn publishes a table of n rows and then change batches that each replace
// every tenth row, as row deltas. It gives the last token.
func (w *world) churn(t testing.TB, spec registry.Table, n int64, batches int) uint64 {
	t.Helper()
	var all []change
	for id := range n {
		all = append(all, report(id, "a", "/l", id+1))
	}
	w.publish(t, spec, 1, lake.Replace, w.stage(t, spec, stagedSpec{file: "l", kind: dms.KindLoad, token: 1, changes: all}))
	token := uint64(1)
	for b := range batches {
		token++
		var changes []change
		for id := int64(b % 10); id < n; id += 10 {
			changes = append(changes, report(id, fmt.Sprint("b", b), fmt.Sprintf("/%04d", b), id+1))
		}
		name := fmt.Sprintf("c%04d", b)
		w.publish(t, spec, token, lake.Merge, w.stage(t, spec, stagedSpec{file: name, kind: dms.KindChange, token: token, changes: changes}))
	}
	return token
}

// quickWorld is in memory where there is a folder there.
func quickWorld(t *testing.T, cfg lake.Config) *world {
	t.Helper()
	dir, err := os.MkdirTemp(quickDir(), "lake") //nolint:usetesting // in memory
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return newWorldIn(t, dir, cfg, t.Cleanup)
}

// delta publishes as row deltas whatever the size.
func delta() lake.Config {
	cfg := lake.DefaultConfig()
	cfg.SmallTableRows, cfg.RewriteFraction, cfg.MaxDeleteFiles = 0, 1, 1000
	return cfg
}

// maintainAll takes steps while there are more, at most 100, and gives their names.
func (w *world) maintainAll(t testing.TB, spec registry.Table, token *uint64) []lake.Maintained {
	t.Helper()
	var steps []lake.Maintained
	for range 100 {
		*token++
		m := *w.maintain(t, spec, *token).Maintained
		if m.Step != lake.MaintainNone {
			steps = append(steps, m)
		}
		if !m.More {
			return steps
		}
	}
	t.Fatalf("maintenance does not end: %+v", steps)
	return nil
}

// objects lists the files of the warehouse.
func (w *world) objects(t testing.TB) []string {
	t.Helper()
	var keys []string
	for info, err := range w.io.Bucket().List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// TestMaintain brings a table that got many small changes to rest, lets it grow
// old, and finds nothing left of what it was.
func TestMaintain(t *testing.T) {
	cfg := delta()
	cfg.Maintenance.MaxSmallFiles, cfg.Maintenance.KeepSnapshots, cfg.Maintenance.TidyRows = 4, 2, 0
	w := quickWorld(t, cfg)
	spec := reports()
	token := w.churn(t, spec, 500, 40)
	before := w.rows(t, spec.ID)
	was, err := w.lake.Describe(t.Context(), spec.ID)
	if err != nil {
		t.Fatal(err)
	}
	steps := w.maintainAll(t, spec, &token)
	is, err := w.lake.Describe(t.Context(), spec.ID)
	if err != nil {
		t.Fatal(err)
	}
	if was.DataFiles < 40 || was.DeleteFiles < 30 || is.DataFiles > 4 || is.DeleteFiles > 0 || is.Last.TableRows != 500 {
		t.Errorf("%d data and %d delete files became %d and %d: %+v", was.DataFiles, was.DeleteFiles, is.DataFiles, is.DeleteFiles, steps)
	}
	if !slices.ContainsFunc(steps, func(m lake.Maintained) bool { return m.Step == lake.MaintainCompact && m.Removed > 1 && m.Added == 1 }) {
		t.Errorf("steps were %+v", steps)
	}
	expect(t, w.rows(t, spec.ID), before...)

	young := len(w.objects(t))
	w.ahead = 100 * time.Hour
	steps = w.maintainAll(t, spec, &token)
	var names []string
	for _, m := range steps {
		names = append(names, m.Step)
	}
	if !slices.Equal(names, []string{lake.MaintainExpire, lake.MaintainOrphans}) {
		t.Errorf("an old table got %+v", steps)
	}
	if old := len(w.objects(t)); old > young-60 {
		t.Errorf("%d objects became %d", young, old)
	}
	expect(t, w.rows(t, spec.ID), before...)
	if due, next, err := w.lake.Due(t.Context(), spec.ID); err != nil || len(due) > 0 {
		t.Errorf("due are %v, next %v, %v", due, next, err)
	}
	// Left alone, it comes to an end of its own.
	for n := 0; ; n++ {
		_, next, err := w.lake.Due(t.Context(), spec.ID)
		if err != nil || n > 10 {
			t.Fatalf("after %d rounds of age: %v, %v", n, next, err)
		}
		if next.IsZero() {
			break
		}
		w.ahead = time.Until(next) + time.Second
		w.maintainAll(t, spec, &token)
	}
	expect(t, w.rows(t, spec.ID), before...)
}

// TestMaintainDeletes merges delete files where rewriting their data would be
// too much, and drops those that hide nothing.
func TestMaintainDeletes(t *testing.T) {
	cfg := delta()
	cfg.Maintenance.DeletedFraction, cfg.Maintenance.TidyRows, cfg.Maintenance.MaxSmallFiles = 1, 0, 1000
	w := quickWorld(t, cfg)
	spec := reports()
	token := w.churn(t, spec, 500, 9)
	before := w.rows(t, spec.ID)
	steps := w.maintainAll(t, spec, &token)
	if len(steps) != 1 || steps[0].Step != lake.MaintainDeletes || steps[0].Removed != 9 || steps[0].Added != 1 {
		t.Errorf("steps were %+v", steps)
	}
	expect(t, w.rows(t, spec.ID), before...)
}

// TestMaintainManifests merges the manifests of many appended files.
func TestMaintainManifests(t *testing.T) {
	cfg := delta()
	cfg.Maintenance.MaxSmallFiles, cfg.Maintenance.TidyRows = 1000, 0
	w := quickWorld(t, cfg)
	spec := reports()
	token := uint64(0)
	for n := range int64(20) {
		token++
		// A row that is replaced makes a row delta, and those are never merged.
		w.publish(t, spec, token, lake.Merge, w.stage(t, spec, stagedSpec{file: fmt.Sprint("f", n), kind: dms.KindChange, token: token, changes: []change{
			report(n, "a", fmt.Sprintf("/%02d", n), 1), report(max(n-1, 0)+1000, "b", fmt.Sprintf("/%02d", n), 2)}}))
	}
	before := w.rows(t, spec.ID)
	steps := w.maintainAll(t, spec, &token)
	i := slices.IndexFunc(steps, func(m lake.Maintained) bool { return m.Step == lake.MaintainManifests })
	if i < 0 || steps[i].Removed < 16 || steps[i].Added != 1 {
		t.Errorf("steps were %+v", steps)
	}
	expect(t, w.rows(t, spec.ID), before...)
	tbl, err := w.catalog.LoadTable(t.Context(), lake.Identifier(spec.ID))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range tbl.Metadata().Snapshots() {
		if s.Summary == nil || s.Summary.Properties[lake.PropertyToken] == "" || s.Summary.Properties[lake.SummaryStrategy] == "" {
			t.Errorf("snapshot %d carries no token: %+v", s.SnapshotID, s.Summary)
		}
	}
}

// TestOrphans removes what nothing refers to once it is old, and nothing else.
func TestOrphans(t *testing.T) {
	cfg := lake.DefaultConfig()
	cfg.Maintenance.StepObjects = 2
	w := quickWorld(t, cfg)
	spec := reports()
	w.publish(t, spec, 1, lake.Replace, w.stage(t, spec, stagedSpec{file: "l", kind: dms.KindLoad, token: 1, changes: []change{report(1, "a", "/l", 1), report(2, "a", "/l", 2)}}))
	w.publish(t, spec, 2, lake.Merge, w.stage(t, spec, stagedSpec{file: "c", kind: dms.KindChange, token: 2, changes: []change{removal(1, "/1", 1)}}))
	foreign := []string{"rms/reports/notes.txt", "rms/other/data/x.parquet", "_tombstones/rms/other/x.parquet", "rms/reports/metadata/version-hint.text"}
	ours := []string{"rms/reports/data/a.parquet", "rms/reports/data/sub/b.parquet", "rms/reports/metadata/c.avro", "_tombstones/rms/reports/d.parquet"}
	for _, key := range slices.Concat(foreign, ours) {
		w.write(t, key)
	}
	before := w.objects(t)
	token := uint64(2)
	w.maintainAll(t, spec, &token)
	if left := w.objects(t); !subset(before, left) {
		t.Errorf("young objects were removed: %v became %v", before, left)
	}
	w.ahead = 73 * time.Hour
	w.write(t, "rms/reports/data/young.parquet")
	old := time.Now().Add(-time.Hour)
	for _, key := range before {
		if err := os.Chtimes(filepath.Join(w.dir, "curated", key), old, old); err != nil {
			t.Fatal(err)
		}
	}
	fresh := time.Now().Add(w.ahead)
	if err := os.Chtimes(filepath.Join(w.dir, "curated/rms/reports/data/young.parquet"), fresh, fresh); err != nil {
		t.Fatal(err)
	}
	steps := w.maintainAll(t, spec, &token)
	var removed int64
	for _, m := range steps {
		if m.Step == lake.MaintainOrphans {
			removed += m.Removed
		}
	}
	left := w.objects(t)
	for _, key := range ours {
		if slices.Contains(left, key) {
			t.Errorf("%s is still there: %+v", key, steps)
		}
	}
	want := slices.DeleteFunc(slices.Clone(before), func(key string) bool { return slices.Contains(ours, key) })
	if !subset(append(want, "rms/reports/data/young.parquet"), left) || removed != int64(len(ours)) {
		t.Errorf("%d removed; left are\n%s", removed, strings.Join(left, "\n"))
	}
	expect(t, w.rows(t, spec.ID), "2|a|-48.00")
}

// TestOrphansOfWhichSomeAreLeft: a removal that fails half-way is not told as
// done, by a fence or by what is due, and the next step takes the rest.
func TestOrphansOfWhichSomeAreLeft(t *testing.T) {
	w := quickWorld(t, delta())
	spec := reports()
	w.publish(t, spec, 1, lake.Replace, w.stage(t, spec, stagedSpec{file: "l", kind: dms.KindLoad, token: 1, changes: []change{report(1, "a", "/l", 1)}}))
	for i := range 5 {
		w.write(t, fmt.Sprintf("rms/reports/data/left-%d.parquet", i))
	}
	w.ahead = 100 * time.Hour
	away := errors.New("the store is away")
	w.step = func(s lake.Step) error {
		if s == lake.StepRemoved {
			return away
		}
		return nil
	}
	if r, err := w.lake.Maintain(t.Context(), spec, lake.Turn{Token: 2}); !errors.Is(err, away) {
		t.Fatalf("maintain gives %+v, %v", r, err)
	}
	found, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: 2})
	if err != nil || found.Maintained == nil {
		t.Fatalf("fence gives %+v, %v", found, err)
	}
	if m := found.Maintained; m.Step != lake.MaintainOrphans || m.Removed != 0 || m.BytesRemoved != 0 || !m.More || m.Next.IsZero() {
		t.Errorf("a fence tells %+v of a removal that failed", m)
	}
	if due, _, err := w.lake.Due(t.Context(), spec.ID); err != nil || len(due) != 1 || due[0].Step != lake.MaintainOrphans {
		t.Errorf("due are %v, %v", due, err)
	}
	w.step = nil
	r := w.maintain(t, spec, 3)
	if r.Maintained.Removed < 4 || r.Maintained.More {
		t.Errorf("the next step tells %+v", r.Maintained)
	}
	if c, err := w.lake.Contents(t.Context(), spec.ID); err != nil || c.Orphans.Old != 0 || len(c.Due) != 0 {
		t.Errorf("left are %+v, due %v, %v", c.Orphans, c.Due, err)
	}
	if found, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: 3}); err != nil || found.Maintained.Removed != r.Maintained.Removed || found.Maintained.More {
		t.Errorf("a fence tells %+v of a removal that is complete, %v", found.Maintained, err)
	}
}

func (w *world) write(t testing.TB, key string) {
	t.Helper()
	out, err := w.io.Bucket().Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// subset tells whether all of some stand in all.
func subset(some, all []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// TestMaintainToken: a token that is stale, fenced or published maintains
// nothing, and one that maintained neither publishes nor fences.
func TestMaintainToken(t *testing.T) {
	w := quickWorld(t, delta())
	spec := reports()
	token := w.churn(t, spec, 50, 20)
	for _, stale := range []uint64{token, token - 1} {
		if _, err := w.lake.Maintain(t.Context(), spec, lake.Turn{Token: stale}); !errors.Is(err, lake.ErrStale) {
			t.Errorf("token %d: got %v", stale, err)
		}
	}
	if _, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: token + 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.lake.Maintain(t.Context(), spec, lake.Turn{Token: token + 1}); !errors.Is(err, lake.ErrStale) {
		t.Errorf("a fenced token: got %v", err)
	}
	done := w.maintain(t, spec, token+2)
	fence, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: token + 2})
	if err != nil || fence.Fenced() || fence.Maintained == nil || fence.SnapshotID != done.SnapshotID {
		t.Errorf("the fence gave %+v, %v", fence, err)
	}
	part := w.stage(t, spec, stagedSpec{file: "x", kind: dms.KindChange, token: token + 2, changes: []change{report(1, "x", "/x", 1)}})
	if _, err := w.lake.Publish(t.Context(), lake.Request{Spec: spec, Token: token + 2, Mode: lake.Merge, Parts: []lake.Part{part}}); !errors.Is(err, lake.ErrStale) {
		t.Errorf("publishing under it gave %v", err)
	}
}

// TestMaintainOfNothing uses up tokens of tables that hold nothing.
func TestMaintainOfNothing(t *testing.T) {
	w := quickWorld(t, lake.DefaultConfig())
	if r := w.maintain(t, units(), 1); r.Maintained.Step != lake.MaintainNone || r.Maintained.More || r.SnapshotID == 0 {
		t.Errorf("got %+v", r)
	}
	if _, err := w.lake.Maintain(t.Context(), units(), lake.Turn{Token: 0}); err == nil {
		t.Error("token 0 was taken")
	}
}

// TestMaintainOverAnother has a publication commit while a step is ready: the
// step does nothing, and leaves nothing.
func TestMaintainOverAnother(t *testing.T) {
	w := quickWorld(t, delta())
	spec := reports()
	token := w.churn(t, spec, 100, 5)
	newer := w.stage(t, spec, stagedSpec{file: "n", kind: dms.KindChange, token: token + 2, changes: []change{report(1, "new", "/n", 1)}})
	other := w.open(t, nil)
	var data int
	w.step = func(s lake.Step) error {
		if s == lake.StepStaged {
			w.step = nil
			if _, err := other.Publish(t.Context(), lake.Request{Spec: spec, Token: token + 2, Mode: lake.Merge, Parts: []lake.Part{newer}}); err != nil {
				t.Error(err)
			}
			data = len(w.dataFiles(t)) - 1
		}
		return nil
	}
	if _, err := w.lake.Maintain(t.Context(), spec, lake.Turn{Token: token + 1}); !errors.Is(err, lake.ErrStale) {
		t.Fatalf("got %v", err)
	}
	if got := len(w.dataFiles(t)); got != data {
		t.Errorf("%d data files, expected %d", got, data)
	}
}

func (w *world) dataFiles(t testing.TB) []string {
	t.Helper()
	return slices.DeleteFunc(w.objects(t), func(key string) bool { return !strings.Contains(key, "/data/") })
}

// TestMaintainTidy leaves one file without deleted rows where that costs little,
// and leaves larger ones alone.
func TestMaintainTidy(t *testing.T) {
	for name, tt := range map[string]struct {
		rows, bytes int64
		tidy        bool
	}{"at the bound": {500 + 2*50, 1 << 20, true}, "beyond it": {500 + 2*50 - 1, 1 << 20, false}, "too large": {500 + 2*50, 1 << 10, false}} {
		t.Run(name, func(t *testing.T) {
			cfg := delta()
			cfg.Maintenance.DeletedFraction, cfg.Maintenance.TidyRows, cfg.Maintenance.TidyBytes = 1, tt.rows, tt.bytes
			w := quickWorld(t, cfg)
			spec := reports()
			token := w.churn(t, spec, 500, 2)
			before := w.rows(t, spec.ID)
			steps := w.maintainAll(t, spec, &token)
			is, err := w.lake.Describe(t.Context(), spec.ID)
			if err != nil {
				t.Fatal(err)
			}
			if tidy := is.DeleteFiles == 0 && is.DataFiles == 1; tidy != tt.tidy || (len(steps) == 1) != tt.tidy {
				t.Errorf("%d data and %d delete files are left after %+v", is.DataFiles, is.DeleteFiles, steps)
			}
			expect(t, w.rows(t, spec.ID), before...)
		})
	}
}

// TestMaintainTidyInSteps merges more untidy files than one step takes, and ends.
func TestMaintainTidyInSteps(t *testing.T) {
	cfg := delta()
	cfg.Maintenance.StepFiles = 3
	w := quickWorld(t, cfg)
	spec := reports()
	token := w.churn(t, spec, 100, 9)
	before := w.rows(t, spec.ID)
	steps := w.maintainAll(t, spec, &token)
	is, err := w.lake.Describe(t.Context(), spec.ID)
	if err != nil {
		t.Fatal(err)
	}
	if is.DataFiles != 1 || is.DeleteFiles != 0 || len(steps) > 10 {
		t.Errorf("%d data and %d delete files are left after %+v", is.DataFiles, is.DeleteFiles, steps)
	}
	expect(t, w.rows(t, spec.ID), before...)
}
