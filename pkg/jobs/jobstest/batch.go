package jobstest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// batches are the parts of the contract of jobs.Batcher.
var batches = map[string]func(*testing.T, *harness, jobs.Batcher){
	"batch":                  testBatch,
	"batch, one bad":         testBatchOneBad,
	"batch, one staged":      testBatchOneStaged,
	"batch, cancelled":       testBatchCancelled,
	"batch, left on its way": testBatchLeft,
	"batch, by replicas":     testBatchByReplicas,
}

// Batch puts the files of jobs of one table and token together.
func Batch(all ...jobs.Job) jobs.Batch {
	b := all[0].Batch()
	for _, job := range all[1:] {
		b.Files = append(b.Files, job.File)
	}
	return b
}

// threeJobs: a load file and two of changes.
func threeJobs(t *testing.T, h *harness) []jobs.Job {
	t.Helper()
	return []jobs.Job{LoadJob(t, h.raw), changeJob(t, h.raw), laterJob(t, h)}
}

func laterJob(t *testing.T, h *harness) jobs.Job {
	t.Helper()
	return PutJob(t, h.raw, "dms/rms/reports/20240115-070500000.csv", "I,2024-01-15 07:04:00,6,NEW\nD,2024-01-15 07:04:30,5,\n")
}

// badJob: a row without a key.
func badJob(t *testing.T, h *harness) jobs.Job {
	t.Helper()
	return PutJob(t, h.raw, "dms/rms/reports/20240115-070200000.csv", "I,2024-01-15 07:00:30,5,NEW\nI,2024-01-15 07:00:31,,NEW\n")
}

// started remembers for which files a start was told.
type started struct {
	jobs.Nobody
	mu    sync.Mutex
	files []string
}

func (s *started) Started(_ context.Context, file string, _ uint64, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.files, file) {
		s.files = append(s.files, file)
	}
	return nil
}

// testBatch: every file is staged as it is by itself, and told of in its place.
func testBatch(t *testing.T, h *harness, batcher jobs.Batcher) {
	all := threeJobs(t, h)
	slices.Reverse(all) // order is the caller's
	outcomes, err := batcher.RunBatch(t.Context(), Batch(all...), jobs.Nobody{})
	if err != nil || len(outcomes) != len(all) {
		t.Fatalf("the batch gave %v, %v", outcomes, err)
	}
	_, other := h.newBuckets(t)
	alone := h.newRunner(t, h.raw, other)
	for i, job := range all {
		if outcomes[i].Failure != nil || outcomes[i].Staged == nil {
			t.Fatalf("file %d ended with %+v", i, outcomes[i])
		}
		h.manifest(t, job, outcomes[i].Staged)
		want, err := alone.Run(t.Context(), job)
		if err != nil || !proto.Equal(outcomes[i].Staged, want) {
			t.Errorf("file %d is staged as %v, by itself as %v (%v)", i, outcomes[i].Staged, want, err)
		}
	}
}

// testBatchOneBad: a bad file fails, and no other; asked again it is the same.
func testBatchOneBad(t *testing.T, h *harness, batcher jobs.Batcher) {
	all := []jobs.Job{changeJob(t, h.raw), badJob(t, h), laterJob(t, h)}
	for range 2 {
		outcomes, err := batcher.RunBatch(t.Context(), Batch(all...), jobs.Nobody{})
		if err != nil || len(outcomes) != len(all) {
			t.Fatalf("the batch gave %v, %v", outcomes, err)
		}
		for _, i := range []int{0, 2} {
			if outcomes[i].Failure != nil || outcomes[i].Staged == nil {
				t.Fatalf("file %d ended with %+v", i, outcomes[i])
			}
			h.manifest(t, all[i], outcomes[i].Staged)
		}
		bad := outcomes[1]
		if bad.Staged != nil || bad.Failure == nil || bad.OfRun || bad.Failure.Code != transform.CodeKeyNull || bad.Failure.Row != 2 ||
			bad.Failure.ObjectKey != all[1].File.GetObject().GetKey() {
			t.Errorf("the bad file ended with %+v", bad)
		}
	}
}

// testBatchOneStaged: what was staged before a crash is not even read again.
func testBatchOneStaged(t *testing.T, h *harness, batcher jobs.Batcher) {
	all := threeJobs(t, h)
	before, _ := h.run(t, all[1])
	all[1].File = proto.CloneOf(all[1].File)
	all[1].File.Object.Etag, all[1].File.Object.VersionId = "another", ""
	watch := &started{}
	outcomes, err := batcher.RunBatch(t.Context(), Batch(all...), watch)
	if err != nil {
		t.Fatal(err)
	}
	for i, job := range all {
		if outcomes[i].Staged == nil {
			t.Fatalf("file %d ended with %+v", i, outcomes[i])
		}
		h.manifest(t, job, outcomes[i].Staged)
	}
	if !proto.Equal(outcomes[1].Staged, before) {
		t.Errorf("the file is staged as %v, was as %v", outcomes[1].Staged, before)
	}
	if n := len(watch.files); n != 0 && n != len(all) {
		t.Errorf("a start was told of %d files of %d", n, len(all))
	}
}

// testBatchCancelled: what is left of a batch is done by the next call.
func testBatchCancelled(t *testing.T, h *harness, batcher jobs.Batcher) {
	all := threeJobs(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := batcher.RunBatch(ctx, Batch(all...), jobs.Nobody{}); err == nil {
		t.Error("a cancelled batch came to an end")
	}
	h.none(t)
	outcomes, err := batcher.RunBatch(t.Context(), Batch(all...), jobs.Nobody{})
	if err != nil || len(outcomes) != len(all) {
		t.Fatalf("the batch gave %v, %v", outcomes, err)
	}
	for i, job := range all {
		if outcomes[i].Failure != nil || outcomes[i].Staged == nil {
			t.Fatalf("file %d ended with %+v", i, outcomes[i])
		}
		h.manifest(t, job, outcomes[i].Staged)
	}
}

// leaves ends the work of whoever runs a batch when its first start is told, as a fence or
// a crash does.
type leaves struct {
	jobs.Nobody
	end context.CancelFunc
}

func (l leaves) Started(context.Context, string, uint64, string) error {
	l.end()
	return nil
}

// testBatchLeft: whoever comes next brings it to the same ends.
func testBatchLeft(t *testing.T, h *harness, batcher jobs.Batcher) {
	all := []jobs.Job{changeJob(t, h.raw), badJob(t, h), laterJob(t, h)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	left, err := batcher.RunBatch(ctx, Batch(all...), leaves{end: cancel})
	if err == nil && slices.ContainsFunc(left, func(o jobs.Outcome) bool { return !o.Ended() }) {
		t.Errorf("it was left without an error, at %+v", left)
	}
	outcomes, err := batcher.RunBatch(t.Context(), Batch(all...), jobs.Nobody{})
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		if i == 1 {
			if o.Failure == nil || o.Failure.Code != transform.CodeKeyNull || o.OfRun {
				t.Errorf("the bad file ended with %+v", o)
			}
			continue
		}
		if o.Staged == nil {
			t.Fatalf("file %d ended with %+v", i, o)
		}
		h.manifest(t, all[i], o.Staged)
	}
}

// testBatchByReplicas: several that run one batch at once tell of the same ends.
func testBatchByReplicas(t *testing.T, h *harness, batcher jobs.Batcher) {
	all := []jobs.Job{changeJob(t, h.raw), badJob(t, h), laterJob(t, h)}
	type answer struct {
		outcomes []jobs.Outcome
		err      error
	}
	answers := make(chan answer)
	for range 3 {
		go func() {
			outcomes, err := batcher.RunBatch(t.Context(), Batch(all...), jobs.Nobody{})
			answers <- answer{outcomes, err}
		}()
	}
	var first []*blotterv1.StagedFile
	for range 3 {
		a := <-answers
		if a.err != nil || len(a.outcomes) != len(all) || a.outcomes[1].Failure == nil {
			t.Errorf("one of them was told %+v, %v", a.outcomes, a.err)
			continue
		}
		staged := []*blotterv1.StagedFile{a.outcomes[0].Staged, a.outcomes[2].Staged}
		if first == nil {
			first = staged
		}
		for i := range staged {
			if staged[i] == nil || !proto.Equal(staged[i], first[i]) {
				t.Errorf("one of them was told %v, another %v", staged[i], first[i])
			}
		}
	}
}
