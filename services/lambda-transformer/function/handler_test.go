package main

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/lambda/invocation"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
)

// site is a handler between two folders, and a plan for it.
type site struct {
	t       *testing.T
	handler *handler
	staging objects.Bucket
	plan    plan.Plan
	opened  int
}

func newSite(t *testing.T) *site {
	t.Helper()
	raw, staging := jobstest.Buckets(t)
	job := jobstest.LoadJob(t, raw)
	maker := plan.Maker{Raw: plan.Place{Name: "raw", URI: "s3://raw"}, Staging: plan.Place{Name: "staging", URI: "s3://staging"}}
	s := &site{t: t, staging: staging, plan: maker.Make(job.Table, job.Token, time.Time{}, wire.FileOf(job.File))}
	cfg, _, err := configOf("512")
	if err != nil {
		t.Fatal(err)
	}
	cfg.ScratchDir = t.TempDir()
	s.handler = &handler{cfg: cfg, open: func(_ context.Context, place plan.Place, readOnly bool) (objects.Bucket, error) {
		s.opened++
		if readOnly != (place == s.plan.Raw) {
			t.Errorf("%s is opened with read only %v", place.URI, readOnly)
		}
		if readOnly {
			return raw, nil
		}
		return staging, nil
	}}
	return s
}

func (s *site) invoke(ctx context.Context) (invocation.Answer, error) {
	s.t.Helper()
	request, err := json.Marshal(s.plan)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.handler.handle(ctx, request)
}

// failure gives what the function left beside the output.
func (s *site) failure() *transform.Failure {
	s.t.Helper()
	f, err := transform.ReadFailure(s.t.Context(), s.staging, s.plan.Table.ID, s.plan.Files[0].ID, s.plan.Token)
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

func TestAFileIsStaged(t *testing.T) {
	s := newSite(t)
	for range 2 { // as Lambda repeats an asynchronous invocation
		answer, err := s.invoke(t.Context())
		if err != nil || answer.Stage != s.plan.Stage {
			t.Fatalf("it answers %+v, %v", answer, err)
		}
		staged, err := transform.FindStaged(t.Context(), s.staging, s.plan.Job(0))
		if err != nil || staged == nil || staged.Staged().GetCounts().GetRowsRead() != 3 {
			t.Errorf("it staged %+v, %v", staged, err)
		}
	}
	if s.opened != 2 {
		t.Errorf("buckets were opened %d times, expected 2", s.opened)
	}
}

func TestTheFilesFaultIsLeftBesideTheOutput(t *testing.T) {
	s := newSite(t)
	s.plan.Files[0].Object.ETag, s.plan.Files[0].Object.VersionID = "another", ""
	if answer, err := s.invoke(t.Context()); err != nil || answer.Stage != s.plan.Stage {
		t.Fatalf("it answers %+v, %v", answer, err)
	}
	if f := s.failure(); f == nil || f.Code != transform.CodeObjectChanged {
		t.Errorf("it left %+v", f)
	}
}

// TestTheFunctionTellsItsOwnTimeout: before Lambda ends it.
func TestTheFunctionTellsItsOwnTimeout(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithTimeout(t.Context(), margin-time.Second)
	defer cancel()
	if _, err := s.invoke(ctx); err != nil {
		t.Fatal(err)
	}
	if f := s.failure(); f == nil || f.Code != wire.FailureTimeout || f.Hint == "" {
		t.Errorf("it left %+v", f)
	}
}

// TestAGrantThatIsOverIsNoFaultOfTheFile: it may pass, and leaves nothing.
func TestAGrantThatIsOverIsNoFaultOfTheFile(t *testing.T) {
	s := newSite(t)
	s.plan.Deadline = time.Unix(1, 0)
	if _, err := s.invoke(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it gives %v", err)
	}
	if f := s.failure(); f != nil {
		t.Errorf("it left %+v", f)
	}
}

func TestWhatIsNoPlanOfOneFileIsRefused(t *testing.T) {
	s := newSite(t)
	if _, err := s.handler.handle(t.Context(), json.RawMessage(`"hello"`)); err == nil {
		t.Error("a greeting was taken for a plan")
	}
	s.plan.Files = append(s.plan.Files, s.plan.Files[0])
	if _, err := s.invoke(t.Context()); err == nil {
		t.Error("a plan of two files was taken")
	}
}

func TestLimitsOfThePlanAreKept(t *testing.T) {
	cfg := limited(transform.DefaultConfig(), plan.Limits{MaxFieldBytes: 1, MaxFileBytes: 2, MaxFileRows: 3})
	if cfg.MaxFieldBytes != 1 || cfg.MaxFileBytes != 2 || cfg.MaxFileRows != 3 {
		t.Errorf("the configuration is %+v", cfg)
	}
	if limited(cfg, plan.Limits{}) != cfg {
		t.Error("limits that are not set change something")
	}
}

func TestMemory(t *testing.T) {
	most := transform.DefaultConfig().MemoryBytes
	for memory, want := range map[string]int64{"128": 32 << 20, "32": leastRows, "10240": most, "": most} {
		if cfg, _, err := configOf(memory); err != nil || cfg.MemoryBytes != want {
			t.Errorf("%q: %d, %v; expected %d", memory, cfg.MemoryBytes, err, want)
		}
	}
	for _, memory := range []string{"plenty", "0"} {
		if _, _, err := configOf(memory); err == nil {
			t.Errorf("%q was taken for megabytes", memory)
		}
	}
}

func TestPlacesThatAFunctionCannotReach(t *testing.T) {
	for _, uri := range []string{"file:///raw", "raw", "s3://", "s3://another"} {
		if _, err := openS3(t.Context(), plan.Place{Name: "raw", URI: uri}, true); err == nil {
			t.Errorf("%q was opened", uri)
		}
	}
}

// TestTheFunctionIsSmall: a cold start reads all that it links.
func TestTheFunctionIsSmall(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, heavy := range []string{
		"github.com/apache/", "modernc.org/sqlite", "github.com/nats-io/", "github.com/openblotter/blotter/pkg/lake", "github.com/openblotter/blotter/pkg/eventlog",
	} {
		if strings.Contains("\n"+string(out), "\n"+heavy) {
			t.Errorf("the function links %s", heavy)
		}
	}
}
