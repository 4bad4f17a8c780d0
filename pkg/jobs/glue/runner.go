package glue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Name is where the jobs of this package run.
const Name = "glue"

// Deps are what a Runner works with; all are needed.
type Deps struct {
	API     API
	Staging objects.Bucket
	// Plan makes the document that tells the job what to do: the same for the same batch,
	// but for the table's snapshot. It counts if it is put first.
	Plan func(context.Context, jobs.Batch) ([]byte, error)
	// Address tells the job where an object of the staging bucket lies, such as
	// s3://<bucket>/<key>.
	Address func(key string) string
	Now     func() time.Time
	Logger  *slog.Logger
}

// Runner runs each batch as a run of the Glue job that its table names. It may be
// used by many goroutines.
type Runner struct {
	cfg   Config
	deps  Deps
	wakes wakes
}

// New makes a runner.
func New(cfg Config, deps Deps) (*Runner, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Runner{cfg: cfg, deps: deps}, nil
}

// Name gives "glue".
func (*Runner) Name() string { return Name }

// Wake tells that a run may have changed, so that whoever follows it here looks at it
// now. It does not block.
func (r *Runner) Wake(run string) { r.wakes.wake(run) }

// Run implements jobs.Runner.
func (r *Runner) Run(ctx context.Context, job jobs.Job) (*blotterv1.StagedFile, error) {
	return jobs.RunOne(ctx, r, job)
}

// RunBatch implements jobs.Batcher. Past the deadline of the batch it ends with
// context.DeadlineExceeded; a zero deadline is none. When ctx ends the run goes on, and
// whoever runs the batch again finds it.
func (r *Runner) RunBatch(ctx context.Context, b jobs.Batch, watch jobs.Watch) ([]jobs.Outcome, error) {
	if !b.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, b.Deadline)
		defer cancel()
	}
	if b.Table.Job.Glue == "" {
		return nil, fmt.Errorf("run %s on Glue: the table names no job", b.Table.ID)
	}
	f := &follower{
		r: r, batch: b, watch: watch, name: jobName(b.Table.Job.Glue), stage: b.Stage(),
		told: map[string]bool{}, outcomes: make([]jobs.Outcome, len(b.Files)),
	}
	err := f.follow(ctx)
	var failure *transform.Failure
	if errors.As(err, &failure) {
		err = f.fail(ctx, failure)
	}
	return f.outcomes, err
}

// pause waits, or until there is news, or ctx ends.
func pause(ctx context.Context, d time.Duration, news <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-news:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

var (
	_ jobs.Batcher = (*Runner)(nil)
	_ jobs.Stopper = (*Runner)(nil)
)
