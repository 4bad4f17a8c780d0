package glue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/glue"
	"github.com/openblotter/blotter/pkg/jobs/glue/gluetest"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

const jobNamed = "blotter-transform"

// plan is the plan of these tests: all that their job needs to know.
type plan struct {
	Table json.RawMessage   `json:"table"`
	Files []json.RawMessage `json:"files"`
	Token uint64            `json:"token"`
}

func planOf(_ context.Context, b jobs.Batch) ([]byte, error) {
	table, err := b.Table.JSON()
	if err != nil {
		return nil, err
	}
	p := plan{Table: table, Token: b.Token}
	for _, f := range b.Files {
		file, err := protojson.Marshal(f)
		if err != nil {
			return nil, err
		}
		p.Files = append(p.Files, file)
	}
	return json.Marshal(p)
}

// script is a Glue job in Go: it does what the plan says and leaves a manifest or
// a failure.
func script(raw, staging objects.Bucket) gluetest.Script {
	return func(ctx context.Context, args map[string]string) error {
		key, ok := strings.CutPrefix(args["--blotter_plan"], "test://")
		if !ok || args["--blotter_stage"]+"plan.json" != key {
			return fmt.Errorf("the arguments are %v", args)
		}
		work, err := readPlan(ctx, staging, key)
		if err != nil {
			return err
		}
		for _, job := range work {
			if err := stageOne(ctx, raw, staging, job); err != nil {
				return err
			}
		}
		return nil
	}
}

// stageOne leaves the manifest of a file, or its failure.
func stageOne(ctx context.Context, raw, staging objects.Bucket, job transform.Job) error {
	_, err := transform.Run(ctx, transform.DefaultConfig(), transform.Deps{Raw: raw, Staging: staging}, job)
	var failure *transform.Failure
	if errors.As(err, &failure) {
		err = transform.WriteFailure(ctx, staging, job.Table.ID, job.File.ID, job.Token, failure)
	}
	return err
}

func readPlan(ctx context.Context, staging objects.Bucket, key string) ([]transform.Job, error) {
	r, err := staging.Open(ctx, key, objects.Version{})
	if err != nil {
		return nil, err
	}
	var p plan
	if err := errors.Join(json.NewDecoder(r).Decode(&p), r.Close()); err != nil {
		return nil, err
	}
	table, err := registry.ParseTable(p.Table)
	if err != nil {
		return nil, err
	}
	var work []transform.Job
	for _, data := range p.Files {
		var file blotterv1.FileRef
		if err := protojson.Unmarshal(data, &file); err != nil {
			return nil, err
		}
		work = append(work, transform.Job{Table: table, File: wire.FileOf(&file), Token: p.Token})
	}
	return work, nil
}

// impatient is a configuration for a Glue that lies beside us.
func impatient() glue.Config {
	ms := time.Millisecond
	return glue.Config{
		Runs: 3, PollMin: ms, PollMax: 10 * ms, StartMin: ms, StartMax: 10 * ms,
		Settle: 100 * ms, Pages: 5, Misses: 5, StopWait: time.Minute, Call: 10 * time.Second,
	}
}

func newRunner(t *testing.T, cfg glue.Config, s *gluetest.Server, staging objects.Bucket) *glue.Runner {
	t.Helper()
	return newRunnerOver(t, cfg, s.Client(), staging)
}

func newRunnerOver(t *testing.T, cfg glue.Config, api glue.API, staging objects.Bucket) *glue.Runner {
	t.Helper()
	r, err := glue.New(cfg, glue.Deps{
		API: api, Staging: staging, Plan: planOf, Address: func(key string) string { return "test://" + key },
		Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// named gives every job of the contract suite the name of a Glue job.
type named struct{ *glue.Runner }

func (n named) Run(ctx context.Context, job jobs.Job) (*blotterv1.StagedFile, error) {
	return jobs.RunOne(ctx, n, job)
}

func (n named) RunBatch(ctx context.Context, b jobs.Batch, watch jobs.Watch) ([]jobs.Outcome, error) {
	b.Table.Job.Glue = "arn:aws:glue:us-east-1:000000000000:job/" + jobNamed
	return n.Runner.RunBatch(ctx, b, watch)
}

func TestRunner(t *testing.T) {
	jobstest.Run(t, func(t *testing.T, raw, staging objects.Bucket) jobs.Runner {
		s := gluetest.New(t, jobNamed, script(raw, staging))
		return named{newRunner(t, impatient(), s, staging)}
	})
}

// heard is a jobs.Watch that remembers.
type heard struct {
	mu      sync.Mutex
	started []string
	ended   []jobs.RunEnd
	fail    error
	fenced  error // what Alive fails with
}

func (h *heard) Alive(context.Context, uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fenced
}

// fence has Alive fail from now on.
func (h *heard) fence(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fenced = err
}

func (h *heard) Started(_ context.Context, _ string, _ uint64, run string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.started, run) {
		h.started = append(h.started, run)
	}
	return h.fail
}

func (h *heard) Ended(_ context.Context, end jobs.RunEnd) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = append(h.ended, end)
	return nil
}

// states gives how the runs ended, in the order in which that was told.
func (h *heard) states() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []string
	for _, e := range h.ended {
		all = append(all, e.State)
	}
	return all
}

// bench is one job, its buckets and its Glue.
type bench struct {
	raw, staging objects.Bucket
	job          jobs.Job
	server       *gluetest.Server
	runner       *glue.Runner
	heard        heard
}

// newBench makes a bench; wrap may change what the job's script does.
func newBench(t *testing.T, cfg glue.Config, wrap func(gluetest.Script) gluetest.Script) *bench {
	t.Helper()
	b := &bench{}
	b.raw, b.staging = jobstest.Buckets(t)
	b.job = jobstest.LoadJob(t, b.raw)
	b.job.Table.Job.Glue = jobNamed
	run := script(b.raw, b.staging)
	if wrap != nil {
		run = wrap(run)
	}
	b.server = gluetest.New(t, jobNamed, run)
	b.runner = newRunner(t, cfg, b.server, b.staging)
	return b
}

func (b *bench) follow(ctx context.Context) (*blotterv1.StagedFile, error) {
	outcomes, err := b.runner.RunBatch(ctx, b.job.Batch(), &b.heard)
	if err != nil {
		return nil, err
	}
	if outcomes[0].OfRun {
		return nil, errors.New("the failure of a run of one file is the file's")
	}
	if outcomes[0].Failure != nil {
		return nil, outcomes[0].Failure
	}
	return outcomes[0].Staged, nil
}

// fencedGrant is the grant of the job, once it is fenced.
func (b *bench) fencedGrant() jobs.FencedGrant {
	return jobs.FencedGrant{
		Table: b.job.Table, Token: b.job.Token, Files: b.job.Batch().Files, Granted: time.Now().Add(-time.Minute),
	}
}

// mustStage runs the job to its good end and checks the number of runs behind it.
func (b *bench) mustStage(t *testing.T, runs int) {
	t.Helper()
	staged, err := b.follow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if staged.GetCounts().GetRowsRead() != 3 || staged.GetToken() != b.job.Token {
		t.Errorf("it staged %v", staged)
	}
	if n := len(b.server.Runs()); n != runs {
		t.Errorf("%d runs were started, expected %d", n, runs)
	}
}

// mustFail runs the job to a failure with this code.
func (b *bench) mustFail(t *testing.T, code string) transform.Failure {
	t.Helper()
	_, err := b.follow(t.Context())
	var failure *transform.Failure
	if !errors.As(err, &failure) {
		t.Fatalf("it ended with %v, expected the failure %s", err, code)
	}
	if failure.Code != code || failure.Hint == "" || failure.ObjectKey != b.job.File.GetObject().GetKey() {
		t.Errorf("the failure is %+v, expected %s with object and hint", failure, code)
	}
	return *failure
}

// brokenBucket takes no new objects.
type brokenBucket struct{ objects.Bucket }

func (brokenBucket) Create(context.Context, string) (objects.Writer, error) { return nil, errLost }
