package lambdatransformer

import (
	"runtime"
	"time"

	"github.com/openblotter/blotter/pkg/jobs"
)

// Config bounds what the service does at once and how often it tries.
type Config struct {
	// InProcess bounds the transforms that run here, Lambda those that are waited for.
	InProcess, Lambda jobs.DispatchConfig
}

// DefaultConfig gives the defaults: in process as many transforms at once as there
// are cores; on Lambda, where they only have to be waited for, a part of the
// thousand that an account may run at once.
func DefaultConfig() Config {
	return Config{
		InProcess: jobs.DispatchConfig{Parallel: runtime.GOMAXPROCS(0), Attempts: 5, Backoff: 200 * time.Millisecond},
		Lambda:    jobs.DispatchConfig{Parallel: 200, Attempts: 5, Backoff: time.Second},
	}
}
