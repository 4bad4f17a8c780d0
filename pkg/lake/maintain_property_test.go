package lake_test

import (
	"context"
	"errors"
	"time"

	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
)

// drawMaintenance draws thresholds at which every step is due soon.
func drawMaintenance(rt *rapid.T) lake.MaintenanceConfig {
	c := lake.DefaultMaintenanceConfig()
	c.MaxSmallFiles = rapid.SampledFrom([]int{1, 2, 12}).Draw(rt, "small files")
	c.DeletedFraction = rapid.SampledFrom([]float64{0.2, 1, 1}).Draw(rt, "deleted")
	c.TidyRows = rapid.SampledFrom([]int64{0, 0, 10}).Draw(rt, "tidy")
	c.MaxFileDeletes = rapid.IntRange(1, 2).Draw(rt, "file deletes")
	c.MaxManifests = rapid.IntRange(1, 3).Draw(rt, "manifests")
	c.KeepSnapshots = rapid.IntRange(1, 3).Draw(rt, "keep")
	c.ExpireAtLeast, c.StepSnapshots, c.StepFiles, c.StepManifests = 3, 3, 3, 3
	c.StepObjects = rapid.IntRange(1, 5).Draw(rt, "objects")
	return c
}

// maintainSome takes one step with a crash somewhere in it, and again. The rows
// are compared by whoever calls.
func (r *foldRun) maintainSome(rt *rapid.T) {
	r.token++
	r.ahead += time.Duration(rapid.SampledFrom([]int{0, 0, 30, 100}).Draw(rt, "hours")) * time.Hour
	crash := rapid.SampledFrom([]lake.Step{"", lake.StepWritten, lake.StepDeletes, lake.StepStaged, lake.StepCommitted,
		lake.StepRemoved, lake.StepRemoved}).Draw(rt, "crash")
	after := rapid.IntRange(0, 2).Draw(rt, "after")
	r.step = func(s lake.Step) error {
		if s == crash {
			if after--; after < 0 {
				return errCrash
			}
		}
		return nil
	}
	_, err := r.lake.Maintain(context.Background(), r.spec, lake.Turn{Token: r.token})
	r.step = nil
	switch {
	case errors.Is(err, errCrash):
		r.reached["crash in maintenance"]++
	case err != nil:
		rt.Fatal(err)
	}
	before, err := r.lake.Describe(context.Background(), r.spec.ID)
	if err != nil {
		rt.Fatal(err)
	}
	result := r.maintain(rt, r.spec, r.token)
	if before.Token == r.token && before.SnapshotID != result.SnapshotID {
		rt.Fatalf("token %d made snapshot %d, and %d when it came again", r.token, before.SnapshotID, result.SnapshotID)
	}
	r.reached[result.Maintained.Step]++
	if result.Strategy != result.Maintained.Step {
		rt.Fatalf("the strategy of step %s is %s", result.Maintained.Step, result.Strategy)
	}
}

// maintain takes one step.
func (w *world) maintain(t tester, spec registry.Table, token uint64) lake.Result {
	t.Helper()
	r, err := w.lake.Maintain(context.Background(), spec, lake.Turn{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	if r.Maintained == nil || r.Token != token {
		t.Fatalf("token %d: got %+v", token, r)
	}
	return r
}
