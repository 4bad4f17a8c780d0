package jobstest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// NewRunner makes a runner that reads one bucket and stages into another.
type NewRunner func(t *testing.T, raw, staging objects.Bucket) jobs.Runner

// Run checks an adapter: what it stages is proven by a manifest, running again
// changes nothing, faults of a file come as *transform.Failure and leave nothing
// that counts as staged, other faults do not. Of a jobs.Batcher it checks the same of
// several files at once: one that is bad keeps no other from being staged, and what is
// staged already is not staged again.
func Run(t *testing.T, newRunner NewRunner) { RunBetween(t, Buckets, newRunner) }

// Skip leaves out one part of the contract where a stand-in, not the adapter, cannot
// keep it.
type Skip struct{ Test, Reason string }

// RunBetween is Run with buckets of another kind; newBuckets makes empty ones.
func RunBetween(
	t *testing.T, newBuckets func(*testing.T) (raw, staging objects.Bucket), newRunner NewRunner, skips ...Skip,
) {
	for name, test := range map[string]func(*testing.T, *harness){
		"named":             testNamed,
		"load":              testLoad,
		"changes":           testChanges,
		"again":             testAgain,
		"same bytes":        testSameBytes,
		"bad row":           testBadRow,
		"object changed":    testObjectChanged,
		"cancelled":         testCancelled,
		"several at a time": testSeveral,
	} {
		t.Run(name, func(t *testing.T) {
			for _, skip := range skips {
				if skip.Test == name {
					t.Skip(skip.Reason)
				}
			}
			test(t, newHarness(t, newBuckets, newRunner))
		})
	}
	for name, test := range batches {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, newBuckets, newRunner)
			batcher, ok := h.runner.(jobs.Batcher)
			if !ok {
				t.Skip("its runs take one file")
			}
			test(t, h, batcher)
		})
	}
}

type harness struct {
	newBuckets   func(*testing.T) (raw, staging objects.Bucket)
	raw, staging objects.Bucket
	newRunner    NewRunner
	runner       jobs.Runner
}

func newHarness(t *testing.T, newBuckets func(*testing.T) (raw, staging objects.Bucket), newRunner NewRunner) *harness {
	t.Helper()
	raw, staging := newBuckets(t)
	return &harness{newBuckets: newBuckets, raw: raw, staging: staging, newRunner: newRunner, runner: newRunner(t, raw, staging)}
}

func (h *harness) run(t *testing.T, job jobs.Job) (*blotterv1.StagedFile, transform.Manifest) {
	t.Helper()
	staged, err := h.runner.Run(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	return staged, h.manifest(t, job, staged)
}

// manifest reads and checks what an answer names, and every file that it names.
func (h *harness) manifest(t *testing.T, job jobs.Job, staged *blotterv1.StagedFile) transform.Manifest {
	t.Helper()
	m, err := transform.ReadManifest(t.Context(), h.staging, staged.GetManifestKey(), staged.GetManifestSha256())
	if err != nil {
		t.Fatal(err)
	}
	if staged.GetFileId() != job.File.GetFileId() || staged.GetToken() != job.Token || !proto.Equal(staged.GetCounts(), m.Counts.Proto()) {
		t.Errorf("the answer %v does not fit the job or its manifest", staged)
	}
	if m.Table != job.Table.ID || m.SpecVersion != job.Table.Version || string(m.FileID) != job.File.GetFileId() || m.Token != job.Token {
		t.Errorf("the manifest is of another job: %+v", m)
	}
	for _, file := range slices.Concat(m.Rows, m.Deletes) {
		if err := transform.VerifySHA256(t.Context(), h.staging, file); err != nil {
			t.Error(err)
		}
	}
	return m
}

// none checks that nothing counts as staged.
func (h *harness) none(t *testing.T) {
	t.Helper()
	for info, err := range h.staging.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(info.Key, "/"+transform.ManifestName) {
			t.Errorf("%s was left", info.Key)
		}
	}
}

func testNamed(t *testing.T, h *harness) {
	if h.runner.Name() == "" {
		t.Error("the runner has no name")
	}
}

func testLoad(t *testing.T, h *harness) {
	_, m := h.run(t, LoadJob(t, h.raw))
	want := transform.Counts{RowsRead: 3, Inserts: 3, DuplicatesDropped: 1}
	if m.Counts != want || len(m.Rows) != 1 || m.Rows[0].Rows != 2 || len(m.Deletes) != 0 {
		t.Errorf("staged %+v", m)
	}
}

func testChanges(t *testing.T, h *harness) {
	_, m := h.run(t, changeJob(t, h.raw))
	want := transform.Counts{RowsRead: 3, Inserts: 1, Updates: 1, Deletes: 1, DuplicatesDropped: 1}
	if m.Counts != want || len(m.Rows) != 1 || m.Rows[0].Rows != 1 || len(m.Deletes) != 1 || m.Deletes[0].Rows != 1 {
		t.Errorf("staged %+v", m)
	}
}

func testAgain(t *testing.T, h *harness) {
	job := changeJob(t, h.raw)
	first, _ := h.run(t, job)
	again, _ := h.run(t, job)
	if !proto.Equal(first, again) {
		t.Errorf("the second run answers %v, the first %v", again, first)
	}
	job.Token++
	later, m := h.run(t, job)
	if later.GetManifestKey() == first.GetManifestKey() || m.Token != job.Token {
		t.Errorf("another token answers %v", later)
	}
}

// testSameBytes: another runner stages the same bytes elsewhere.
func testSameBytes(t *testing.T, h *harness) {
	job := changeJob(t, h.raw)
	first, _ := h.run(t, job)
	_, other := h.newBuckets(t)
	again, err := h.newRunner(t, h.raw, other).Run(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(first, again) {
		t.Errorf("another runner answers %v, the first %v", again, first)
	}
}

func testBadRow(t *testing.T, h *harness) {
	job := badJob(t, h)
	_, err := h.runner.Run(t.Context(), job)
	var failure *transform.Failure
	if !errors.As(err, &failure) {
		t.Fatalf("a row without a key gave %v", err)
	}
	if failure.Code != transform.CodeKeyNull || failure.Row != 2 || failure.Column != "id" || failure.ObjectKey != job.File.GetObject().GetKey() {
		t.Errorf("the failure is %+v", failure)
	}
	h.none(t)
}

func testObjectChanged(t *testing.T, h *harness) {
	job := changeJob(t, h.raw)
	job.File.Object.Etag = "another"
	job.File.Object.VersionId = ""
	_, err := h.runner.Run(t.Context(), job)
	var failure *transform.Failure
	if !errors.As(err, &failure) || failure.Code != transform.CodeObjectChanged {
		t.Errorf("another version gave %v", err)
	}
	h.none(t)
}

func testCancelled(t *testing.T, h *harness) {
	job := changeJob(t, h.raw)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.runner.Run(ctx, job)
	var failure *transform.Failure
	if err == nil || errors.As(err, &failure) {
		t.Errorf("a cancelled job gave %v", err)
	}
	h.none(t)
	h.run(t, job)
}

func testSeveral(t *testing.T, h *harness) {
	all := []jobs.Job{LoadJob(t, h.raw), changeJob(t, h.raw)}
	all = append(all, all...)
	type answer struct {
		job    jobs.Job
		staged *blotterv1.StagedFile
		err    error
	}
	answers := make(chan answer)
	for _, job := range all {
		go func() {
			staged, err := h.runner.Run(t.Context(), job)
			answers <- answer{job, staged, err}
		}()
	}
	for range all {
		a := <-answers
		if a.err != nil {
			t.Error(a.err)
			continue
		}
		h.manifest(t, a.job, a.staged)
	}
}
