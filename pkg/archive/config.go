package archive

import (
	"errors"
	"fmt"
	"time"
)

// Config says when a span of the log is closed.
type Config struct {
	// MaxEvents and MaxBytes bound a span: it is closed when it has so many events, or
	// its leaves so many bytes. The file is built in memory.
	MaxEvents int
	MaxBytes  int
	// MaxAge closes a span when the oldest event that is not archived is as old.
	MaxAge time.Duration
	// SignGaps has what the log lacks be signed as missing. Else the archive does not go on
	// behind it: the stream denies deletes, so that an event which is not there was lost,
	// and may come back from a backup.
	SignGaps bool
	// Interval is how often a Keeper looks, and how long it waits after a failure.
	Interval time.Duration
}

// DefaultConfig closes a span with 65,536 events, 32 MiB, or after an hour.
func DefaultConfig() Config {
	return Config{MaxEvents: 1 << 16, MaxBytes: 32 << 20, MaxAge: time.Hour, Interval: time.Minute}
}

// Validate reports all faults together.
func (c Config) Validate() error {
	var errs []error
	if c.MaxEvents < 1 || c.MaxEvents > 1<<20 {
		errs = append(errs, fmt.Errorf("archive: %d events in a span: expected 1 to %d", c.MaxEvents, 1<<20))
	}
	if c.MaxBytes < 1 || c.MaxBytes > maxSpanFile/4 {
		errs = append(errs, fmt.Errorf("archive: %d bytes in a span: expected 1 to %d", c.MaxBytes, maxSpanFile/4))
	}
	if c.MaxAge <= 0 || c.Interval <= 0 {
		errs = append(errs, errors.New("archive: max age and interval must be positive"))
	}
	return errors.Join(errs...)
}
