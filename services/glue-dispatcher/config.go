package gluedispatcher

import (
	"runtime"
	"time"

	"github.com/openblotter/blotter/pkg/jobs"
)

// DefaultConfig gives the defaults: as many transforms at once as there are cores.
func DefaultConfig() jobs.DispatchConfig {
	return jobs.DispatchConfig{Parallel: runtime.GOMAXPROCS(0), Attempts: 5, Backoff: 200 * time.Millisecond}
}
