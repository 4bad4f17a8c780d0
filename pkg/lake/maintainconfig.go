package lake

import (
	"errors"
	"fmt"
	"time"
)

// minExpireAge: no snapshot younger than this ever expires, since readers may be
// in the middle of it.
const minExpireAge = 24 * time.Hour

// minOrphanAge: no object younger than this is ever taken for an orphan, since a
// commit that is under way may name it.
const minOrphanAge = 24 * time.Hour

// MaintenanceConfig holds the thresholds at which maintenance is due, and the
// bounds of one step of it.
type MaintenanceConfig struct {
	// MaxSmallFiles: beyond this many data files below SmallFileRows and
	// SmallFileBytes they are merged, the smaller ones first.
	MaxSmallFiles  int
	SmallFileRows  int64
	SmallFileBytes int64
	// DeletedFraction: a data file of which more than this part is deleted is
	// written anew without the deleted rows. Between 0 and 1.
	DeletedFraction float64
	// TidyRows and TidyBytes: data files that are small or have deleted rows are
	// merged into one, however little is deleted, if they have no more rows and bytes
	// than this together. Some readers take several times as long for a file with a
	// single deleted row, and as long for a small file as for many rows. 0: never.
	TidyRows  int64
	TidyBytes int64
	// MaxFileDeletes: a data file with more position-delete files than this gets
	// one in their place.
	MaxFileDeletes int
	// MaxManifests: beyond this many manifests of data files, the small ones are
	// merged.
	MaxManifests int
	// ExpireAfter is how long a snapshot stays readable, at least 24 hours;
	// KeepSnapshots are kept however old. Expiry waits until ExpireAtLeast are due,
	// since it makes a snapshot itself.
	ExpireAfter   time.Duration
	KeepSnapshots int
	ExpireAtLeast int
	// OrphanAge is how old an object must be, by the time of its store, before it
	// is removed when nothing refers to it: at least 24 hours. OrphanEvery is how
	// often the folders of a table that changes are searched for them.
	OrphanAge   time.Duration
	OrphanEvery time.Duration

	// The bounds of one step: StepFiles data files, StepRows and StepBytes of them
	// written anew (one file is always taken, however large; memory holds one page
	// of each column of the files that overlap), StepManifests merged,
	// StepSnapshots expired, StepObjects removed.
	StepFiles     int
	StepRows      int64
	StepBytes     int64
	StepManifests int
	StepSnapshots int
	StepObjects   int
}

// DefaultMaintenanceConfig gives thresholds with which a table that gets small
// changes all day reads about as fast as one written anew, and a step takes
// seconds.
func DefaultMaintenanceConfig() MaintenanceConfig {
	return MaintenanceConfig{
		MaxSmallFiles: 12, SmallFileRows: 512 << 10, SmallFileBytes: 32 << 20,
		DeletedFraction: 0.05, TidyRows: 2 << 20, TidyBytes: 128 << 20, MaxFileDeletes: 4, MaxManifests: 16,
		ExpireAfter: 72 * time.Hour, KeepSnapshots: 20, ExpireAtLeast: 8,
		OrphanAge: 72 * time.Hour, OrphanEvery: 24 * time.Hour,
		StepFiles: 32, StepRows: 8 << 20, StepBytes: 512 << 20,
		StepManifests: 256, StepSnapshots: 1000, StepObjects: 1000,
	}
}

func (c MaintenanceConfig) faults() []error {
	var faults []error
	for name, v := range map[string]int64{
		"small_file_rows": c.SmallFileRows, "small_file_bytes": c.SmallFileBytes,
		"max_file_deletes": int64(c.MaxFileDeletes), "keep_snapshots": int64(c.KeepSnapshots),
		"orphan_every": int64(c.OrphanEvery), "step_rows": c.StepRows, "step_bytes": c.StepBytes,
		"step_objects": int64(c.StepObjects), "max_small_files": int64(c.MaxSmallFiles), "max_manifests": int64(c.MaxManifests),
	} {
		faults = append(faults, notPositive(name, v))
	}
	// Expiry must take more snapshots away than the steps around it make, and a
	// merge must have something to merge.
	for name, v := range map[string]int{
		"expire_at_least": c.ExpireAtLeast, "step_snapshots": c.StepSnapshots, "step_files": c.StepFiles, "step_manifests": c.StepManifests,
	} {
		if v < 3 {
			faults = append(faults, fmt.Errorf("lake: %s must be at least 3, is %d", name, v))
		}
	}
	if c.StepRows < 2*c.SmallFileRows || c.StepBytes < 2*c.SmallFileBytes {
		faults = append(faults, errors.New("lake: step_rows and step_bytes must hold two small files, or a step could merge none"))
	}
	if c.DeletedFraction < 0 || c.DeletedFraction > 1 {
		faults = append(faults, fmt.Errorf("lake: deleted_fraction must lie between 0 and 1, is %v", c.DeletedFraction))
	}
	if c.TidyRows < 0 || c.TidyBytes < 0 {
		faults = append(faults, fmt.Errorf("lake: tidy_rows and tidy_bytes must not be negative, are %d and %d", c.TidyRows, c.TidyBytes))
	}
	if c.ExpireAfter < minExpireAge || c.OrphanAge < minOrphanAge {
		faults = append(faults, errors.New("lake: expire_after and orphan_age must be at least 24 hours: readers and commits may need what is younger"))
	}
	return faults
}
