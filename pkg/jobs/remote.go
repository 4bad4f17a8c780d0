package jobs

import (
	"context"
	"time"

	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Remote is a Runner whose runs have names of their own and go on when this
// process ends: whoever runs the job again finds them.
type Remote interface {
	Runner
	// Follow is Run, and tells watch of the runs. When ctx ends the run goes on.
	Follow(ctx context.Context, job Job, watch Watch) (*blotterv1.StagedFile, error)
	// Stop ends all runs of a token that are under way and tells watch how they
	// ended, and those that had ended before; none is no error. A run that begins at the same moment may be missed:
	// it ends at its own deadline, and the lake refuses its token.
	Stop(ctx context.Context, table registry.Table, token uint64, watch Watch) error
}

// Watch hears of the runs of a Remote. It may hear of one run more than once.
// What it cannot take it hears again with the next attempt.
type Watch interface {
	// Started: a run for a file and token is known.
	Started(ctx context.Context, file string, token uint64, run string) error
	// Ended: a run is over, or none could be started in time.
	Ended(ctx context.Context, end RunEnd) error
}

// RunEnd tells how a run of a file ended and what it cost.
type RunEnd struct {
	FileID  string
	Token   uint64
	Run     string // the engine's name for it; empty if none could be started
	Attempt int    // from 1
	State   string // the engine's own word
	Code    string // a stable code of why; empty for a success
	// Times by the engine's clock; zero if it tells none.
	Started, Completed time.Time
	Execution          time.Duration // for how long it held its resources
	DPUSeconds         float64       // of Glue
}

// StateNotStarted is the state of a RunEnd that tells of no run.
const StateNotStarted = "NOT_STARTED"
