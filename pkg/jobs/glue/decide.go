package glue

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/openblotter/blotter/pkg/transform"
)

// facts are what is known of a batch on Glue.
type facts struct {
	announced int   // the number of the last announced run
	mine      bool  // this call announced it, and it may be started now
	looked    bool  // runs is what Glue has
	settled   bool  // … and it was asked late enough to list every run that was started
	runs      []run // with the identity, oldest first
	read      bool  // done is what lies in staging, since the last end
	done      bool  // every file has its end there
}

// step is what to do next.
type step int

const (
	stepStart    step = iota // the announced run
	stepLook                 // ask Glue for the runs
	stepLookLate             // … when it must list them all
	stepFollow               // the oldest run that is alive
	stepRead                 // what lies in staging
	stepAnnounce             // the next run
	stepTake                 // the ends of all files
	stepFail                 // with the failure that comes with it
)

// next decides. It ends: each round has learned something, or one more of a
// bounded number of runs was announced.
func next(cfg Config, job string, k facts) (step, *transform.Failure) {
	alive, ended := split(k.runs)
	switch {
	case k.mine:
		return stepStart, nil
	case k.announced > 0 && !k.looked:
		return stepLook, nil
	case len(alive) > 0 && len(ended) == 0:
		return stepFollow, nil
	case !k.read:
		return stepRead, nil
	case k.done && k.announced > 0 && !k.settled && !started(k):
		return stepLookLate, nil // a run left them, whose end and cost are to be told
	case k.done:
		return stepTake, nil
	case len(alive) > 0:
		return stepFollow, nil
	case k.announced > 0 && !k.settled && !started(k):
		return stepLookLate, nil
	}
	if failure := verdict(cfg, job, ended); failure != nil {
		return stepFail, failure
	}
	if k.announced >= cfg.announcements() {
		return stepFail, &transform.Failure{
			Code:    "glue.unavailable",
			Message: fmt.Sprintf("Glue job %s: none of %d runs could be started or followed; the service's own log says why", job, k.announced),
			Hint:    "mend the cause, then resume with --retry",
		}
	}
	return stepAnnounce, nil
}

// started reports whether Glue has a run for the last announcement.
func started(k facts) bool {
	for _, r := range k.runs {
		if r.attempt >= k.announced {
			return true
		}
	}
	return false
}

func split(runs []run) (alive, ended []run) {
	for _, r := range runs {
		if r.alive() {
			alive = append(alive, r)
		} else {
			ended = append(ended, r)
		}
	}
	return alive, ended
}

// verdict tells what runs that all ended, and left files without an end, mean; nil if
// another run may do better.
func verdict(cfg Config, job string, ended []run) *transform.Failure {
	bad := 0
	for _, r := range ended {
		switch r.state {
		case types.JobRunStateSucceeded:
			return ending(job, r, "ended SUCCEEDED and left neither a manifest nor a failure",
				"see that the job runs Blotter's script and may write to the staging bucket, then resume with --retry")
		case types.JobRunStateTimeout:
			return ending(job, r, "ran out of time",
				"give the job more workers, or the grant more time, then resume with --retry")
		case types.JobRunStateStopped:
			return ending(job, r, "was stopped", "find out who stopped it and why, then resume with --retry")
		default:
			bad++
		}
	}
	if bad < cfg.Runs {
		return nil
	}
	last := ended[len(ended)-1]
	what := fmt.Sprintf("ended %s, the last of %d", last.state, bad)
	if last.category != "" {
		what = fmt.Sprintf("ended %s (%s), the last of %d", last.state, last.category, bad)
	}
	return ending(job, last, what, "its log says why (CloudWatch /aws-glue/jobs/error, stream "+last.id+"); mend the cause, then resume with --retry")
}

func ending(job string, r run, what, hint string) *transform.Failure {
	code := r.code()
	if code == "" {
		code = "glue.no_output"
	}
	return &transform.Failure{Code: code, Message: fmt.Sprintf("Glue job %s: run %s %s", job, r.id, what), Hint: hint}
}
