package localspark

import (
	"errors"
	"time"

	"github.com/openblotter/blotter/pkg/jobs/plan"
)

// Config says how the session is started, and what it may use.
type Config struct {
	// Command starts the session: a Python with PySpark and the path of session.py.
	Command []string
	// Rows is the command of the program for rows (see pkg/jobs/rows).
	Rows []string
	// Positions is the command of the program for positions (see pkg/jobs/positions);
	// empty: no position deletes are computed.
	Positions []string
	// Cores that Spark uses.
	Cores int
	// Jobs is how many run at once; the others wait.
	Jobs int
	// Scratch is the folder for what Spark spills; empty is the system's.
	Scratch string
	// ShuffleBytes is the size of a file from which on its changes are spread over
	// several tasks; 0 spreads every file.
	ShuffleBytes int64
	// StartTimeout bounds the start of a session, StopTimeout how long a cancelled
	// job may take before its session is killed.
	StartTimeout time.Duration
	StopTimeout  time.Duration
	// Limits go into every plan.
	Limits plan.Limits
}

// DefaultConfig gives the defaults; Command and Rows are left to the caller.
func DefaultConfig() Config {
	return Config{
		Cores: 2, Jobs: 2, ShuffleBytes: 256 << 20,
		StartTimeout: 5 * time.Minute, StopTimeout: 20 * time.Second,
	}
}

// Validate reports all faults together.
func (c Config) Validate() error {
	var faults []error
	if len(c.Command) == 0 || len(c.Rows) == 0 {
		faults = append(faults, errors.New("the command of the session or of the program for rows is missing"))
	}
	if c.Cores < 1 || c.Jobs < 1 {
		faults = append(faults, errors.New("cores and jobs must be at least 1"))
	}
	if c.StartTimeout <= 0 || c.StopTimeout <= 0 {
		faults = append(faults, errors.New("start_timeout and stop_timeout must be greater than zero"))
	}
	if c.ShuffleBytes < 0 {
		faults = append(faults, errors.New("shuffle_bytes must not be negative"))
	}
	return errors.Join(faults...)
}
