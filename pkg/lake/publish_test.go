package lake_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
)

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("rows are\n%v\nwant\n%v", got, want)
	}
}

func TestMergeStrategies(t *testing.T) {
	whole, delta, touched := lake.DefaultConfig(), lake.DefaultConfig(), lake.DefaultConfig()
	delta.SmallTableRows, delta.RewriteFraction = 0, 1
	touched.SmallTableRows, touched.RewriteFraction = 0, 0
	for name, tt := range map[string]struct {
		cfg  lake.Config
		want string
	}{
		"whole table":     {whole, lake.StrategyCopyOnWrite},
		"position delete": {delta, lake.StrategyRowDelta},
		"touched files":   {touched, lake.StrategyCopyOnWrite},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tt.cfg)
			spec := reports()
			r := w.publish(t, spec, 1, lake.Replace, w.stage(t, spec, stagedSpec{file: "load", kind: dms.KindLoad, token: 1, changes: []change{
				report(1, "open", "/a", 1), report(2, "open", "/a", 2), report(3, "", "/a", 3), report(40, "x", "/a", 4)}}))
			if r.TableRows != 4 || r.Strategy != lake.StrategyReplace {
				t.Fatalf("load gave %+v", r)
			}
			r = w.publish(t, spec, 2, lake.Merge, w.stage(t, spec, stagedSpec{file: "c1", kind: dms.KindChange, token: 2, changes: []change{
				report(2, "closed", "/b", 1), removal(3, "/b", 2), report(5, "new", "/b", 3), removal(9, "/b", 4)}}))
			if r.TableRows != 4 || r.Strategy != tt.want || r.Files[0].Superseded != 0 {
				t.Fatalf("changes gave %+v", r)
			}
			expect(t, w.rows(t, spec.ID), "1|open|-49.00", "2|closed|-48.00", "5|new|-45.00", "40|x|-10.00")

			// Late changes: of a row that is newer, of a key that was deleted.
			late := w.stage(t, spec, stagedSpec{file: "c0", kind: dms.KindChange, token: 3, changes: []change{
				report(2, "late", "/a", 1), report(3, "late", "/a", 2), report(9, "late", "/a", 3), report(1, "in time", "/a", 4)}})
			r = w.publish(t, spec, 3, lake.Merge, late)
			if r.TableRows != 4 || r.Files[0].Superseded != 3 {
				t.Fatalf("late changes gave %+v", r)
			}
			expect(t, w.rows(t, spec.ID), "1|in time|-49.00", "2|closed|-48.00", "5|new|-45.00", "40|x|-10.00")

			again := w.publish(t, spec, 3, lake.Merge, late)
			if again.SnapshotID != r.SnapshotID || again.Files[0].Superseded != 3 {
				t.Fatalf("the same token gave %+v, before %+v", again, r)
			}
			if _, err := w.lake.Publish(t.Context(), lake.Request{Spec: spec, Token: 3, Mode: lake.Merge, Parts: []lake.Part{{FileID: "other"}}}); !errors.Is(err, lake.ErrOtherFiles) {
				t.Fatalf("the same token for another file gave %v", err)
			}
			if _, err := w.lake.Publish(t.Context(), lake.Request{Spec: spec, Token: 2, Mode: lake.Merge}); !errors.Is(err, lake.ErrStale) {
				t.Fatalf("an old token gave %v", err)
			}
			d, err := w.lake.Describe(t.Context(), spec.ID)
			if err != nil {
				t.Fatal(err)
			}
			if d.Rows != 4 || d.Tombstones != 2 || d.Token != 3 || d.Snapshots != 3 || d.Generation != 1 {
				t.Fatalf("description is %+v", d)
			}
		})
	}
}
