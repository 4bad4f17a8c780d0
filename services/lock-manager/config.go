package lockmanager

import (
	"errors"
	"fmt"
	"time"
)

// Config holds what an operator may tune. The zero value of a field is refused
// by Validate; start from DefaultConfig.
type Config struct {
	// GrantTimeout is how long one transaction may take, its wait for a free
	// worker included. It finds workers that are lost, not slow ones: make it
	// longer than the whole backlog that may lie before a file.
	GrantTimeout time.Duration
	// BatchFiles and BatchBytes bound the change files of one grant; one file is
	// always granted, however large.
	BatchFiles int
	BatchBytes int64
	// LoadFiles bounds the load files of one grant.
	LoadFiles int
	// MaxExpired is how often a grant of one file may run out of time before the
	// table is paused.
	MaxExpired int
	// Tick is how often deadlines, quiet periods and orphaned outboxes are looked at.
	Tick time.Duration
	// CacheTables bounds the tables whose state is kept in memory.
	CacheTables int
}

// DefaultConfig gives the defaults.
func DefaultConfig() Config {
	return Config{
		GrantTimeout: 2 * time.Hour,
		BatchFiles:   32,
		BatchBytes:   64 << 20,
		LoadFiles:    8,
		MaxExpired:   3,
		Tick:         time.Second,
		CacheTables:  1024,
	}
}

// Validate reports all faults together.
func (c Config) Validate() error {
	var errs []error
	positive := func(name string, ok bool) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s must be greater than zero", name))
		}
	}
	positive("GrantTimeout", c.GrantTimeout > 0)
	positive("BatchFiles", c.BatchFiles > 0)
	positive("BatchBytes", c.BatchBytes > 0)
	positive("LoadFiles", c.LoadFiles > 0)
	positive("MaxExpired", c.MaxExpired > 0)
	positive("Tick", c.Tick > 0)
	positive("CacheTables", c.CacheTables > 0)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("lock-manager configuration: %w", err)
	}
	return nil
}
