package localspark

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/jobs/rows"
	"github.com/openblotter/blotter/pkg/objects/local"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Name is where the jobs of this package run.
const Name = "spark"

// Session is the one Spark that Runners share. It may be used by many goroutines.
type Session struct {
	cfg    Config
	logger *slog.Logger
	slots  *semaphore.Weighted

	mu      sync.Mutex // held while a session starts
	current *session
	closed  bool
}

// NewSession checks the configuration; Spark starts with Start or the first job.
func NewSession(cfg Config, logger *slog.Logger) (*Session, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure the local Spark: %w", err)
	}
	return &Session{cfg: cfg, logger: logger, slots: semaphore.NewWeighted(int64(cfg.Jobs))}, nil
}

// Start starts Spark if it does not run, so that no job has to wait for it.
func (s *Session) Start(ctx context.Context) error {
	_, err := s.alive(ctx)
	return err
}

// Close ends Spark and fails what runs.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.current != nil {
		s.current.close()
	}
	return nil
}

// alive gives the session, or a new one in the place of one that died.
func (s *Session) alive(ctx context.Context) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("the local Spark is closed")
	}
	if s.current != nil && s.current.alive() {
		return s.current, nil
	}
	var err error
	s.current, err = start(ctx, s.cfg, s.logger)
	return s.current, err
}

// RunPlan runs the plan at an address, once there is room for it, as a run of the job
// would; what became of its files lies in its folder.
func (s *Session) RunPlan(ctx context.Context, uri, stage string) error {
	if err := s.slots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer s.slots.Release(1)
	session, err := s.alive(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", jobs.ErrMachine, err)
	}
	return session.run(ctx, uri, stage)
}

// Runner runs jobs between two folders on a shared Spark.
type Runner struct {
	session *Session
	staging *local.Bucket
	maker   plan.Maker
}

// New makes a runner between two local buckets; mended rows lie in a third one, and
// tables, which may be zero, is where position deletes are computed against.
func New(session *Session, raw, staging, failed *local.Bucket, tables plan.Tables) *Runner {
	return &Runner{session: session, staging: staging, maker: plan.Maker{
		Raw: rows.FolderPlace(raw), Staging: rows.FolderPlace(staging), Failed: rows.FolderPlace(failed), Tables: tables, Limits: session.cfg.Limits,
	}}
}

// Name gives "spark".
func (*Runner) Name() string { return Name }

// Run transforms one file; see RunBatch.
func (r *Runner) Run(ctx context.Context, job jobs.Job) (*blotterv1.StagedFile, error) {
	return jobs.RunOne(ctx, r, job)
}

// RunBatch transforms the files in one run of the session. Past the deadline of the batch
// it ends with context.DeadlineExceeded; a zero deadline is none.
func (r *Runner) RunBatch(ctx context.Context, b jobs.Batch, watch jobs.Watch) ([]jobs.Outcome, error) {
	if !b.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, b.Deadline)
		defer cancel()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, file := range b.Files {
		if err := watch.Started(ctx, file.GetFileId(), b.Token, Name); err != nil {
			return nil, err
		}
	}
	outcomes := make([]jobs.Outcome, len(b.Files))
	if all, err := jobs.Left(ctx, r.staging, b, outcomes); all || err != nil {
		return outcomes, err
	}
	p, err := r.maker.Against(ctx, jobs.PlanOf(r.maker, b))
	if err != nil {
		return outcomes, err
	}
	if err := plan.Put(ctx, r.staging, p); err != nil {
		return outcomes, err
	}
	ran := r.session.RunPlan(ctx, rows.FolderURI(r.staging, p.Key()), p.Stage)
	if ran != nil {
		ran = fmt.Errorf("run plan %s: %w", p.Stage, ran)
	}
	all, err := jobs.Left(ctx, r.staging, b, outcomes)
	if err == nil && ran == nil && !all {
		err = fmt.Errorf("run plan %s: it ended with neither manifest nor failure of some file", p.Stage)
	}
	return outcomes, errors.Join(ran, err)
}

var _ jobs.Batcher = (*Runner)(nil)
