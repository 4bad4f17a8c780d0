package glue

import (
	"errors"
	"fmt"
	"time"
)

// Config bounds how runs are started and followed.
type Config struct {
	// Runs is how many runs of one batch may end badly without a reason in a file
	// before the files that have no end count as failed.
	Runs int
	// PollMin and PollMax bound the pauses between two looks at a run.
	PollMin, PollMax time.Duration
	// StartMin and StartMax bound the pauses between two tries to start a run,
	// while Glue has no room, and before the next run after a bad end.
	StartMin, StartMax time.Duration
	// Settle is how long Glue may take to list a run that it has started.
	Settle time.Duration
	// Pages bounds the pages of 200 runs that are read to find one.
	Pages int
	// Misses is how many looks at a run may fail one after the other.
	Misses int
	// StopWait bounds the search for runs that are to be stopped and the wait for their
	// ends.
	StopWait time.Duration
	// Call bounds one call of Glue, the client's retries included.
	Call time.Duration
}

// DefaultConfig gives the defaults.
func DefaultConfig() Config {
	return Config{
		Runs:    3,
		PollMin: 2 * time.Second, PollMax: 30 * time.Second,
		StartMin: 5 * time.Second, StartMax: time.Minute,
		Settle: 30 * time.Second, Pages: 50, Misses: 20, StopWait: 10 * time.Minute, Call: 30 * time.Second,
	}
}

// Validate reports all faults together.
func (c Config) Validate() error {
	var faults []error
	positive := func(name string, ok bool) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s must be greater than zero", name))
		}
	}
	positive("Runs", c.Runs > 0)
	positive("PollMin", c.PollMin > 0)
	positive("StartMin", c.StartMin > 0)
	positive("Settle", c.Settle > 0)
	positive("Pages", c.Pages > 0)
	positive("Misses", c.Misses > 0)
	positive("StopWait", c.StopWait > 0)
	positive("Call", c.Call > 0)
	if c.PollMax < c.PollMin || c.StartMax < c.StartMin {
		faults = append(faults, errors.New("PollMax and StartMax must not be less than PollMin and StartMin"))
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("glue runner configuration: %w", err)
	}
	return nil
}

// announcements bounds the announced runs of one batch: more than Runs,
// since one that was never started counts too.
func (c Config) announcements() int { return 3 * c.Runs }
