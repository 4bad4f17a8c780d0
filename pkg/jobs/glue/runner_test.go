package glue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/glue/gluetest"
	"github.com/openblotter/blotter/pkg/transform"
)

func TestARunIsToldOfWithItsCost(t *testing.T) {
	b := newBench(t, impatient(), nil)
	b.mustStage(t, 1)
	if len(b.heard.started) != 1 || len(b.heard.ended) != 1 {
		t.Fatalf("it told of the starts %v and the ends %v", b.heard.started, b.heard.ended)
	}
	end := b.heard.ended[0]
	if end.Run != b.heard.started[0] || end.State != "SUCCEEDED" || end.Code != "" || end.Attempt != 1 ||
		end.FileID != b.job.File.GetFileId() || end.Token != b.job.Token {
		t.Errorf("the end is %+v", end)
	}
	if end.Execution != time.Second || end.DPUSeconds != 2 || end.Started.IsZero() || end.Completed.Before(end.Started.Add(-time.Second)) {
		t.Errorf("its cost is %+v, expected one second on two DPUs", end)
	}
}

// TestAStartIsNeverSentTwiceUnseen: whatever is lost on the way, one run results.
func TestAStartIsNeverSentTwiceUnseen(t *testing.T) {
	for name, start := range map[string]struct {
		fault gluetest.Fault
		hide  int // from so many listings
	}{
		"answer lost":                     {fault: gluetest.Fault{LoseAnswer: true}},
		"answer lost, run not yet listed": {fault: gluetest.Fault{LoseAnswer: true}, hide: 1},
		"call lost":                       {fault: gluetest.Fault{LoseCall: true}},
		"internal fault":                  {fault: gluetest.Fault{Code: "InternalServiceException", Status: 500}},
		"timed out":                       {fault: gluetest.Fault{Code: "OperationTimeoutException"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, impatient(), nil)
			b.server.Inject("StartJobRun", start.fault)
			b.server.Hide(start.hide)
			b.mustStage(t, 1)
		})
	}
}

// TestACrashFindsTheRun: whoever comes after a crash, at any place, follows the
// run that there is.
func TestACrashFindsTheRun(t *testing.T) {
	for name, crash := range map[string]struct {
		fault gluetest.Fault
		hide  int // from so many listings
		until func(*bench) bool
	}{
		"in the call":          {gluetest.Fault{LoseAnswer: true}, 1, func(b *bench) bool { return len(b.server.Runs()) == 1 }},
		"before the call":      {gluetest.Fault{LoseCall: true}, 0, func(b *bench) bool { return b.server.Calls("StartJobRun") == 1 }},
		"while it is followed": {gluetest.Fault{}, 0, func(b *bench) bool { return b.server.Calls("GetJobRun") > 2 }},
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			b := newBench(t, impatient(), waitFor(release))
			b.server.Inject("StartJobRun", crash.fault)
			b.server.Hide(crash.hide)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() {
				_, err := b.follow(ctx)
				ended <- err
			}()
			eventually(t, func() bool { return crash.until(b) })
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Fatalf("the first process ended with %v", err)
			}
			close(release)
			b.runner = newRunner(t, impatient(), b.server, b.staging)
			b.mustStage(t, 1)
			if got := b.heard.states(); !slices.Equal(got, []string{"SUCCEEDED"}) {
				t.Errorf("the ends told are %v", got)
			}
		})
	}
}

// TestWhatWasNotHeardIsToldAgain: a crash between a run's end and its event.
func TestWhatWasNotHeardIsToldAgain(t *testing.T) {
	b := newBench(t, impatient(), nil)
	b.heard.fail = errors.New("the log is away")
	if _, err := b.follow(t.Context()); !errors.Is(err, b.heard.fail) {
		t.Fatalf("it ended with %v", err)
	}
	b.heard.fail = nil
	b.mustStage(t, 1)
	if len(b.heard.ended) != 1 {
		t.Errorf("the ends told are %v", b.heard.ended)
	}
}

func TestBadEndsLeadToAnotherRunOrAReason(t *testing.T) {
	for _, test := range []struct {
		end  error
		code string
		runs int
	}{
		{errors.New("Error Category: OUT_OF_MEMORY_ERROR; the row 4711 Jane Doe"), "glue.failed", 3},
		{gluetest.Ended("ERROR"), "glue.error", 3},
		{gluetest.Ended("EXPIRED"), "glue.expired", 3},
		{gluetest.Ended("TIMEOUT"), "glue.timeout", 1},
		{gluetest.Ended("STOPPED"), "glue.stopped", 1},
		{nil, "glue.no_output", 1},
	} {
		t.Run(test.code, func(t *testing.T) {
			b := newBench(t, impatient(), func(gluetest.Script) gluetest.Script {
				return func(context.Context, map[string]string) error { return test.end }
			})
			failure := b.mustFail(t, test.code)
			if n := len(b.server.Runs()); n != test.runs || len(b.heard.ended) != n {
				t.Errorf("%d runs, %d ends told, expected %d", n, len(b.heard.ended), test.runs)
			}
			if strings.Contains(failure.Error(), "Jane Doe") {
				t.Errorf("the failure quotes a row: %v", failure.Message)
			}
			if test.code == "glue.failed" && !strings.Contains(failure.Message, "OUT_OF_MEMORY_ERROR") {
				t.Errorf("the failure does not say what Glue calls it: %v", failure.Message)
			}
			// Another process comes to the same end without another run.
			b.runner = newRunner(t, impatient(), b.server, b.staging)
			b.mustFail(t, test.code)
			if n := len(b.server.Runs()); n != test.runs {
				t.Errorf("after a restart there are %d runs, expected %d", n, test.runs)
			}
		})
	}
}

func TestAPassingBadEndIsMended(t *testing.T) {
	var runs atomic.Int64
	b := newBench(t, impatient(), func(run gluetest.Script) gluetest.Script {
		return func(ctx context.Context, args map[string]string) error {
			if runs.Add(1) < 3 {
				return gluetest.Ended("ERROR")
			}
			return run(ctx, args)
		}
	})
	b.mustStage(t, 3)
	if got := b.heard.states(); !slices.Equal(got, []string{"ERROR", "ERROR", "SUCCEEDED"}) {
		t.Errorf("the ends told are %v", got)
	}
	for n, args := range b.server.Runs() {
		if args["--blotter_attempt"] != fmt.Sprint(n+1) {
			t.Errorf("run %d has the arguments %v", n+1, args)
		}
	}
}

// TestAResultCounts: what the run left holds, however it is said to have ended.
func TestAResultCounts(t *testing.T) {
	b := newBench(t, impatient(), func(run gluetest.Script) gluetest.Script {
		return func(ctx context.Context, args map[string]string) error {
			return errors.Join(run(ctx, args), errors.New("the driver was lost at its end"))
		}
	})
	b.mustStage(t, 1)
}

func TestTheReasonOfTheJobIsTold(t *testing.T) {
	b := newBench(t, impatient(), nil)
	b.job.File.Object.Etag, b.job.File.Object.VersionId = "another", ""
	failure := b.mustFail(t, transform.CodeObjectChanged)
	if n := len(b.server.Runs()); n != 1 || !strings.Contains(failure.Message, "written again") {
		t.Errorf("%d runs; the failure is %+v", n, failure)
	}
}

// TestNoRoomIsNoFailure: a start for which there is no room is tried until there is.
func TestNoRoomIsNoFailure(t *testing.T) {
	for _, code := range []string{
		"ConcurrentRunsExceededException", "ResourceNumberLimitExceededException", "ThrottlingException",
		"RequestLimitExceeded", "ExpiredTokenException",
	} {
		t.Run(code, func(t *testing.T) {
			b := newBench(t, impatient(), nil)
			no := gluetest.Fault{Code: code}
			b.server.Inject("StartJobRun", no, no, no, no, no)
			b.mustStage(t, 1)
			if n := b.server.Calls("StartJobRun"); n != 6 {
				t.Errorf("%d calls of StartJobRun, expected 6", n)
			}
		})
	}
}

// deadline is a context whose deadline is when a channel closes.
type deadline struct {
	context.Context
	passed <-chan struct{}
}

func (d deadline) Done() <-chan struct{} { return d.passed }

func (d deadline) Err() error {
	select {
	case <-d.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// TestNoRoomUntilTheDeadlineIsTold: with why, and as no failure of the file.
func TestNoRoomUntilTheDeadlineIsTold(t *testing.T) {
	b := newBench(t, impatient(), nil)
	b.server.Inject("StartJobRun", slices.Repeat([]gluetest.Fault{{Code: "ConcurrentRunsExceededException"}}, 10000)...)
	passed, ended := make(chan struct{}), make(chan error)
	go func() {
		_, err := b.follow(deadline{t.Context(), passed})
		ended <- err
	}()
	eventually(t, func() bool { return b.server.Calls("StartJobRun") > 0 })
	close(passed)
	err := <-ended
	var failure *transform.Failure
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &failure) {
		t.Fatalf("it ended with %v", err)
	}
	if len(b.heard.ended) != 1 || b.heard.ended[0].State != jobs.StateNotStarted || b.heard.ended[0].Code != "glue.concurrent_runs" {
		t.Errorf("the ends told are %+v", b.heard.ended)
	}
}

func TestMaxConcurrentRunsQueues(t *testing.T) {
	release := make(chan struct{})
	b := newBench(t, impatient(), waitFor(release))
	b.server.MaxConcurrentRuns(jobNamed, 1)
	other := b.job
	other.Token++
	ended := make(chan error)
	for _, job := range []jobs.Job{b.job, other} {
		go func() {
			_, err := b.runner.Run(t.Context(), job)
			ended <- err
		}()
	}
	eventually(t, func() bool { return b.server.Calls("StartJobRun") > 3 })
	close(release)
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if n := len(b.server.Runs()); n != 2 {
		t.Errorf("%d runs, expected 2", n)
	}
}

func TestAJobThatCannotBeStartedIsAFailureAtOnce(t *testing.T) {
	b := newBench(t, impatient(), nil)
	b.job.Table.Job.Glue = "nobody-made-it"
	failure := b.mustFail(t, "glue.refused")
	if !strings.Contains(failure.Message, "EntityNotFoundException") || len(b.server.Runs()) != 0 {
		t.Errorf("the failure is %+v", failure)
	}
	b = newBench(t, impatient(), nil)
	b.server.Inject("StartJobRun", gluetest.Fault{Code: "AccessDeniedException"})
	b.mustFail(t, "glue.refused")
}

// waitFor has the script wait for a signal first.
func waitFor(release <-chan struct{}) func(gluetest.Script) gluetest.Script {
	return func(run gluetest.Script) gluetest.Script {
		return func(ctx context.Context, args map[string]string) error {
			select {
			case <-release:
				return run(ctx, args)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// eventually waits until ok gives true, at most half a minute.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("waited in vain")
		}
	}
}
