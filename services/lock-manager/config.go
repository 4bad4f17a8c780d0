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
	// LoadFiles bounds the load files of one grant; GlueLoadFiles those of a table with
	// flag G that names a job of Glue, where one run takes them all and each run has a
	// price of its own. Without a job files go one by one in process, or through the
	// Spark of one machine, where a run costs nothing to begin, and a bad file should
	// discard few others: there LoadFiles holds.
	LoadFiles     int
	GlueLoadFiles int
	// LoadWait is how long an open load to which no file has come may hold the change
	// files of its table, where no quiet period ends it sooner. It is then given up: the
	// load files open a load by themselves when they come, but for new names beside a
	// generation in force, which are late. It counts from the opening, also while
	// nobody looked, but for the first hour in which somebody does. Make it longer than DMS needs
	// from the start of a task to the first file of its last table.
	LoadWait time.Duration
	// MaxExpired is how often a grant of one file may run out of time before the
	// table is paused.
	MaxExpired int
	// MaintainAfter is after how many publications an idle table is maintained,
	// MaintainAge after how much time since the first of fewer.
	MaintainAfter int
	MaintainAge   time.Duration
	// MaintainAtLatest is after how many publications a table that is never idle is
	// maintained all the same, a step after every MaintainBetween publications.
	MaintainAtLatest int
	MaintainBetween  int
	// MaintainTimeout is how long one step may take, its wait for a free curator
	// included. MaintainRetry is how long a failed step waits for its next try;
	// twice as long after each further failure, up to a day.
	MaintainTimeout time.Duration
	MaintainRetry   time.Duration
	// Tick is how often deadlines, quiet periods and orphaned outboxes are looked at.
	Tick time.Duration
	// CacheTables bounds the tables whose state is kept in memory.
	CacheTables int
}

// loadGrace is how long the shell looks before it gives up a load to which no file has
// come: what arrived while nobody looked is told by then. A shorter LoadWait is its own.
const loadGrace = time.Hour

// DefaultConfig gives the defaults.
func DefaultConfig() Config {
	return Config{
		GrantTimeout:  2 * time.Hour,
		BatchFiles:    32,
		BatchBytes:    64 << 20,
		LoadFiles:     8,
		GlueLoadFiles: 64,
		LoadWait:      24 * time.Hour,
		MaxExpired:    3,
		MaintainAfter: 32, MaintainAge: 24 * time.Hour, MaintainAtLatest: 96, MaintainBetween: 4,
		MaintainTimeout: time.Hour, MaintainRetry: 10 * time.Minute,
		Tick:        time.Second,
		CacheTables: 1024,
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
	positive("GlueLoadFiles", c.GlueLoadFiles > 0)
	positive("LoadWait", c.LoadWait > 0)
	positive("MaxExpired", c.MaxExpired > 0)
	positive("MaintainAfter", c.MaintainAfter > 0)
	positive("MaintainAge", c.MaintainAge > 0)
	positive("MaintainAtLatest", c.MaintainAtLatest > 0)
	positive("MaintainBetween", c.MaintainBetween > 0)
	positive("MaintainTimeout", c.MaintainTimeout > 0)
	positive("MaintainRetry", c.MaintainRetry > 0)
	positive("Tick", c.Tick > 0)
	positive("CacheTables", c.CacheTables > 0)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("lock-manager configuration: %w", err)
	}
	return nil
}
