package hammer

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
)

// Config says what one run plays.
type Config struct {
	Seed     uint64
	Tables   int // at least two: these are changed by transaction files
	Files    int // change files of each generation of a table
	Replicas int // processes, each with all services
	Restarts int // of the NATS server, at most
	Stalls   int // of processes past their deadlines, at most
	// Processes has each replica of a few roles be a process of its own, which dies by
	// kill -9, and so do the NATS servers. The program must begin with Part.
	Processes bool
	// Nodes are the NATS servers: 1, or with Processes 3, of which the leader dies.
	Nodes int
	// Dir is where everything lies: empty and new.
	Dir string
	// Timeout bounds the run; one that has not settled by then is a violation.
	Timeout time.Duration
	Logger  *slog.Logger
	// Check, if set, looks at the system too, once all is at rest; it gives what does
	// not hold.
	Check func(ctx context.Context, at Rest) ([]string, error)
}

// Rest is a system that is at rest.
type Rest struct {
	Dir     string // with the files and folders of a system that runs in it
	Log     *eventlog.Log
	Store   control.Store
	Lake    *lake.Lake
	Tables  []registry.Table
	Records []eventlog.Record // the whole log
	// Replaced are the tables whose first load was written over in the raw folder.
	Replaced map[dms.TableID]bool
	// IDs are those of the rows that each table has.
	IDs map[dms.TableID]map[string]bool
}

// DefaultConfig gives a run of some ten seconds; seed decides everything else. Dir is left
// to the caller.
func DefaultConfig(seed uint64) Config {
	return Config{
		Seed: seed, Nodes: 1, Tables: len(kinds), Files: 4 + int(seed%3), Replicas: 1 + int(seed%3), Restarts: int(seed % 4), Stalls: 1 + int(seed%5),
		Timeout: 3 * time.Minute, Logger: slog.New(slog.DiscardHandler),
	}
}

// ManyProcesses gives a run in which the roles, and the NATS servers, are processes.
func ManyProcesses(seed uint64) Config {
	c := DefaultConfig(seed)
	c.Processes, c.Replicas, c.Restarts, c.Stalls = true, 2, 1+int(seed%2), 1+int(seed%3)
	if seed%2 == 1 {
		c.Nodes = 3
	}
	return c
}

// Validate reports all faults together.
func (c Config) Validate() error {
	var errs []error
	if c.Tables < 2 {
		errs = append(errs, errors.New("there must be two tables at least: transaction files change the first two"))
	}
	if c.Files < 2 || c.Files > 600 {
		errs = append(errs, errors.New("a generation must have between 2 and 600 change files"))
	}
	if c.Replicas < 1 || c.Restarts < 0 || c.Stalls < 0 || c.Timeout <= 0 {
		errs = append(errs, errors.New("there must be a replica and a time limit; restarts and stalls are not negative"))
	}
	if c.Nodes != 1 && (c.Nodes != 3 || !c.Processes) {
		errs = append(errs, errors.New("there are one or three NATS servers, three only as processes"))
	}
	if c.Dir == "" || c.Logger == nil {
		errs = append(errs, errors.New("a folder and a logger are needed"))
	}
	return errors.Join(errs...)
}

// grantTimeout is how long a transaction may take by the services' clock, which a
// stall moves on; stallFor is how long a stalled process stands still, long enough
// for the others to see the deadline and act. A process that gave up is started again
// after startAgain.
const (
	grantTimeout = time.Minute
	stallFor     = 400 * time.Millisecond
	startAgain   = 20 * time.Millisecond
)
