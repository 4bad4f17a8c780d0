package glue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/transform"
)

// follower follows the transform of one batch.
type follower struct {
	r     *Runner
	batch jobs.Batch
	watch jobs.Watch
	name  string // of the Glue job
	stage string // the identity

	facts
	outcomes []jobs.Outcome // what is known of each file
	since    time.Time      // of the first announcement, by the bucket's clock
	asked    time.Time      // no run that others have announced was started later, as far as is known
	told     map[string]bool
	wait     time.Duration // before the next start
	full     string        // why Glue last had no room for the announced run; empty: it has not said so
}

// follow does what next decides until there is an end. If that is the deadline while
// Glue had no room, it is told that no run was started, and why.
func (f *follower) follow(ctx context.Context) error {
	err := f.untilEnd(ctx)
	if f.full == "" || !errors.Is(err, context.DeadlineExceeded) || ctx.Err() == nil {
		return err
	}
	for _, file := range f.batch.Files {
		err = errors.Join(err, f.watch.Ended(context.WithoutCancel(ctx), jobs.RunEnd{
			FileID: file.GetFileId(), Token: f.batch.Token, Attempt: f.announced, State: jobs.StateNotStarted, Code: f.full,
		}))
	}
	return err
}

func (f *follower) untilEnd(ctx context.Context) error {
	n, first, err := f.r.lastAnnounced(ctx, f.stage)
	if err != nil {
		return err
	}
	f.announced, f.since, f.asked, f.wait = n, first, f.r.deps.Now(), f.r.cfg.StartMin
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		step, failure := next(f.r.cfg, f.name, f.facts)
		switch step {
		case stepTake:
			return nil
		case stepFail:
			return failure
		}
		if err := f.do(ctx, step); err != nil {
			return err
		}
	}
}

func (f *follower) do(ctx context.Context, s step) error {
	switch s {
	case stepStart:
		return f.start(ctx)
	case stepLook:
		return f.look(ctx)
	case stepLookLate:
		if err := pause(ctx, max(f.asked.Add(f.r.cfg.Settle).Sub(f.r.deps.Now()), 0), nil); err != nil {
			return err
		}
		return f.look(ctx)
	case stepFollow:
		return f.await(ctx)
	case stepRead:
		return f.readStaging(ctx)
	case stepAnnounce:
		return f.next(ctx)
	}
	return fmt.Errorf("run %s on Glue: no step %d", f.stage, s)
}

// look learns all runs of the identity.
func (f *follower) look(ctx context.Context) error {
	settled := !f.r.deps.Now().Before(f.asked.Add(f.r.cfg.Settle))
	runs, err := f.r.find(ctx, f.name, func(stage string) bool { return stage == f.stage }, f.since)
	if err != nil {
		return err
	}
	f.runs, f.looked, f.settled = runs, true, settled
	for _, r := range runs {
		if err := f.started(ctx, r); err != nil {
			return err
		}
	}
	return f.tell(ctx)
}

// started tells of a run, for each file of the batch.
func (f *follower) started(ctx context.Context, r run) error {
	for _, file := range f.batch.Files {
		if err := f.watch.Started(ctx, file.GetFileId(), f.batch.Token, r.id); err != nil {
			return err
		}
	}
	return nil
}

// tell tells of every run that has ended.
func (f *follower) tell(ctx context.Context) error {
	_, ended := split(f.runs)
	for _, r := range ended {
		if f.told[r.id] {
			continue
		}
		for _, end := range r.ends(f.batch.Files, f.batch.Token) {
			if err := f.watch.Ended(ctx, end); err != nil {
				return err
			}
		}
		f.told[r.id], f.read = true, false
	}
	return nil
}

// await follows the oldest run that is alive to its end. One that vanishes is
// looked for, as if its start had been lost.
func (f *follower) await(ctx context.Context) error {
	at := slices.IndexFunc(f.runs, run.alive)
	ended, err := f.r.await(ctx, f.name, f.runs[at])
	if err != nil {
		return err
	}
	if ended.alive() {
		f.r.deps.Logger.WarnContext(ctx, "Glue no longer knows a run", "job", f.name, "run", ended.id)
		f.looked, f.read, f.asked = false, false, f.r.deps.Now()
		return nil
	}
	f.runs[at] = ended
	return f.tell(ctx)
}

func (f *follower) readStaging(ctx context.Context) error {
	all, err := jobs.Left(ctx, f.r.deps.Staging, f.batch, f.outcomes)
	if err != nil {
		return err
	}
	f.read, f.done = true, all
	return nil
}

// fail gives the files that have not ended the failure of their run. It looks once more
// which these are: another's run may have ended some.
func (f *follower) fail(ctx context.Context, failure *transform.Failure) error {
	if err := f.readStaging(ctx); err != nil {
		return err
	}
	jobs.Fail(f.batch, f.outcomes, failure)
	return nil
}

// next announces the next run: after a bad end, behind a pause and one more look,
// since Glue may have begun another run by itself.
func (f *follower) next(ctx context.Context) error {
	if len(f.runs) > 0 {
		if err := f.backOff(ctx); err != nil {
			return err
		}
		if err := f.look(ctx); err != nil {
			return err
		}
		if slices.ContainsFunc(f.runs, run.alive) || !f.read {
			return nil
		}
	}
	if f.announced == 0 {
		if err := f.plan(ctx); err != nil {
			return err
		}
		f.since = f.r.deps.Now()
	}
	if err := f.watch.Alive(ctx, f.batch.Token); err != nil {
		return err
	}
	n := f.announced + 1
	mine, err := f.announce(ctx, n)
	if err != nil {
		return err
	}
	f.announced, f.mine, f.looked, f.settled, f.asked = n, mine, false, false, f.r.deps.Now()
	return nil
}

// backOff waits before another start, each time longer.
func (f *follower) backOff(ctx context.Context) error {
	wait := f.wait
	f.wait = min(f.wait*2, f.r.cfg.StartMax)
	return pause(ctx, jitter(wait), nil)
}

// start starts the run that was announced here, once; while Glue has no room the
// start is tried again. Each time it is asked whether the token still lives: it may
// have been fenced since, and whoever stops its runs counts on that.
func (f *follower) start(ctx context.Context) error {
	if err := f.watch.Alive(ctx, f.batch.Token); err != nil {
		return err
	}
	started := f.r.deps.Now()
	// What is begun is brought to its answer, whatever ends in the meantime.
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.r.cfg.Call)
	defer cancel()
	out, err := f.r.deps.API.StartJobRun(call, f.input(), once)
	f.full = ""
	if err == nil {
		one := run{id: aws.ToString(out.JobRunId), stage: f.stage, attempt: f.announced,
			state: types.JobRunStateStarting, started: started}
		f.runs, f.mine, f.looked, f.settled = append(f.runs, one), false, true, true
		return f.started(ctx, one)
	}
	what, code := classify(err)
	switch what {
	case noRoom:
		f.r.deps.Logger.InfoContext(ctx, "Glue has no room for a run", "job", f.name, "code", code, "error", err)
		return f.noRoom(ctx, code)
	case refused:
		return &transform.Failure{Code: code, Message: fmt.Sprintf("Glue refuses to start job %s: %s", f.name, saying(err)),
			Hint: "mend the job or the rights of this service, then resume with --retry"}
	}
	f.r.deps.Logger.WarnContext(ctx, "no answer to the start of a run; looking whether it was started", "job", f.name, "error", err)
	f.mine, f.looked, f.settled, f.asked = false, false, false, f.r.deps.Now()
	return nil
}

// noRoom waits for the next try. In the meantime another may have announced a run
// of his own, which is then the one to look for.
func (f *follower) noRoom(ctx context.Context, code string) error {
	f.full = code
	if err := f.backOff(ctx); err != nil {
		return err
	}
	n, _, err := f.r.lastAnnounced(ctx, f.stage)
	if err != nil {
		return err
	}
	if n > f.announced {
		f.announced, f.mine, f.looked, f.settled, f.asked, f.full = n, false, false, false, f.r.deps.Now(), ""
	}
	return nil
}

// input is the call that starts the announced run. Its timeout, in whole minutes,
// is the grant's: nothing of a run is of use to anybody later.
func (f *follower) input() *glue.StartJobRunInput {
	in := &glue.StartJobRunInput{
		JobName: aws.String(f.name),
		Arguments: map[string]string{
			argStage:   f.stage,
			argPlan:    f.r.deps.Address(f.stage + planName),
			argAttempt: strconv.Itoa(f.announced),
		},
	}
	if !f.batch.Deadline.IsZero() {
		left := f.batch.Deadline.Sub(f.r.deps.Now())
		in.Timeout = aws.Int32(int32(min(max(left/time.Minute+1, 1), maxTimeout)))
	}
	return in
}

// maxTimeout is the longest timeout of a run, in minutes: seven days.
const maxTimeout = 10080
