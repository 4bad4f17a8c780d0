package lambda_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/lambda"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
)

func TestRunner(t *testing.T) {
	for name, cfg := range map[string]lambda.Config{"synchronous": impatient(), "asynchronous": asynchronous()} {
		t.Run(name, func(t *testing.T) {
			jobstest.Run(t, func(t *testing.T, raw, staging objects.Bucket) jobs.Runner {
				return named{newRunner(t, cfg, newFake(t, function(raw, staging)).client(), staging)}
			})
		})
	}
}

func TestAnInvocationIsToldOfWithItsCost(t *testing.T) {
	b := newBench(t, impatient())
	b.mustStage(t, 1)
	if !slices.Equal(b.heard.started, []string{functionNamed}) || len(b.heard.ended) != 1 {
		t.Fatalf("it told of the starts %v and the ends %v", b.heard.started, b.heard.ended)
	}
	if e := b.heard.ended[0]; e.State != "SUCCEEDED" || e.Code != "" || e.Execution != 1500*time.Millisecond ||
		e.Run != "request-1" || e.Attempt != 1 || e.FileID != b.job.File.GetFileId() || e.Token != b.job.Token {
		t.Errorf("the end is %+v", e)
	}
}

func TestTheEstimateChoosesTheInvocation(t *testing.T) {
	b := newBench(t, impatient())
	b.mustStage(t, 1)
	b.job.Token++
	b.job.File.Object.Size = 61 << 20 // at 1 MiB/s more than a minute
	b.runner = newRunner(t, impatient(), b.fake.client(), b.staging)
	b.mustStage(t, 2)
	if got := b.fake.invocations(); !slices.Equal(got, []string{"RequestResponse", "Event"}) {
		t.Errorf("the invocations are %v", got)
	}
}

// TestEndsAreToldApart: what passes is tried again, what does not is told with
// what to do.
func TestEndsAreToldApart(t *testing.T) {
	killed := fault{errorType: "Runtime.ExitError", message: "RequestId: x Error: Runtime exited with error: signal: killed"}
	crash := fault{errorType: "Runtime.ExitError", message: "RequestId: x Error: Runtime exited with error: exit status 2"}
	full := crash
	full.report = "" // the first REPORT line counts
	for name, test := range map[string]struct {
		faults []fault
		code   string // empty: it comes to a good end
		states []string
	}{
		"timeout by Lambda": {[]fault{{errorType: "Sandbox.Timedout", message: "RequestId: x Error: Task timed out after 900.00 seconds"}},
			"lambda.timeout", []string{"TIMEOUT"}},
		"timeout, as older runtimes say": {[]fault{{errorType: "x", message: "2024-07-01T12:00:00.000Z x Task timed out after 900.00 seconds"}},
			"lambda.timeout", []string{"TIMEOUT"}},
		"out of memory":     {[]fault{killed}, "lambda.out_of_memory", []string{"OUT_OF_MEMORY"}},
		"out of memory, so": {[]fault{{errorType: "Runtime.OutOfMemory"}}, "lambda.out_of_memory", []string{"OUT_OF_MEMORY"}},
		"a crash passes":    {[]fault{crash, full}, "", []string{"FAILED", "FAILED", "SUCCEEDED"}},
		"crash after crash": {[]fault{crash, crash, crash}, "lambda.failed", []string{"FAILED", "FAILED", "FAILED"}},
		"a passing fault":   {[]fault{{errorType: "wrapError", message: "read: connection reset"}}, "", []string{"FAILED", "SUCCEEDED"}},
		"throttled":         {slices.Repeat([]fault{{code: "TooManyRequestsException", status: 429}}, 5), "", []string{"SUCCEEDED"}},
		"not ready":         {[]fault{{code: "ResourceNotReadyException", status: 502}}, "", []string{"SUCCEEDED"}},
		"internal":          {[]fault{{code: "ServiceException", status: 500}}, "", []string{"NO_ANSWER", "SUCCEEDED"}},
		"denied":            {[]fault{{code: "AccessDeniedException", status: 403}}, "lambda.refused", nil},
		"another function":  {[]fault{{answer: `"hello"`}, {answer: `"hello"`}, {answer: `"hello"`}}, "lambda.refused", []string{"SUCCEEDED"}},
		"another file":      {[]fault{{answer: `{"stage":"x/"}`}}, "lambda.refused", []string{"SUCCEEDED"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, impatient(), test.faults...)
			if test.code == "" {
				b.mustStage(t, len(test.faults)+1)
			} else if f := b.mustFail(t, test.code); strings.Contains(f.Message, "connection reset") {
				t.Errorf("the failure quotes the function: %+v", f)
			}
			if got := b.heard.states(); !slices.Equal(got, test.states) {
				t.Errorf("the ends told are %v, expected %v", got, test.states)
			}
		})
	}
}

// TestALostAnswerLeavesOneResult: the function has run; the next look finds it.
func TestALostAnswerLeavesOneResult(t *testing.T) {
	b := newBench(t, impatient(), fault{loseAnswer: true})
	b.mustStage(t, 1)
	if got := b.heard.states(); !slices.Equal(got, []string{"NO_ANSWER"}) {
		t.Errorf("the ends told are %v", got)
	}
}

// TestTwoAtOnceLeaveOneResult: two dispatchers that hold one grant.
func TestTwoAtOnceLeaveOneResult(t *testing.T) {
	b := newBench(t, impatient())
	sums := make(chan string)
	for range 3 {
		r := newRunner(t, impatient(), b.fake.client(), b.staging)
		go func() {
			staged, err := r.Run(t.Context(), b.job)
			if err != nil {
				t.Error(err)
			}
			sums <- staged.GetManifestSha256()
		}()
	}
	if one, two, three := <-sums, <-sums, <-sums; one == "" || one != two || two != three {
		t.Errorf("the manifests are %s, %s, %s", one, two, three)
	}
}

func TestAnAsynchronousRunOfWhichNothingIsHeard(t *testing.T) {
	cfg := asynchronous()
	cfg.QueueLimit, cfg.Limit = 50*time.Millisecond, 50*time.Millisecond
	b := newBench(t, cfg, fault{loseRun: true})
	b.mustStage(t, 2)
	if got := b.heard.states(); !slices.Equal(got, []string{"NO_ANSWER", "SUCCEEDED"}) {
		t.Errorf("the ends told are %v", got)
	}
	lost := fault{loseRun: true}
	b = newBench(t, cfg, lost, lost, lost)
	b.mustFail(t, "lambda.no_answer")
}

func TestAnAsynchronousRunLeavesItsReason(t *testing.T) {
	b := newBench(t, asynchronous())
	b.job.File.Object.Etag, b.job.File.Object.VersionId = "another", ""
	b.mustFail(t, transform.CodeObjectChanged)
	b.mustFail(t, transform.CodeObjectChanged) // after a crash: it is there
	if got := b.fake.invocations(); !slices.Equal(got, []string{"Event"}) {
		t.Errorf("the invocations are %v", got)
	}
}

func TestNoRoomUntilTheDeadlineIsTold(t *testing.T) {
	b := newBench(t, impatient(), slices.Repeat([]fault{{code: "TooManyRequestsException", status: http.StatusTooManyRequests}}, 10000)...)
	b.job.Deadline = time.Now().Add(300 * time.Millisecond)
	_, err := b.runner.Follow(t.Context(), b.job, &b.heard)
	var failure *transform.Failure
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &failure) {
		t.Fatalf("it ended with %v", err)
	}
	if len(b.heard.ended) != 1 || b.heard.ended[0].State != jobs.StateNotStarted || b.heard.ended[0].Code != "lambda.throttled" {
		t.Errorf("the ends told are %+v", b.heard.ended)
	}
}

func TestAFunctionThatIsNotThere(t *testing.T) {
	b := newBench(t, impatient())
	b.job.Table.Job.Lambda = "nobody-made-it"
	b.mustFail(t, "lambda.refused")
}

func TestAConfigurationIsChecked(t *testing.T) {
	if err := lambda.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	if _, err := lambda.New(lambda.Config{PollMin: 2, PollMax: 1}, lambda.Deps{}); err == nil {
		t.Error("an empty configuration was taken")
	}
}
