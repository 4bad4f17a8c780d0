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
	// Stop ends all runs of a fenced grant that are under way and tells watch how they
	// ended, and those that had ended before; none is no error. It is called when the
	// fence stands in the log, so that whoever asks Watch.Alive from then on starts
	// none; a start that was on its way is waited for. A run that is missed all the
	// same ends at its own deadline, and the lake refuses its token.
	Stop(ctx context.Context, grant FencedGrant, watch Watch) error
}

// FencedGrant is the work that a fence ends.
type FencedGrant struct {
	Table registry.Table // as of the grant, which names the job
	Token uint64
	// Files are the ids of the grant's files; none if the grant is not known.
	Files []string
	// Granted is when it was granted, by the log's clock: no run of it is older. Zero
	// if that is not known.
	Granted time.Time
}

// Watch hears of the runs of a Remote. It may hear of one run more than once.
// What it cannot take it hears again with the next attempt.
type Watch interface {
	// Alive is asked before each start of a run, and before a start is promised: what
	// it fails with ends the work, for a fence may come to another process than the one
	// that waits for room.
	Alive(ctx context.Context, token uint64) error
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
