package glue_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/jobs/glue"
	"github.com/openblotter/blotter/pkg/jobs/glue/gluetest"
)

// TestStopEndsTheRunsOfATokenAlone: also those that another process has started.
func TestStopEndsTheRunsOfATokenAlone(t *testing.T) {
	release := make(chan struct{})
	b := newBench(t, impatient(), waitFor(release))
	other := b.job
	other.Token++
	ended := make(chan error, 2)
	first, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := b.runner.Run(first, b.job)
		ended <- err
	}()
	eventually(t, func() bool { return len(b.server.Runs()) == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the first process ended with %v", err)
	}
	go func() {
		_, err := b.runner.Run(t.Context(), other)
		ended <- err
	}()
	eventually(t, func() bool { return len(b.server.Runs()) == 2 })
	again := newRunner(t, impatient(), b.server, b.staging)
	for range 2 {
		if err := again.Stop(t.Context(), b.fencedGrant(), &b.heard); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.heard.ended) != 2 { // once by each
		t.Errorf("the ends told are %+v", b.heard.ended)
	}
	for _, end := range b.heard.ended {
		if end.State != "STOPPED" || end.FileID != b.job.File.GetFileId() || end.Token != b.job.Token {
			t.Errorf("the end told is %+v", end)
		}
	}
	close(release)
	if err := <-ended; err != nil {
		t.Errorf("the run of another token ended with %v", err)
	}
	if got := b.server.States(); !slices.Equal(got, []string{"STOPPED", "SUCCEEDED"}) {
		t.Errorf("the runs are %v", got)
	}
}

// TestStopTellsOfARunThatNobodySawEnd: its cost is told, too.
func TestStopTellsOfARunThatNobodySawEnd(t *testing.T) {
	release := make(chan struct{})
	b := newBench(t, impatient(), waitFor(release))
	first, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := b.runner.Run(first, b.job)
		ended <- err
	}()
	eventually(t, func() bool { return len(b.server.Runs()) == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the first process ended with %v", err)
	}
	close(release)
	eventually(t, func() bool { return slices.Equal(b.server.States(), []string{"SUCCEEDED"}) })
	if err := b.runner.Stop(t.Context(), b.fencedGrant(), &b.heard); err != nil {
		t.Fatal(err)
	}
	if len(b.heard.ended) != 1 || b.heard.ended[0].State != "SUCCEEDED" || b.heard.ended[0].DPUSeconds == 0 {
		t.Errorf("the ends told are %+v", b.heard.ended)
	}
}

func TestStopOfNothing(t *testing.T) {
	b := newBench(t, impatient(), nil)
	if err := b.runner.Stop(t.Context(), b.fencedGrant(), &b.heard); err != nil {
		t.Error(err)
	}
	b.job.Table.Job.Glue = "nobody-made-it"
	if err := b.runner.Stop(t.Context(), b.fencedGrant(), &b.heard); err != nil {
		t.Errorf("a job that does not exist: %v", err)
	}
	b.job.Table.Job.Glue = ""
	if err := b.runner.Stop(t.Context(), b.fencedGrant(), &b.heard); err != nil {
		t.Errorf("a table without a job: %v", err)
	}
}

// TestARunEndsAtTheGrantsDeadline: even if nobody is left to stop it.
func TestARunEndsAtTheGrantsDeadline(t *testing.T) {
	b := newBench(t, impatient(), waitFor(nil))
	b.server.Minute(50 * time.Millisecond)
	b.job.Deadline = time.Now().Add(90 * time.Second)
	b.mustFail(t, "glue.timeout") // two minutes of 50 ms
}

// TestAVanishedRunIsReplaced: as one that was never started.
func TestAVanishedRunIsReplaced(t *testing.T) {
	release := make(chan struct{})
	b := newBench(t, impatient(), waitFor(release))
	ended := make(chan error)
	go func() {
		_, err := b.follow(t.Context())
		ended <- err
	}()
	eventually(t, func() bool { return b.server.Calls("GetJobRun") > 2 })
	b.server.Forget()
	eventually(t, func() bool { return len(b.server.Runs()) == 2 })
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestPassingFaultsOfALookDoNotEndTheFollowing(t *testing.T) {
	b := newBench(t, impatient(), nil)
	fault := gluetest.Fault{Code: "InternalServiceException", Status: 500}
	b.server.Inject("GetJobRun", slices.Repeat([]gluetest.Fault{fault}, 7)...) // the client tries three times each
	b.mustStage(t, 1)
}

// TestThrottledListsAreAskedForAgain: an account has few calls, and many tables ask.
func TestThrottledListsAreAskedForAgain(t *testing.T) {
	b := newBench(t, impatient(), nil)
	b.server.Inject("StartJobRun", gluetest.Fault{LoseAnswer: true})
	b.server.Inject("GetJobRuns", slices.Repeat([]gluetest.Fault{{Code: "ThrottlingException"}}, 7)...)
	if _, err := b.follow(t.Context()); err != nil {
		t.Errorf("throttled lists: %v", err)
	}
	if n := len(b.server.Runs()); n != 1 {
		t.Errorf("%d runs, expected 1", n)
	}
}

// TestAListThatIsRefusedEndsTheAttempt: asking again would not help.
func TestAListThatIsRefusedEndsTheAttempt(t *testing.T) {
	b := newBench(t, impatient(), nil)
	b.server.Inject("StartJobRun", gluetest.Fault{LoseAnswer: true})
	b.server.Inject("GetJobRuns", gluetest.Fault{Code: "AccessDeniedException"})
	if _, err := b.follow(t.Context()); err == nil {
		t.Fatal("nothing was wrong")
	}
	if n := b.server.Calls("GetJobRuns"); n != 1 {
		t.Errorf("it was asked for %d times", n)
	}
	b.mustStage(t, 1)
}

func TestLooksThatAllGoWrongEndTheAttempt(t *testing.T) {
	cfg := impatient()
	cfg.Misses = 2
	b := newBench(t, cfg, nil)
	b.server.Inject("GetJobRun", slices.Repeat([]gluetest.Fault{{Code: "AccessDeniedException"}}, 2)...)
	if _, err := b.follow(t.Context()); err == nil {
		t.Fatal("nothing was wrong")
	}
	b.mustStage(t, 1) // the next attempt finds the run
}

// TestANewRunIsFoundAmongManyOldOnes: pages end where no run can be meant.
func TestANewRunIsFoundAmongManyOldOnes(t *testing.T) {
	b := newBench(t, impatient(), nil)
	b.server.Add(jobNamed, 24*time.Hour, 3000)
	b.server.Inject("StartJobRun", gluetest.Fault{LoseAnswer: true})
	b.mustStage(t, 3001)
	if n := b.server.Calls("GetJobRuns"); n > 4 {
		t.Errorf("%d pages were read", n)
	}
}

// TestTooManyRunsStartNone: what cannot be told apart from a lost start is none.
func TestTooManyRunsStartNone(t *testing.T) {
	cfg := impatient()
	cfg.Pages = 2
	b := newBench(t, cfg, nil)
	b.server.Add(jobNamed, time.Minute, 900)
	b.server.Inject("StartJobRun", gluetest.Fault{LoseCall: true})
	if _, err := b.follow(t.Context()); err == nil {
		t.Fatal("nothing was wrong")
	}
	if n := len(b.server.Runs()); n != 900 {
		t.Errorf("there are %d runs", n)
	}
}

// TestReplicasShareOneRun: two that hold one grant at the same time.
func TestReplicasShareOneRun(t *testing.T) {
	b := newBench(t, impatient(), nil)
	ended := make(chan error)
	for range 4 {
		r := newRunner(t, impatient(), b.server, b.staging)
		go func() {
			_, err := r.Run(t.Context(), b.job)
			ended <- err
		}()
	}
	for range 4 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if n := len(b.server.Runs()); n != 1 {
		t.Errorf("%d runs, expected 1", n)
	}
}

// TestNewsEndTheWait: an event has the run looked at long before its time.
func TestNewsEndTheWait(t *testing.T) {
	cfg := impatient()
	cfg.PollMin, cfg.PollMax = time.Hour, time.Hour
	b := newBench(t, cfg, nil)
	ended := make(chan error)
	go func() {
		_, err := b.follow(t.Context())
		ended <- err
	}()
	var started []string
	eventually(t, func() bool {
		b.heard.mu.Lock()
		defer b.heard.mu.Unlock()
		started = slices.Clone(b.heard.started)
		return len(started) == 1 && slices.Equal(b.server.States(), []string{"SUCCEEDED"})
	})
	var result error
	eventually(t, func() bool {
		b.runner.Wake(started[0])
		select {
		case result = <-ended:
			return true
		default:
			return false
		}
	})
	if result != nil {
		t.Error(result)
	}
}

func TestAConfigurationIsChecked(t *testing.T) {
	if err := glue.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	if _, err := glue.New(glue.Config{PollMin: 2, PollMax: 1}, glue.Deps{}); err == nil {
		t.Error("an empty configuration was taken")
	}
}

var errLost = errors.New("lost")

// TestAFaultOfTheBucketMayPass: nothing is started without its announcement.
func TestAFaultOfTheBucketMayPass(t *testing.T) {
	b := newBench(t, impatient(), nil)
	b.runner = newRunner(t, impatient(), b.server, brokenBucket{b.staging})
	if _, err := b.follow(t.Context()); !errors.Is(err, errLost) {
		t.Fatalf("it ended with %v", err)
	}
	if n := len(b.server.Runs()); n != 0 {
		t.Errorf("%d runs were started", n)
	}
}
