package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/telemetry"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// DispatchConfig bounds what a Dispatcher does.
type DispatchConfig struct {
	Parallel int           // transforms at once, over all tables
	Attempts uint          // tries of one file before a passing fault counts as the file's
	Backoff  time.Duration // before the second try; it doubles
}

// Publisher is what a Dispatcher needs of the event log.
type Publisher interface {
	PublishOnce(ctx context.Context, e eventlog.Event) (uint64, error)
}

// Specs gives registrations by version.
type Specs interface {
	Spec(ctx context.Context, table dms.TableID, version uint64) (registry.Table, error)
}

// Dispatcher runs the transforms of a grant and says how they went, in the name
// of one service: TransformStarted, then FileTransformed or TransformFailed, each
// once for file and token.
type Dispatcher struct {
	Config  DispatchConfig
	Service string
	Runner  Runner
	Log     Publisher
	Specs   Specs
	Now     func() time.Time
	Logger  *slog.Logger

	slots *semaphore.Weighted
}

// NewDispatcher checks and completes d.
func NewDispatcher(d Dispatcher) (*Dispatcher, error) {
	if d.Config.Parallel < 1 || d.Config.Attempts < 1 || d.Config.Backoff <= 0 {
		return nil, errors.New("dispatcher configuration: Parallel, Attempts and Backoff must be greater than zero")
	}
	d.slots = semaphore.NewWeighted(int64(d.Config.Parallel))
	return &d, nil
}

// Grant runs every file of a grant; it returns when all have been told of, or
// with the first error that may pass. A grant past its deadline is left alone:
// lock-manager fences it.
func (d *Dispatcher) Grant(ctx context.Context, r eventlog.Record, grant *blotterv1.LockGranted) error {
	spec, err := d.Specs.Spec(ctx, r.Table, grant.GetSpecVersion())
	if err != nil {
		return err
	}
	bounded, cancel := context.WithDeadline(ctx, grant.GetDeadline().AsTime())
	defer cancel()
	group, run := errgroup.WithContext(bounded)
	for _, file := range grant.GetFiles() {
		group.Go(func() error {
			if err := d.slots.Acquire(run, 1); err != nil {
				return err
			}
			defer d.slots.Release(1)
			return d.file(run, r, Job{
				Table: spec, File: file, Token: grant.GetToken(), Deadline: grant.GetDeadline().AsTime(),
			})
		})
	}
	err = group.Wait()
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		d.Logger.WarnContext(ctx, "transform ran past its deadline", "table", r.Table.String(), "token", grant.GetToken())
		return nil
	}
	return err
}

func (d *Dispatcher) file(ctx context.Context, r eventlog.Record, job Job) (err error) {
	ctx, end := telemetry.Start(telemetry.FileContext(ctx, job.File.GetFileId()), d.Service+" transform")
	defer func() { end(err) }()
	err = d.say(ctx, r, job, "started", &blotterv1.TransformStarted{
		FileId: job.File.GetFileId(), Token: job.Token, Run: d.Runner.Name(),
	})
	if err != nil {
		return err
	}
	staged, err := d.run(ctx, job)
	var failure *transform.Failure
	switch {
	case err == nil:
		return d.say(ctx, r, job, "transformed", &blotterv1.FileTransformed{Staged: staged})
	case errors.As(err, &failure):
		return d.say(ctx, r, job, "failed", &blotterv1.TransformFailed{
			FileId: job.File.GetFileId(), Token: job.Token, Failure: failure.Proto(),
		})
	}
	return err
}

// run tries a job until it ends, bounded; a fault that does not pass is told as
// the file's, so that its table pauses and an operator looks.
func (d *Dispatcher) run(ctx context.Context, job Job) (*blotterv1.StagedFile, error) {
	policy := backoff.NewExponentialBackOff()
	policy.InitialInterval = d.Config.Backoff
	staged, err := backoff.Retry(ctx, func() (*blotterv1.StagedFile, error) {
		staged, err := d.Runner.Run(ctx, job)
		var failure *transform.Failure
		if errors.As(err, &failure) {
			return nil, backoff.Permanent(err)
		}
		if err != nil {
			d.Logger.WarnContext(ctx, "transform attempt", "table", job.Table.ID.String(),
				"file", job.File.GetFileId(), "token", job.Token, "error", err)
		}
		return staged, err
	}, backoff.WithBackOff(policy), backoff.WithMaxTries(d.Config.Attempts))
	if err == nil || ctx.Err() != nil {
		return staged, errors.Join(err, ctx.Err())
	}
	var failure *transform.Failure
	if errors.As(err, &failure) {
		return nil, failure
	}
	return nil, &transform.Failure{
		Code: "transform.unavailable", ObjectKey: job.File.GetObject().GetKey(),
		Message: fmt.Sprintf("the transform did not succeed in %d attempts; the service's own log says why", d.Config.Attempts),
		Hint:    "mend the cause, then resume with --retry",
	}
}

func (d *Dispatcher) say(ctx context.Context, r eventlog.Record, job Job, what string, event proto.Message) error {
	_, err := d.Log.PublishOnce(ctx, eventlog.Event{
		Table: job.Table.ID, Service: d.Service,
		ID:    eventlog.ID(d.Service, job.Table.ID, what, job.File.GetFileId(), strconv.FormatUint(job.Token, 10)),
		Cause: r.Envelope.GetId(), Correlation: job.File.GetFileId(), Actor: d.Service,
		Time: d.Now(), Message: event, After: r.Seq,
	})
	return err
}
