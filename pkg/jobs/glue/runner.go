package glue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
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
	// Plan makes the document that tells the job what to do: the same for the same job,
	// but for the table's snapshot. It counts if it is put first.
	Plan func(context.Context, jobs.Job) ([]byte, error)
	// Address tells the job where an object of the staging bucket lies, such as
	// s3://<bucket>/<key>.
	Address func(key string) string
	Now     func() time.Time
	Logger  *slog.Logger
}

// Runner runs each job as a run of the Glue job that its table names. It may be
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
	return r.Follow(ctx, job, nobody{})
}

// nobody hears of runs.
type nobody struct{}

func (nobody) Alive(context.Context, uint64) error                   { return nil }
func (nobody) Started(context.Context, string, uint64, string) error { return nil }
func (nobody) Ended(context.Context, jobs.RunEnd) error              { return nil }

// Follow implements jobs.Remote. Past the deadline of the job it ends with
// context.DeadlineExceeded; a zero deadline is none.
func (r *Runner) Follow(ctx context.Context, job jobs.Job, watch jobs.Watch) (*blotterv1.StagedFile, error) {
	if !job.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, job.Deadline)
		defer cancel()
	}
	if job.Table.Job.Glue == "" {
		return nil, fmt.Errorf("run %s on Glue: the table names no job", job.Table.ID)
	}
	f := &follower{
		r: r, job: job, watch: watch, name: jobName(job.Table.Job.Glue), told: map[string]bool{},
		file: dms.FileID(job.File.GetFileId()), key: job.File.GetObject().GetKey(),
	}
	f.stage = transform.StagePrefix(job.Table.ID, f.file, job.Token)
	staged, err := f.follow(ctx)
	var failure *transform.Failure
	if errors.As(err, &failure) && failure.ObjectKey == "" {
		located := *failure
		located.ObjectKey = f.key
		return nil, &located
	}
	return staged, err
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

var _ jobs.Remote = (*Runner)(nil)
