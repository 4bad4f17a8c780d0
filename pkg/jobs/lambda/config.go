package lambda

import (
	"errors"
	"fmt"
	"time"
)

// Config bounds how the function is invoked.
type Config struct {
	// Runs is how many invocations for one file and token may end badly before the
	// file counts as failed.
	Runs int
	// BytesPerSecond is the pace of a transform by which its time is estimated from
	// the size of the object.
	BytesPerSecond int64
	// SyncLimit is the longest estimated time of a synchronous invocation.
	SyncLimit time.Duration
	// Limit is how long an invocation may take at most, the function's own timeout;
	// QueueLimit how long an asynchronous one may lie in Lambda's queue.
	Limit, QueueLimit time.Duration
	// PollMin and PollMax bound the pauses between two looks for the result of an
	// asynchronous invocation.
	PollMin, PollMax time.Duration
	// StartMin and StartMax bound the pauses between two invocations.
	StartMin, StartMax time.Duration
}

// DefaultConfig gives the defaults.
func DefaultConfig() Config {
	return Config{
		Runs: 3, BytesPerSecond: 4 << 20, SyncLimit: time.Minute,
		Limit: 15 * time.Minute, QueueLimit: 5 * time.Minute,
		PollMin: time.Second, PollMax: 15 * time.Second,
		StartMin: time.Second, StartMax: 30 * time.Second,
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
	positive("BytesPerSecond", c.BytesPerSecond > 0)
	positive("Limit", c.Limit > 0)
	positive("QueueLimit", c.QueueLimit > 0)
	positive("PollMin", c.PollMin > 0)
	positive("StartMin", c.StartMin > 0)
	if c.PollMax < c.PollMin || c.StartMax < c.StartMin || c.SyncLimit < 0 {
		faults = append(faults, errors.New("PollMax and StartMax must not be less than PollMin and StartMin, SyncLimit not less than zero"))
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("lambda runner configuration: %w", err)
	}
	return nil
}

// maxAsync is the largest payload of an asynchronous invocation that every region
// takes.
const maxAsync = 256 << 10

// synchronous decides how a file is transformed.
func (c Config) synchronous(size int64, payload int) bool {
	estimate := time.Duration(float64(size) / float64(c.BytesPerSecond) * float64(time.Second))
	return estimate <= c.SyncLimit || payload > maxAsync
}
