package jobs

import (
	"context"
	"time"

	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Remote is a Runner whose runs have names of their own and go on when this
// process ends: whoever runs the job again finds what they left.
type Remote interface {
	Runner
	// Follow is Run, and tells watch of the runs. When ctx ends the run goes on.
	Follow(ctx context.Context, job Job, watch Watch) (*blotterv1.StagedFile, error)
}

// Stopper can end runs that go on without whoever started them.
type Stopper interface {
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
	// Files are those of the grant, in its order; none if the grant is not known.
	Files []*blotterv1.FileRef
	// Granted is when it was granted, by the log's clock: no run of it is older. Zero
	// if that is not known.
	Granted time.Time
}

// Watch hears of runs, of each once for every file that it takes. It may hear of one run
// more than once. What it cannot take it hears again with the next attempt.
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

// Nobody is a Watch that hears nothing, and lets every token live.
type Nobody struct{}

// Alive implements Watch.
func (Nobody) Alive(context.Context, uint64) error { return nil }

// Started implements Watch.
func (Nobody) Started(context.Context, string, uint64, string) error { return nil }

// Ended implements Watch.
func (Nobody) Ended(context.Context, RunEnd) error { return nil }

// RunEnd tells how a run ended, and what it cost for a file.
type RunEnd struct {
	FileID  string
	Token   uint64
	Run     string // the engine's name for it; empty if none could be started
	Attempt int    // from 1
	State   string // the engine's own word
	Code    string // a stable code of why; empty for a success
	// Times of the whole run by the engine's clock; zero if it tells none.
	Started, Completed time.Time
	Execution          time.Duration // for how long the run held its resources
	// DPUSeconds of Glue are the file's share: the sum over the files of a run is what
	// the run cost.
	DPUSeconds float64
}

// StateNotStarted is the state of a RunEnd that tells of no run.
const StateNotStarted = "NOT_STARTED"
