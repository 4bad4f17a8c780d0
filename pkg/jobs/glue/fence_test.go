package glue_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	awsglue "github.com/aws/aws-sdk-go-v2/service/glue"

	"github.com/openblotter/blotter/pkg/jobs/glue"
	"github.com/openblotter/blotter/pkg/jobs/glue/gluetest"
)

// errFence is what a watch fails with when the token is dead.
var errFence = errors.New("fenced")

// TestStopFindsARunThatIsNotListedYet: its announcement tells that it may be there,
// whether the process that started it is gone, or another.
func TestStopFindsARunThatIsNotListedYet(t *testing.T) {
	for name, fault := range map[string]gluetest.Fault{
		"the start was answered":     {},
		"the start's answer is lost": {LoseAnswer: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, impatient(), waitFor(nil))
			b.server.Inject("StartJobRun", fault)
			b.server.Hide(3)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				_, err := b.follow(ctx)
				ended <- err
			}()
			eventually(t, func() bool { return len(b.server.Runs()) == 1 })
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Fatalf("the first process ended with %v", err)
			}
			again := newRunner(t, impatient(), b.server, b.staging)
			if err := again.Stop(t.Context(), b.fencedGrant(), &b.heard); err != nil {
				t.Fatal(err)
			}
			if got := b.server.States(); !slices.Equal(got, []string{"STOPPED"}) {
				t.Errorf("the runs are %v", got)
			}
			if got := b.heard.states(); !slices.Equal(got, []string{"STOPPED"}) {
				t.Errorf("the ends told are %v", got)
			}
		})
	}
}

// beforeStop is an API before whose stops something happens.
type beforeStop struct {
	glue.API
	happens func()
}

func (b beforeStop) BatchStopJobRun(ctx context.Context, in *awsglue.BatchStopJobRunInput, opts ...func(*awsglue.Options)) (*awsglue.BatchStopJobRunOutput, error) {
	b.happens()
	return b.API.BatchStopJobRun(ctx, in, opts...)
}

// TestARunThatEndsBeforeItIsStoppedIsTold: nobody else would tell what it cost.
func TestARunThatEndsBeforeItIsStoppedIsTold(t *testing.T) {
	release := make(chan struct{})
	b := newBench(t, impatient(), waitFor(release))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := b.follow(ctx)
		ended <- err
	}()
	eventually(t, func() bool { return len(b.server.Runs()) == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("the first process ended with %v", err)
	}
	again := newRunnerOver(t, impatient(), beforeStop{b.server.Client(), sync.OnceFunc(func() {
		close(release)
		eventually(t, func() bool { return slices.Equal(b.server.States(), []string{"SUCCEEDED"}) })
	})}, b.staging)
	if err := again.Stop(t.Context(), b.fencedGrant(), &b.heard); err != nil {
		t.Fatal(err)
	}
	if n := b.server.Calls("BatchStopJobRun"); n != 1 {
		t.Errorf("%d runs were to be stopped, expected 1", n)
	}
	if len(b.heard.ended) != 1 {
		t.Fatalf("the ends told are %+v", b.heard.ended)
	}
	end := b.heard.ended[0]
	if end.State != "SUCCEEDED" || end.DPUSeconds == 0 || end.Attempt != 1 || end.FileID != b.job.File.GetFileId() {
		t.Errorf("the end told is %+v", end)
	}
}

// TestStopWaitsForARunThatWasNeverStartedNoLongerThanItCouldTake: an announcement
// promises no run.
func TestStopWaitsForARunThatWasNeverStartedNoLongerThanItCouldTake(t *testing.T) {
	cfg := impatient()
	b := newBench(t, cfg, nil)
	b.server.Inject("StartJobRun", gluetest.Fault{LoseCall: true})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := b.follow(ctx)
		ended <- err
	}()
	eventually(t, func() bool { return b.server.Calls("StartJobRun") == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("the first process ended with %v", err)
	}
	cfg.Call = time.Second
	again, began, listed := newRunner(t, cfg, b.server, b.staging), time.Now(), b.server.Calls("GetJobRuns")
	if err := again.Stop(t.Context(), b.fencedGrant(), &b.heard); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < cfg.Call+cfg.Settle {
		t.Errorf("it looked for %v, a start may take %v", took, cfg.Call+cfg.Settle)
	}
	if n := b.server.Calls("GetJobRuns") - listed; n < 2 || len(b.heard.ended) != 0 {
		t.Errorf("it looked %d times and told %v", n, b.heard.ended)
	}
}

// TestStopOfTooManyRuns: what was not seen may go on, and is no good end.
func TestStopOfTooManyRuns(t *testing.T) {
	cfg := impatient()
	cfg.Pages = 2
	b := newBench(t, cfg, nil)
	b.server.Add(jobNamed, time.Second, 900)
	if err := b.runner.Stop(t.Context(), b.fencedGrant(), &b.heard); err == nil {
		t.Error("the rest was not looked at, and nothing was wrong")
	}
	old := b.fencedGrant()
	old.Granted, old.Files = time.Time{}, nil
	if err := b.runner.Stop(t.Context(), old, &b.heard); err != nil {
		t.Errorf("of a grant that nobody knows: %v", err)
	}
}

// TestWhoeverWaitsForRoomHearsOfAFence: two replicas, and the fence came to the other.
func TestWhoeverWaitsForRoomHearsOfAFence(t *testing.T) {
	cfg := impatient()
	b := newBench(t, cfg, waitFor(nil))
	b.server.Inject("StartJobRun", slices.Repeat([]gluetest.Fault{{Code: "ConcurrentRunsExceededException"}}, 1000)...)
	ended := make(chan error, 1)
	go func() {
		_, err := b.follow(t.Context())
		ended <- err
	}()
	eventually(t, func() bool { return b.server.Calls("StartJobRun") > 3 })
	b.heard.fence(errFence) // it stands in the log
	cfg.Call = time.Second
	other, heard := newRunner(t, cfg, b.server, b.staging), heard{}
	if err := other.Stop(t.Context(), b.fencedGrant(), &heard); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return len(ended) == 1 || len(b.server.Runs()) > 0 })
	if runs := b.server.Runs(); len(runs) != 0 {
		t.Fatalf("runs of a dead token: %v", runs)
	}
	if err := <-ended; !errors.Is(err, errFence) {
		t.Errorf("it ended with %v", err)
	}
}

// TestWhoeverBacksOffHearsOfAFence: no other run follows a bad end.
func TestWhoeverBacksOffHearsOfAFence(t *testing.T) {
	b := newBench(t, impatient(), nil)
	b.server = gluetest.New(t, jobNamed, func(context.Context, map[string]string) error {
		b.heard.fence(errFence)
		return errors.New("out of memory")
	})
	b.runner = newRunner(t, impatient(), b.server, b.staging)
	if _, err := b.follow(t.Context()); !errors.Is(err, errFence) {
		t.Errorf("it ended with %v", err)
	}
	if got := b.server.States(); !slices.Equal(got, []string{"FAILED"}) {
		t.Errorf("the runs are %v", got)
	}
}

// TestAFencedTokenAnnouncesNothing: nobody has to wait for a run of it.
func TestAFencedTokenAnnouncesNothing(t *testing.T) {
	b := newBench(t, impatient(), nil)
	b.heard.fence(errFence)
	if _, err := b.follow(t.Context()); !errors.Is(err, errFence) {
		t.Errorf("it ended with %v", err)
	}
	began := time.Now()
	if err := b.runner.Stop(t.Context(), b.fencedGrant(), &b.heard); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > impatient().Call {
		t.Errorf("it was stopped for %v", took)
	}
}
