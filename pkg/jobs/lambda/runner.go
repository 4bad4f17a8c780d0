package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/lambda/invocation"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Name is where the jobs of this package run.
const Name = "lambda"

// Deps are what a Runner works with; all are needed.
type Deps struct {
	API     API
	Staging objects.Bucket
	// Plan makes the document that tells the function what to do: the same for the
	// same job, see plan.Maker.
	Plan   func(jobs.Job) ([]byte, error)
	Now    func() time.Time
	Logger *slog.Logger
}

// Runner runs each job in the function that its table names. It may be used by
// many goroutines.
type Runner struct {
	cfg  Config
	deps Deps
}

// New makes a runner.
func New(cfg Config, deps Deps) (*Runner, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Runner{cfg: cfg, deps: deps}, nil
}

// Name gives "lambda".
func (*Runner) Name() string { return Name }

// Run implements jobs.Runner.
func (r *Runner) Run(ctx context.Context, job jobs.Job) (*blotterv1.StagedFile, error) {
	return r.Follow(ctx, job, jobs.Nobody{})
}

// Follow implements jobs.Remote. Past the deadline of the job it ends with
// context.DeadlineExceeded; a zero deadline is none.
func (r *Runner) Follow(ctx context.Context, job jobs.Job, watch jobs.Watch) (*blotterv1.StagedFile, error) {
	if !job.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, job.Deadline)
		defer cancel()
	}
	i := &invoker{r: r, job: job, watch: watch, function: job.Table.Job.Lambda, file: wire.FileOf(job.File), wait: r.cfg.StartMin}
	if i.function == "" {
		return nil, fmt.Errorf("run %s on Lambda: the table names no function", job.Table.ID)
	}
	payload, err := r.deps.Plan(job)
	if err != nil {
		return nil, fmt.Errorf("plan the transform of %s: %w", i.file.ID, err)
	}
	i.payload, i.sync = payload, r.cfg.synchronous(i.file.Object.Size, len(payload))
	return i.follow(ctx)
}

// invoker runs one transform.
type invoker struct {
	r        *Runner
	job      jobs.Job
	watch    jobs.Watch
	function string
	file     dms.File
	payload  []byte
	sync     bool

	attempt int           // the last invocation
	wait    time.Duration // before the next one
}

func (i *invoker) follow(ctx context.Context) (*blotterv1.StagedFile, error) {
	var last string // how the last invocation ended
	for {
		if staged, err := i.result(ctx); staged != nil || err != nil {
			return staged, err
		}
		if i.attempt >= i.r.cfg.Runs {
			return nil, i.failure(codeOf(last), fmt.Sprintf("none of %d invocations of %s came to a good end, the last ended %s", i.attempt, i.function, last),
				"the function's log says why; mend the cause, then resume with --retry")
		}
		if i.attempt > 0 {
			if err := i.backOff(ctx); err != nil {
				return nil, err
			}
		}
		if err := i.watch.Alive(ctx, i.job.Token); err != nil {
			return nil, err
		}
		i.attempt++
		if err := i.watch.Started(ctx, string(i.file.ID), i.job.Token, i.function); err != nil {
			return nil, err
		}
		staged, state, err := i.invoke(ctx)
		if staged != nil || err != nil {
			return staged, err
		}
		last = state
	}
}

// result looks for what an invocation has left; nil and no error if there is nothing.
func (i *invoker) result(ctx context.Context) (*blotterv1.StagedFile, error) {
	done, err := transform.FindStaged(ctx, i.r.deps.Staging, transform.Job{Table: i.job.Table, File: i.file, Token: i.job.Token})
	if err != nil {
		return nil, err
	}
	if done != nil {
		return done.Staged(), nil
	}
	failure, err := transform.ReadFailure(ctx, i.r.deps.Staging, i.job.Table.ID, i.file.ID, i.job.Token)
	if err != nil {
		return nil, err
	}
	if failure != nil {
		return nil, failure
	}
	return nil, nil
}

// invoke invokes the function once, as soon as there is room for it, and waits
// for its end: a result, a failure, or the state in which it ended without.
func (i *invoker) invoke(ctx context.Context) (*blotterv1.StagedFile, string, error) {
	in := &lambda.InvokeInput{
		FunctionName: aws.String(i.function), Payload: i.payload,
		InvocationType: types.InvocationTypeEvent,
	}
	if i.sync {
		in.InvocationType, in.LogType = types.InvocationTypeRequestResponse, types.LogTypeTail
	}
	for {
		began := i.r.deps.Now()
		call, cancel := context.WithTimeout(ctx, i.r.cfg.Limit+time.Minute)
		out, err := i.r.deps.API.Invoke(call, in, once)
		cancel()
		if err == nil {
			return i.answered(ctx, out, began)
		}
		what, code := classify(err)
		switch what {
		case noRoom:
			i.r.deps.Logger.InfoContext(ctx, "Lambda has no room for an invocation", "function", i.function, "code", code, "error", err)
			if err := i.noRoom(ctx, code); err != nil {
				return nil, "", err
			}
		case refused:
			return nil, "", i.failure(code, fmt.Sprintf("Lambda refuses to invoke %s: %s", i.function, saying(err)),
				"mend the function or the rights of this service, then resume with --retry")
		default:
			if ctx.Err() != nil {
				return nil, "", ctx.Err()
			}
			i.r.deps.Logger.WarnContext(ctx, "no answer of an invocation", "function", i.function, "error", err)
			return nil, stateNoAnswer, i.ended(ctx, jobs.RunEnd{State: stateNoAnswer, Code: code, Started: began})
		}
	}
}

// answered reads what Lambda answers to an invocation.
func (i *invoker) answered(ctx context.Context, out *lambda.InvokeOutput, began time.Time) (*blotterv1.StagedFile, string, error) {
	run, _ := middleware.GetRequestIDMetadata(out.ResultMetadata)
	if !i.sync {
		return i.await(ctx, run, began)
	}
	log := logOf(out)
	end := jobs.RunEnd{Run: run, State: stateSucceeded, Started: began, Completed: i.r.deps.Now(), Execution: reportOf(log).billed}
	if out.FunctionError != nil {
		end.State = stateOf(out.Payload, log)
		end.Code = codeOf(end.State)
	}
	if err := i.ended(ctx, end); err != nil {
		return nil, "", err
	}
	switch end.State {
	case stateTimeout:
		return nil, "", invocation.Timeout(i.file.Object.Key)
	case stateOutOfMemory:
		return nil, "", i.failure(wire.FailureOutOfMemory, fmt.Sprintf("the memory of %s did not suffice", i.function),
			"give the function more memory, or set the table's flag to G; then resume with --retry")
	case stateFailed:
		return nil, end.State, nil
	}
	var answer invocation.Answer
	if err := json.Unmarshal(out.Payload, &answer); err != nil || answer.Stage != transform.StagePrefix(i.job.Table.ID, i.file.ID, i.job.Token) {
		return nil, "", i.failure("lambda.refused", fmt.Sprintf("%s does not answer as Blotter's function does", i.function),
			"name Blotter's function in the registration, then resume with --retry")
	}
	// What lies there is what counts, and the manifest's hash is taken here.
	staged, err := i.result(ctx)
	return staged, stateNoOutput, err
}

// await looks for the result of an asynchronous invocation, as long as there may be one.
func (i *invoker) await(ctx context.Context, run string, began time.Time) (*blotterv1.StagedFile, string, error) {
	until := began.Add(i.r.cfg.QueueLimit + i.r.cfg.Limit)
	wait := i.r.cfg.PollMin
	for i.r.deps.Now().Before(until) {
		if err := pause(ctx, jitter(wait)); err != nil {
			return nil, "", err
		}
		wait = min(wait*3/2, i.r.cfg.PollMax)
		staged, err := i.result(ctx)
		var failure *transform.Failure
		if staged == nil && (err == nil || !errors.As(err, &failure)) {
			if err != nil {
				return nil, "", err
			}
			continue
		}
		end := jobs.RunEnd{Run: run, State: stateSucceeded, Started: began, Completed: i.r.deps.Now()}
		if failure != nil && failure.Code == wire.FailureTimeout {
			end.State, end.Code = stateTimeout, failure.Code
		}
		if err := i.ended(ctx, end); err != nil {
			return nil, "", err
		}
		return staged, "", err
	}
	return nil, stateNoAnswer, i.ended(ctx, jobs.RunEnd{Run: run, State: stateNoAnswer, Code: "lambda.no_answer", Started: began})
}

// ended tells of the end of the last invocation.
func (i *invoker) ended(ctx context.Context, end jobs.RunEnd) error {
	end.FileID, end.Token, end.Attempt = string(i.file.ID), i.job.Token, i.attempt
	return i.watch.Ended(ctx, end)
}

// useful is the least time before the deadline at which an invocation is tried.
const useful = time.Second

// noRoom waits for the next try; where the deadline leaves none, it is told that
// nothing was started.
func (i *invoker) noRoom(ctx context.Context, code string) error {
	deadline, ok := ctx.Deadline()
	if !ok || i.r.deps.Now().Add(i.wait+useful).Before(deadline) {
		return i.backOff(ctx)
	}
	if err := i.ended(ctx, jobs.RunEnd{State: jobs.StateNotStarted, Code: code}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// backOff waits before another invocation, each time longer.
func (i *invoker) backOff(ctx context.Context) error {
	wait := i.wait
	i.wait = min(i.wait*2, i.r.cfg.StartMax)
	return pause(ctx, jitter(wait))
}

func (i *invoker) failure(code, message, hint string) *transform.Failure {
	return &transform.Failure{Code: code, ObjectKey: i.file.Object.Key, Message: message, Hint: hint}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// jitter spreads the pauses of many jobs.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

var _ jobs.Remote = (*Runner)(nil)
