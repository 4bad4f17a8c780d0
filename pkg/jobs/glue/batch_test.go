package glue_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	awsglue "github.com/aws/aws-sdk-go-v2/service/glue"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/glue"
	"github.com/openblotter/blotter/pkg/jobs/glue/gluetest"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
)

// batchBench is a grant of three files, and what its job stages of each.
type batchBench struct {
	*bench
	batch  jobs.Batch
	mu     sync.Mutex
	staged map[dms.FileID]int // how often
}

// newBatchBench makes one; before is asked before a file is staged, and ends the run with
// its error.
func newBatchBench(t *testing.T, before func(run, file int) error) *batchBench {
	t.Helper()
	b := &batchBench{bench: newBench(t, impatient(), nil), staged: map[dms.FileID]int{}}
	b.batch = jobstest.Batch(b.job,
		jobstest.PutJob(t, b.raw, "dms/rms/reports/LOAD00000002.csv", "2024-01-15 07:00:00,7,"+strings.Repeat("LONG", 500)+"\n"),
		jobstest.PutJob(t, b.raw, "dms/rms/reports/LOAD00000003.csv", "2024-01-15 07:00:00,8,NEW\n"))
	runs := 0
	b.server = gluetest.New(t, jobNamed, func(ctx context.Context, args map[string]string) error {
		b.mu.Lock()
		runs++
		run := runs
		b.mu.Unlock()
		work, err := readPlan(ctx, b.staging, strings.TrimPrefix(args["--blotter_plan"], "test://"))
		if err != nil {
			return err
		}
		for n, job := range work {
			if before != nil {
				if err := before(run, n); err != nil {
					return err
				}
			}
			if done, err := transform.FindStaged(ctx, b.staging, job); done != nil || err != nil {
				if err != nil {
					return err
				}
				continue
			}
			if err := stageOne(ctx, b.raw, b.staging, job); err != nil {
				return err
			}
			b.mu.Lock()
			b.staged[job.File.ID]++
			b.mu.Unlock()
		}
		return nil
	})
	b.runner = newRunner(t, impatient(), b.server, b.staging)
	return b
}

// checkStaged checks that the files with these numbers are staged, each once.
func (b *batchBench) checkStaged(t *testing.T, outcomes []jobs.Outcome, files ...int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, ref := range b.batch.Files {
		is := len(outcomes) > i && outcomes[i].Staged != nil
		if is != slices.Contains(files, i) {
			t.Errorf("file %d ended with %+v", i, outcomes[i])
		}
		if n := b.staged[dms.FileID(ref.GetFileId())]; is && n != 1 {
			t.Errorf("file %d was staged %d times", i, n)
		}
	}
}

// checkEnds checks what was told of each run: of every file once, and a cost that adds up
// to that of the run.
func (b *batchBench) checkEnds(t *testing.T, states ...string) {
	t.Helper()
	type told struct {
		state string
		files int
		dpu   float64
	}
	runs := map[string]*told{}
	var order []string
	for _, e := range b.heard.ended {
		if runs[e.Run] == nil {
			runs[e.Run] = &told{state: e.State}
			order = append(order, e.Run)
		}
		runs[e.Run].files++
		runs[e.Run].dpu += e.DPUSeconds
	}
	var got []string
	for _, id := range order {
		got = append(got, runs[id].state)
		if runs[id].files != len(b.batch.Files) || math.Abs(runs[id].dpu-2) > 1e-9 { // a second on two DPUs
			t.Errorf("of run %s it was told %+v", id, runs[id])
		}
	}
	if !slices.Equal(got, states) {
		t.Errorf("the ends told are %v, expected %v", got, states)
	}
}

// TestABatchIsOneRun: its files share the cost by their sizes.
func TestABatchIsOneRun(t *testing.T) {
	b := newBatchBench(t, nil)
	for range 2 { // the second time it is there
		outcomes, err := b.runner.RunBatch(t.Context(), b.batch, &b.heard)
		if err != nil {
			t.Fatal(err)
		}
		b.checkStaged(t, outcomes, 0, 1, 2)
	}
	if n := len(b.server.Runs()); n != 1 || len(b.heard.started) != 1 {
		t.Errorf("%d runs, told of %v", n, b.heard.started)
	}
	b.heard.ended = b.heard.ended[:min(len(b.heard.ended), 3)] // told again, the log takes it once
	b.checkEnds(t, "SUCCEEDED")
	if small, large := b.heard.ended[0].DPUSeconds, b.heard.ended[1].DPUSeconds; large <= small || small <= 0 {
		t.Errorf("a small file costs %v, a large one %v", small, large)
	}
}

// TestWhatARunThatBrokeOffHasStagedStays: the next run does the rest.
func TestWhatARunThatBrokeOffHasStagedStays(t *testing.T) {
	b := newBatchBench(t, func(run, file int) error {
		if run == 1 && file == 2 {
			return errors.New("out of memory")
		}
		return nil
	})
	outcomes, err := b.runner.RunBatch(t.Context(), b.batch, &b.heard)
	if err != nil {
		t.Fatal(err)
	}
	b.checkStaged(t, outcomes, 0, 1, 2)
	b.checkEnds(t, "FAILED", "SUCCEEDED")
}

// TestARunThatFailsOverWhoKnowsWhat fails the files that it left, and no other; each is
// in doubt.
func TestARunThatFailsOverWhoKnowsWhat(t *testing.T) {
	b := newBatchBench(t, func(_, file int) error {
		if file == 1 {
			return errors.New("out of memory")
		}
		return nil
	})
	outcomes, err := b.runner.RunBatch(t.Context(), b.batch, &b.heard)
	if err != nil {
		t.Fatal(err)
	}
	b.checkStaged(t, outcomes, 0)
	b.checkEnds(t, "FAILED", "FAILED", "FAILED")
	for _, i := range []int{1, 2} {
		o := outcomes[i]
		if o.Failure == nil || !o.OfRun || o.Failure.Code != "glue.failed" || o.Failure.ObjectKey != b.batch.Files[i].GetObject().GetKey() {
			t.Errorf("file %d ended with %+v", i, o)
		}
	}
}

// TestARefusedStartIsOfTheRun: no file is at fault.
func TestARefusedStartIsOfTheRun(t *testing.T) {
	b := newBatchBench(t, nil)
	b.server.Inject("StartJobRun", gluetest.Fault{Code: "AccessDeniedException"})
	outcomes, err := b.runner.RunBatch(t.Context(), b.batch, &b.heard)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		if o.Failure == nil || !o.OfRun || o.Failure.Code != "glue.refused" {
			t.Errorf("file %d ended with %+v", i, o)
		}
	}
}

// beforeStart is an API before whose starts something happens.
type beforeStart struct {
	glue.API
	happens func()
}

func (b beforeStart) StartJobRun(ctx context.Context, in *awsglue.StartJobRunInput, opts ...func(*awsglue.Options)) (*awsglue.StartJobRunOutput, error) {
	b.happens()
	return b.API.StartJobRun(ctx, in, opts...)
}

// TestWhatAnotherStagedBeforeAStartWasRefused does not fail with it: two replicas, and the
// other may start runs.
func TestWhatAnotherStagedBeforeAStartWasRefused(t *testing.T) {
	b := newBatchBench(t, nil)
	b.server.Inject("StartJobRun", gluetest.Fault{Code: "AccessDeniedException"})
	runner := newRunnerOver(t, impatient(), beforeStart{b.server.Client(), func() {
		job := transform.Job{Table: b.batch.Table, File: wire.FileOf(b.batch.Files[1]), Token: b.batch.Token}
		if err := stageOne(t.Context(), b.raw, b.staging, job); err != nil {
			t.Error(err)
		}
		b.staged[job.File.ID]++
	}}, b.staging)
	outcomes, err := runner.RunBatch(t.Context(), b.batch, &b.heard)
	if err != nil {
		t.Fatal(err)
	}
	b.checkStaged(t, outcomes, 1)
	for _, i := range []int{0, 2} {
		if o := outcomes[i]; o.Failure == nil || !o.OfRun || o.Failure.Code != "glue.refused" {
			t.Errorf("file %d ended with %+v", i, o)
		}
	}
}

// TestACrashWithinABatchFindsItsRun: half of it is staged.
func TestACrashWithinABatchFindsItsRun(t *testing.T) {
	half, release := make(chan struct{}), make(chan struct{})
	b := newBatchBench(t, func(_, file int) error {
		if file == 1 {
			close(half)
			<-release
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := b.runner.RunBatch(ctx, b.batch, &b.heard)
		ended <- err
	}()
	<-half
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("the first process ended with %v", err)
	}
	close(release)
	outcomes, err := newRunner(t, impatient(), b.server, b.staging).RunBatch(t.Context(), b.batch, &b.heard)
	if err != nil {
		t.Fatal(err)
	}
	b.checkStaged(t, outcomes, 0, 1, 2)
	b.checkEnds(t, "SUCCEEDED")
}

// TestAFenceWithinABatchStopsItsRun: told by another process, of each file.
func TestAFenceWithinABatchStopsItsRun(t *testing.T) {
	half := make(chan struct{})
	b := newBatchBench(t, nil)
	b.server = gluetest.New(t, jobNamed, func(ctx context.Context, args map[string]string) error {
		work, err := readPlan(ctx, b.staging, strings.TrimPrefix(args["--blotter_plan"], "test://"))
		if err == nil {
			err = stageOne(ctx, b.raw, b.staging, work[0])
		}
		close(half)
		<-ctx.Done()
		return errors.Join(err, ctx.Err())
	})
	b.runner = newRunner(t, impatient(), b.server, b.staging)
	ended := make(chan []jobs.Outcome, 1)
	go func() {
		outcomes, err := b.runner.RunBatch(t.Context(), b.batch, &heard{})
		if err != nil {
			t.Error(err)
		}
		ended <- outcomes
	}()
	<-half
	grant := b.fencedGrant()
	grant.Files = b.batch.Files
	other := newRunner(t, impatient(), b.server, b.staging)
	if err := other.Stop(t.Context(), grant, &b.heard); err != nil {
		t.Fatal(err)
	}
	b.checkEnds(t, "STOPPED")
	outcomes := <-ended // whoever followed it sees it stopped
	if outcomes[0].Staged == nil {
		t.Errorf("the first file ended with %+v", outcomes[0])
	}
	for i, o := range outcomes[1:] {
		if o.Failure == nil || o.Failure.Code != "glue.stopped" || !o.OfRun {
			t.Errorf("file %d ended with %+v", i+1, o)
		}
	}
	if n := len(b.server.Runs()); n != 1 {
		t.Errorf("%d runs", n)
	}
}

// TestNoRoomIsToldOfEachFile: and costs none.
func TestNoRoomIsToldOfEachFile(t *testing.T) {
	b := newBatchBench(t, nil)
	b.server.Inject("StartJobRun", slices.Repeat([]gluetest.Fault{{Code: "ConcurrentRunsExceededException"}}, 1000)...)
	timed, stop := context.WithTimeout(t.Context(), impatient().Settle)
	defer stop()
	if _, err := b.runner.RunBatch(timed, b.batch, &b.heard); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("it ended with %v", err)
	}
	var files []string
	for _, e := range b.heard.ended {
		files = append(files, e.FileID)
		if e.State != jobs.StateNotStarted || e.Code != "glue.concurrent_runs" || e.DPUSeconds != 0 || e.Run != "" {
			t.Errorf("it was told %+v", e)
		}
	}
	if len(files) != 3 || files[0] == files[1] || files[1] == files[2] {
		t.Errorf("it was told of %v", files)
	}
}
