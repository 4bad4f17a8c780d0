package glue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
)

const (
	pageSize  = 200 // of GetJobRuns, its largest
	stopBatch = 25  // of BatchStopJobRun, its largest
	// skew is by how much the clocks of Glue and of the bucket may differ.
	skew = 5 * time.Minute
)

// errPages: not all runs that could be meant were seen.
var errPages = errors.New("the job has too many runs to look through")

// find gives the runs whose identity is meant, oldest first. With since, runs that
// were started before need not be seen; it fails with errPages, and what was found,
// if there are too many after it.
func (r *Runner) find(ctx context.Context, job string, meant func(stage string) bool, since time.Time) ([]run, error) {
	var found []run
	var token *string
	for range r.cfg.Pages {
		out, err := r.page(ctx, job, token)
		if missing(err) {
			return nil, nil // the job itself: whoever starts a run is told
		}
		if err != nil {
			return nil, fmt.Errorf("list the runs of Glue job %s: %w", job, err)
		}
		for _, jr := range out.JobRuns {
			if one := runOf(jr); one.stage != "" && meant(one.stage) {
				found = append(found, one)
			}
		}
		token = out.NextToken
		if aws.ToString(token) == "" || allBefore(out.JobRuns, since) {
			slices.SortFunc(found, older)
			return found, nil
		}
	}
	slices.SortFunc(found, older)
	return found, fmt.Errorf("list the runs of Glue job %s: %w: %d were seen", job, errPages, r.cfg.Pages*pageSize)
}

// page lists runs of a job. Faults that may pass, throttling among them, are outlasted
// as those of a look at one run are: many tables may ask at once.
func (r *Runner) page(ctx context.Context, job string, token *string) (*glue.GetJobRunsOutput, error) {
	wait := r.cfg.PollMin
	for misses := 1; ; misses++ {
		out, err := bounded(ctx, r.cfg.Call, r.deps.API.GetJobRuns, &glue.GetJobRunsInput{
			JobName: aws.String(job), MaxResults: aws.Int32(pageSize), NextToken: token,
		})
		if what, _ := classify(err); err == nil || missing(err) || what == refused || misses >= r.cfg.Misses {
			return out, err
		}
		r.deps.Logger.WarnContext(ctx, "a look at the runs of a job went wrong", "job", job, "error", err)
		if err := pause(ctx, jitter(wait), nil); err != nil {
			return nil, err
		}
		wait = min(wait*3/2, r.cfg.PollMax)
	}
}

// allBefore reports whether a page of runs, newest first, lies before since.
func allBefore(page []types.JobRun, since time.Time) bool {
	return !since.IsZero() && !slices.ContainsFunc(page, func(jr types.JobRun) bool {
		return jr.StartedOn == nil || !jr.StartedOn.Before(since.Add(-skew))
	})
}

// get asks for one run; false if Glue does not know it.
func (r *Runner) get(ctx context.Context, job, id string) (run, bool, error) {
	out, err := bounded(ctx, r.cfg.Call, r.deps.API.GetJobRun, &glue.GetJobRunInput{JobName: aws.String(job), RunId: aws.String(id)})
	if missing(err) {
		return run{}, false, nil
	}
	if err != nil {
		return run{}, false, fmt.Errorf("look at run %s of Glue job %s: %w", id, job, err)
	}
	if out.JobRun == nil {
		return run{}, false, fmt.Errorf("look at run %s of Glue job %s: the answer is empty", id, job)
	}
	return runOf(*out.JobRun), true, nil
}

// await looks at a run until it has ended; one that Glue no longer knows keeps
// its last state. Looks that go wrong are bounded.
func (r *Runner) await(ctx context.Context, job string, last run) (run, error) {
	news, end := r.wakes.wait(last.id)
	defer end()
	wait, misses := r.cfg.PollMin, 0
	for last.alive() {
		if err := pause(ctx, jitter(wait), news); err != nil {
			return last, err
		}
		now, known, err := r.get(ctx, job, last.id)
		switch {
		case err != nil:
			if misses++; ctx.Err() != nil || misses >= r.cfg.Misses {
				return last, err
			}
			r.deps.Logger.WarnContext(ctx, "a look at a run went wrong", "job", job, "run", last.id, "error", err)
		case !known:
			return last, nil
		default:
			misses = 0
			if now.state != last.state {
				wait = r.cfg.PollMin
			}
			now.stage, now.attempt = last.stage, last.attempt
			last = now
		}
		wait = min(wait*3/2, r.cfg.PollMax)
	}
	return last, nil
}

// stop stops runs, and gives those that were still to be stopped, or have ended by
// themselves since they were listed.
func (r *Runner) stop(ctx context.Context, job string, runs []run) ([]run, error) {
	var stopped []run
	for batch := range slices.Chunk(runs, stopBatch) {
		ids := make([]string, len(batch))
		for i, one := range batch {
			ids[i] = one.id
		}
		out, err := bounded(ctx, r.cfg.Call, r.deps.API.BatchStopJobRun, &glue.BatchStopJobRunInput{JobName: aws.String(job), JobRunIds: ids})
		if err != nil {
			return stopped, fmt.Errorf("stop runs of Glue job %s: %w", job, err)
		}
		accepted := map[string]bool{}
		for _, s := range out.SuccessfulSubmissions {
			accepted[aws.ToString(s.JobRunId)] = true
		}
		for _, one := range batch {
			if accepted[one.id] {
				stopped = append(stopped, one)
				continue
			}
			// It may have ended by itself in the meantime, or an earlier call stopped it.
			now, known, err := r.get(ctx, job, one.id)
			if err != nil {
				return stopped, err
			}
			if !known {
				continue
			}
			if now.alive() && now.state != types.JobRunStateStopping {
				return stopped, fmt.Errorf("stop run %s of Glue job %s: it was not taken: %s", one.id, job, stopError(out.Errors, one.id))
			}
			now.stage, now.attempt = one.stage, one.attempt
			stopped = append(stopped, now)
		}
	}
	return stopped, nil
}

func stopError(errs []types.BatchStopJobRunError, id string) string {
	for _, e := range errs {
		if aws.ToString(e.JobRunId) == id && e.ErrorDetail != nil {
			return aws.ToString(e.ErrorDetail.ErrorCode) + ": " + aws.ToString(e.ErrorDetail.ErrorMessage)
		}
	}
	return "no reason given"
}

// jitter spreads the looks of many runs.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// bounded makes one call within a time.
func bounded[In, Out any](ctx context.Context, within time.Duration, call func(context.Context, In, ...func(*glue.Options)) (Out, error), in In) (Out, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return call(ctx, in)
}
