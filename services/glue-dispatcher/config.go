package gluedispatcher

import (
	"runtime"
	"time"

	"github.com/openblotter/blotter/pkg/jobs"
)

// Config bounds what the service does at once and how often it tries.
type Config struct {
	// InProcess bounds the transforms that run here, Glue those that are followed.
	InProcess, Glue jobs.DispatchConfig
}

// DefaultConfig gives the defaults: in process as many transforms at once as there
// are cores; on Glue, where they only have to be waited for, as many as an account
// may run.
func DefaultConfig() Config {
	return Config{
		InProcess: jobs.DispatchConfig{Parallel: runtime.GOMAXPROCS(0), Attempts: 5, Backoff: 200 * time.Millisecond},
		Glue:      jobs.DispatchConfig{Parallel: 500, Attempts: 5, Backoff: 5 * time.Second},
	}
}
