package lake_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/lake"
)

// TestMaintainCrashes dies at every point of every step: the rows are as before,
// and the step that comes again does what was left, in one commit.
func TestMaintainCrashes(t *testing.T) {
	reached := map[string]bool{}
	for _, step := range []string{lake.MaintainCompact, lake.MaintainDeletes, lake.MaintainManifests, lake.MaintainExpire, lake.MaintainOrphans, lake.MaintainNone} {
		for _, point := range []lake.Step{lake.StepWritten, lake.StepDeletes, lake.StepStaged, lake.StepCommitted, lake.StepRemoved} {
			t.Run(step+" "+string(point), func(t *testing.T) {
				if crashIn(t, step, point) {
					reached[step+" "+string(point)] = true
				}
			})
		}
	}
	for _, want := range []string{
		"compact written", "compact staged", "compact committed", "deletes deletes", "deletes staged", "deletes committed",
		"manifests written", "manifests staged", "manifests committed", "expire staged", "expire committed",
		"orphans staged", "orphans committed", "orphans removed", "none staged", "none committed",
	} {
		if !reached[want] {
			t.Errorf("never died at: %s", want)
		}
	}
}

// crashIn reports whether the step came to the point.
func crashIn(t *testing.T, step string, point lake.Step) bool {
	cfg := delta()
	cfg.Maintenance.DeletedFraction, cfg.Maintenance.TidyRows, cfg.Maintenance.MaxSmallFiles = 1, 0, 1000
	cfg.Maintenance.MaxFileDeletes, cfg.Maintenance.MaxManifests = 1000, 1000
	cfg.Maintenance.KeepSnapshots, cfg.Maintenance.ExpireAtLeast = 2, 1000
	var ahead time.Duration
	switch step {
	case lake.MaintainCompact:
		cfg.Maintenance.MaxSmallFiles = 2
	case lake.MaintainDeletes:
		cfg.Maintenance.MaxFileDeletes = 1
	case lake.MaintainManifests:
		cfg.Maintenance.MaxManifests = 1
	case lake.MaintainExpire:
		cfg.Maintenance.ExpireAtLeast, ahead = 3, 71*time.Hour+59*time.Minute
		cfg.Maintenance.ExpireAfter = 24 * time.Hour
	case lake.MaintainOrphans:
		ahead = 100 * time.Hour
	}
	w := quickWorld(t, cfg)
	spec := reports()
	token := w.churn(t, spec, 20, 4)
	for _, key := range []string{"rms/reports/data/a.parquet", "rms/reports/data/b.parquet"} {
		w.write(t, key)
	}
	before := w.rows(t, spec.ID)
	w.ahead = ahead
	w.step = func(s lake.Step) error {
		if s == point {
			return errCrash
		}
		return nil
	}
	_, err := w.lake.Maintain(t.Context(), spec, lake.Turn{Token: token + 1})
	w.step = nil
	if err != nil && !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	expect(t, w.rows(t, spec.ID), before...)
	died, err2 := w.lake.Describe(t.Context(), spec.ID)
	again := w.maintain(t, spec, token+1)
	if err2 != nil || again.Maintained.Step != step {
		t.Fatalf("it did %s (%v)", again.Maintained.Step, err2)
	}
	if committed := died.Token == token+1; committed && died.SnapshotID != again.SnapshotID {
		t.Errorf("snapshot %d became %d", died.SnapshotID, again.SnapshotID)
	}
	expect(t, w.rows(t, spec.ID), before...)
	if left := w.objects(t); step == lake.MaintainOrphans && slices.Contains(left, "rms/reports/data/a.parquet") {
		t.Error("an orphan is still there")
	}
	return err != nil
}
