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
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/telemetry"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// DispatchConfig bounds what a Dispatcher does.
type DispatchConfig struct {
	Parallel int           // runs at once, over all tables; a Batcher's takes the files of a grant
	Attempts uint          // tries of one run before a passing fault counts as its files'
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
// once for file and token; and of runs that have names of their own TransformRunEnded,
// once each for every file and never before a TransformStarted. A Batcher gets all files
// of a grant together, any other Runner one by one.
type Dispatcher struct {
	Config  DispatchConfig
	Service string
	Runner  Runner
	Log     Publisher
	Specs   Specs
	Now     func() time.Time
	Logger  *slog.Logger
	// Fenced reports whether the log, behind the grant r, has a fence for its
	// token, which another replica may have heard. nil: what Fence was told is all.
	Fenced func(ctx context.Context, r eventlog.Record, token uint64) (bool, error)
	// Engine is that of the grants which a Stopper works on: no run is looked for where
	// a fence names another.
	Engine blotterv1.Engine
	// Granted gives the grant of a token that the log holds before its fence, the zero
	// Record if there is none. Its files are those whose runs a fence stops, and what was
	// said of them is looked for from there on; nil: runs are known by their token alone,
	// and all of the table's log is looked through.
	Granted func(ctx context.Context, fence eventlog.Record, token uint64) (eventlog.Record, error)

	slots  *semaphore.Weighted
	grants *grants
}

// NewDispatcher checks and completes d.
func NewDispatcher(d Dispatcher) (*Dispatcher, error) {
	if d.Config.Parallel < 1 || d.Config.Attempts < 1 || d.Config.Backoff <= 0 {
		return nil, errors.New("dispatcher configuration: Parallel, Attempts and Backoff must be greater than zero")
	}
	d.slots, d.grants = semaphore.NewWeighted(int64(d.Config.Parallel)), newGrants()
	return &d, nil
}

// Grant runs every file of a grant; it returns when all have been told of, or
// with the first error that may pass. A grant that is fenced, or past its
// deadline, is left alone: nothing more is said of it.
func (d *Dispatcher) Grant(ctx context.Context, r eventlog.Record, grant *blotterv1.LockGranted) error {
	spec, err := d.Specs.Spec(ctx, r.Table, grant.GetSpecVersion())
	if err != nil {
		return err
	}
	alive, end, ok := d.grants.begin(ctx, tokenKey{r.Table, grant.GetToken()})
	defer end()
	if !ok {
		return nil
	}
	if fenced, err := d.fenced(ctx, r, grant.GetToken()); fenced || err != nil {
		return err
	}
	bounded, cancel := context.WithDeadline(alive, grant.GetDeadline().AsTime())
	defer cancel()
	b := Batch{Table: spec, Files: grant.GetFiles(), Token: grant.GetToken(), Deadline: grant.GetDeadline().AsTime()}
	if batcher, ok := d.Runner.(Batcher); ok {
		err = d.batch(bounded, r, batcher, b)
	} else {
		err = d.each(bounded, r, b)
	}
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case errors.Is(err, errFenced), errors.Is(context.Cause(alive), errFenced):
		d.Logger.InfoContext(ctx, "transform given up, its grant is fenced", "table", r.Table.String(), "token", grant.GetToken())
		return nil
	case bounded.Err() != nil:
		d.Logger.WarnContext(ctx, "transform ran past its deadline", "table", r.Table.String(), "token", grant.GetToken())
		return nil
	}
	return err
}

// each runs every file by itself.
func (d *Dispatcher) each(ctx context.Context, r eventlog.Record, b Batch) error {
	group, run := errgroup.WithContext(ctx)
	for _, file := range b.Files {
		group.Go(func() error {
			if err := d.slots.Acquire(run, 1); err != nil {
				return err
			}
			defer d.slots.Release(1)
			return d.file(run, r, Job{Table: b.Table, File: file, Token: b.Token, Deadline: b.Deadline})
		})
	}
	return group.Wait()
}

// Fence ends the work on a grant whose token is dead, and the runs of it
// that go on without this process, where they can be. A run that cannot be stopped is left to end
// by itself: the lake refuses what it stages.
func (d *Dispatcher) Fence(ctx context.Context, r eventlog.Record, fence *blotterv1.FenceRequested) error {
	if err := d.grants.fence(ctx, tokenKey{r.Table, fence.GetToken()}); err != nil {
		return err
	}
	stopper, ok := d.Runner.(Stopper)
	if !ok {
		return nil
	}
	version := fence.GetGrant().GetSpecVersion() // 0, if an older version said it: the newest
	if fence.GetGrant() != nil && fence.GetGrant().GetEngine() != d.Engine {
		return nil
	}
	grant, err := d.granted(ctx, r, fence.GetToken())
	if err != nil {
		return err
	}
	fenced := FencedGrant{Token: fence.GetToken()}
	if at := fence.GetGrant().GetGranted(); at != nil {
		fenced.Granted = at.AsTime()
	}
	if e, ok := grant.Event.(*blotterv1.LockGranted); ok {
		version, fenced.Files, fenced.Granted = e.GetSpecVersion(), e.GetFiles(), grant.Envelope.GetTime().AsTime()
	}
	if fenced.Table, err = d.Specs.Spec(ctx, r.Table, version); err != nil {
		return err
	}
	// What is said answers the fence, but the log may hold it since the grant.
	behind := r
	behind.Seq = grant.Seq
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		return struct{}{}, stopper.Stop(ctx, fenced, stopWatcher{watcher{d, behind}})
	}, backoff.WithBackOff(d.policy()), backoff.WithMaxTries(d.Config.Attempts))
	if err != nil && ctx.Err() == nil {
		d.Logger.ErrorContext(ctx, "a run of a fenced grant was not stopped, it ends at its own deadline",
			"table", r.Table.String(), "token", fence.GetToken(), "error", err)
	}
	return ctx.Err()
}

func (d *Dispatcher) granted(ctx context.Context, fence eventlog.Record, token uint64) (eventlog.Record, error) {
	if d.Granted == nil {
		return eventlog.Record{}, nil
	}
	return d.Granted(ctx, fence, token)
}

func (d *Dispatcher) fenced(ctx context.Context, r eventlog.Record, token uint64) (bool, error) {
	if d.Fenced == nil {
		return false, nil
	}
	return d.Fenced(ctx, r, token)
}

func (d *Dispatcher) file(ctx context.Context, r eventlog.Record, job Job) (err error) {
	ctx, end := telemetry.Start(telemetry.FileContext(ctx, job.File.GetFileId()), d.Service+" transform")
	defer func() { end(err) }()
	if _, remote := d.Runner.(Remote); !remote {
		if err := d.started(ctx, r, job.File.GetFileId(), job.Token, d.Runner.Name()); err != nil {
			return err
		}
	}
	staged, err := d.run(ctx, r, job)
	var failure *transform.Failure
	if err != nil && !errors.As(err, &failure) {
		return err
	}
	return d.sayOutcome(ctx, r, job.File.GetFileId(), job.Token, Outcome{Staged: staged, Failure: failure})
}

func (d *Dispatcher) started(ctx context.Context, r eventlog.Record, file string, token uint64, run string) error {
	return d.say(ctx, r, file, token, "started", &blotterv1.TransformStarted{FileId: file, Token: token, Run: run})
}

// run tries a job until it ends.
func (d *Dispatcher) run(ctx context.Context, r eventlog.Record, job Job) (staged *blotterv1.StagedFile, err error) {
	err = d.try(ctx, job.Table.ID, job.Token, func() (err error) {
		staged, err = d.once(ctx, r, job)
		return err
	}, "file", job.File.GetFileId())
	if errors.Is(err, errSpent) {
		err = d.unavailable(job.File.GetObject().GetKey())
	}
	if err != nil {
		return nil, err
	}
	return staged, nil
}

// errSpent: the attempts are used up.
var errSpent = errors.New("the transform did not succeed")

// try does once until it has no error that may pass, a bounded number of times; then it
// is told as the file's, so that its table pauses and an operator looks (errSpent). A
// fault of a machine is not: the grant comes again, until its deadline.
func (d *Dispatcher) try(ctx context.Context, table dms.TableID, token uint64, once func() error, about ...any) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := once()
		var failure *transform.Failure
		if errors.As(err, &failure) || errors.Is(err, errFenced) {
			return struct{}{}, backoff.Permanent(err)
		}
		if err != nil && ctx.Err() == nil {
			d.Logger.With(about...).WarnContext(ctx, "transform attempt", "table", table.String(), "token", token, "error", err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(d.policy()), backoff.WithMaxTries(d.Config.Attempts))
	if err == nil || ctx.Err() != nil || errors.Is(err, errFenced) || errors.Is(err, ErrMachine) {
		return errors.Join(err, ctx.Err())
	}
	var failure *transform.Failure
	if errors.As(err, &failure) {
		return failure
	}
	return errSpent
}

// unavailable is the failure of what did not succeed in all attempts.
func (d *Dispatcher) unavailable(key string) *transform.Failure {
	return &transform.Failure{
		Code: "transform.unavailable", ObjectKey: key,
		Message: fmt.Sprintf("the transform did not succeed in %d attempts; the service's own log says why", d.Config.Attempts),
		Hint:    "mend the cause, then resume with --retry",
	}
}

func (d *Dispatcher) once(ctx context.Context, r eventlog.Record, job Job) (*blotterv1.StagedFile, error) {
	if remote, ok := d.Runner.(Remote); ok {
		return remote.Follow(ctx, job, watcher{d, r})
	}
	return d.Runner.Run(ctx, job)
}

func (d *Dispatcher) policy() *backoff.ExponentialBackOff {
	policy := backoff.NewExponentialBackOff()
	policy.InitialInterval = d.Config.Backoff
	return policy
}

// watcher says what it hears of runs; r is the event that they answer.
type watcher struct {
	d *Dispatcher
	r eventlog.Record
}

// Alive implements Watch.
func (w watcher) Alive(ctx context.Context, token uint64) error {
	fenced, err := w.d.fenced(ctx, w.r, token)
	if err == nil && fenced {
		return errFenced
	}
	return err
}

// Started implements Watch.
func (w watcher) Started(ctx context.Context, file string, token uint64, run string) error {
	return w.d.started(ctx, w.r, file, token, run)
}

// Ended implements Watch.
func (w watcher) Ended(ctx context.Context, end RunEnd) error { return w.d.ended(ctx, w.r, end) }

// stopWatcher says what it hears of runs that a fence stops, as answers to r. Whoever
// started one may have been stopped, or have died, before he said so: its start is told
// with its end.
type stopWatcher struct{ watcher }

// Ended implements Watch.
func (w stopWatcher) Ended(ctx context.Context, end RunEnd) error {
	if end.Run != "" {
		if err := w.d.started(ctx, w.r, end.FileID, end.Token, end.Run); err != nil {
			return err
		}
	}
	return w.d.ended(ctx, w.r, end)
}

// ended says how a run ended.
func (d *Dispatcher) ended(ctx context.Context, r eventlog.Record, end RunEnd) error {
	event := &blotterv1.TransformRunEnded{
		FileId: end.FileID, Token: end.Token, Run: end.Run, Attempt: uint32(end.Attempt), State: end.State, Code: end.Code,
		ExecutionSeconds: end.Execution.Seconds(), DpuSeconds: end.DPUSeconds,
	}
	if !end.Started.IsZero() {
		event.Started = timestamppb.New(end.Started)
	}
	if !end.Completed.IsZero() {
		event.Completed = timestamppb.New(end.Completed)
	}
	return d.say(ctx, r, end.FileID, end.Token, "run-ended", event, strconv.Itoa(end.Attempt), end.Run)
}

// say publishes an event that is named by file, token and what else there is.
func (d *Dispatcher) say(
	ctx context.Context, r eventlog.Record, file string, token uint64, what string, event proto.Message, more ...string,
) error {
	parts := append([]string{file, strconv.FormatUint(token, 10)}, more...)
	_, err := d.Log.PublishOnce(ctx, eventlog.Event{
		Table: r.Table, Service: d.Service, ID: eventlog.ID(d.Service, r.Table, what, parts...),
		Cause: r.Envelope.GetId(), Correlation: file, Actor: d.Service,
		Time: d.Now(), Message: event, After: r.Seq,
	})
	return err
}
