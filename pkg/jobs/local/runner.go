package local

import (
	"context"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Name is where the jobs of this package run.
const Name = "local"

// Runner runs each job on the goroutine that asks for it. It may be used by
// many goroutines; each job takes the memory that the configuration allows.
type Runner struct {
	deps transform.Deps
	cfg  transform.Config
}

// New makes a runner between two buckets; mended files lie in the failed one. A
// configuration that is not valid fails every job.
func New(raw, staging, failed objects.Bucket, cfg transform.Config) *Runner {
	return &Runner{deps: transform.Deps{Raw: raw, Staging: staging, Failed: failed}, cfg: cfg}
}

// Name gives "local".
func (*Runner) Name() string { return Name }

// Run transforms the file. Past the deadline of the job it ends with
// context.DeadlineExceeded; a zero deadline is none.
func (r *Runner) Run(ctx context.Context, job jobs.Job) (*blotterv1.StagedFile, error) {
	if !job.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, job.Deadline)
		defer cancel()
	}
	result, err := transform.Run(ctx, r.cfg, r.deps, transform.Job{
		Table: job.Table, File: wire.FileOf(job.File), Token: job.Token,
	})
	if err != nil {
		return nil, err
	}
	return result.Staged(), nil
}

var _ jobs.Runner = (*Runner)(nil)
