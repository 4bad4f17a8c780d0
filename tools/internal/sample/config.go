package sample

import (
	"errors"
	"fmt"
	"time"
)

// Config says what drop to make.
type Config struct {
	Seed uint64
	// Rows is about how many rows all files together hold.
	Rows int
	// Start is the time at which the full load began. The drop spans two days.
	Start time.Time
	// Broken adds a file that cannot be read, and one that waits behind it.
	Broken bool
	// Reload loads one table a second time, under the same keys, with fewer rows.
	Reload bool
}

// minRows is the smallest drop in which every table has something to tell.
const minRows = 2000

// DefaultConfig is the drop that `blotter demo` shows.
func DefaultConfig() Config {
	return Config{
		Seed:   1,
		Rows:   60_000,
		Start:  time.Date(2024, 3, 4, 6, 0, 0, 0, time.UTC),
		Broken: true,
		Reload: true,
	}
}

// Validate reports all faults together.
func (c Config) Validate() error {
	var faults []error
	if c.Rows < minRows {
		faults = append(faults, fmt.Errorf("rows: %d are too few, at least %d", c.Rows, minRows))
	}
	if y := c.Start.Year(); y < 1970 || y > 2200 {
		faults = append(faults, fmt.Errorf("start: the year %d is out of range", y))
	}
	return errors.Join(faults...)
}
