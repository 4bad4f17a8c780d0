package lambda_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/lambda"
	"github.com/openblotter/blotter/pkg/jobs/lambda/invocation"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

const functionNamed = "blotter-transform"

// fault is how one invocation goes wrong.
type fault struct {
	code       string // refuses the call, with status
	status     int
	errorType  string // the function fails so, with message and the log's REPORT line
	message    string
	report     string
	loseAnswer bool   // after the function has run
	loseRun    bool   // the function does not run, and says nothing
	answer     string // instead of the function's
}

// fakeLambda speaks the protocol of Invoke and runs a Go function.
type fakeLambda struct {
	http     *httptest.Server
	function func(ctx context.Context, payload []byte) (any, error)
	running  sync.WaitGroup
	ctx      context.Context

	mu     sync.Mutex
	faults []fault
	kinds  []string // of the invocations that came
}

func newFake(t *testing.T, function func(context.Context, []byte) (any, error)) *fakeLambda {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	f := &fakeLambda{function: function, ctx: ctx}
	f.http = httptest.NewServer(f)
	t.Cleanup(func() {
		cancel()
		f.http.Close()
		f.running.Wait()
	})
	return f
}

func (f *fakeLambda) client() *awslambda.Client {
	return awslambda.New(awslambda.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(f.http.URL), HTTPClient: f.http.Client(),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
}

func (f *fakeLambda) inject(faults ...fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, faults...)
}

func (f *fakeLambda) invocations() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.kinds...)
}

func (f *fakeLambda) take(kind string) fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kinds = append(f.kinds, kind)
	if len(f.faults) == 0 {
		return fault{}
	}
	next := f.faults[0]
	f.faults = f.faults[1:]
	return next
}

func (f *fakeLambda) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.Path, "/2015-03-31/functions/")
	name, ok2 := strings.CutSuffix(name, "/invocations")
	payload, err := io.ReadAll(r.Body)
	if !ok || !ok2 || err != nil || r.Method != http.MethodPost {
		refuse(w, http.StatusBadRequest, "InvalidRequestContentException")
		return
	}
	if name != functionNamed {
		refuse(w, http.StatusNotFound, "ResourceNotFoundException")
		return
	}
	kind := r.Header.Get("X-Amz-Invocation-Type")
	bad := f.take(kind)
	w.Header().Set("X-Amzn-Requestid", fmt.Sprintf("request-%d", len(f.invocations())))
	switch {
	case bad.code != "":
		refuse(w, bad.status, bad.code)
		return
	case kind == "Event":
		if !bad.loseRun {
			f.running.Go(func() { _, _ = f.function(f.ctx, payload) }) // nobody hears its answer
		}
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString([]byte(
		"START\nEND\nREPORT RequestId: x\tDuration: 1400.1 ms\tBilled Duration: 1500 ms\tMemory Size: 512 MB\tMax Memory Used: 100 MB\t\n"+bad.report)))
	if bad.errorType != "" {
		fail(w, bad.errorType, bad.message)
		return
	}
	out, err := f.function(r.Context(), payload)
	switch {
	case bad.loseAnswer:
		panic(http.ErrAbortHandler)
	case err != nil:
		fail(w, "wrapError", err.Error())
	case bad.answer != "":
		_, _ = io.WriteString(w, bad.answer)
	default:
		_ = json.NewEncoder(w).Encode(out) // a lost answer is the caller's to notice
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("X-Amzn-Errortype", code)
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"Type":"User","message":"as the test wants it"}`)
}

func fail(w http.ResponseWriter, kind, message string) {
	w.Header().Set("X-Amz-Function-Error", "Unhandled")
	_ = json.NewEncoder(w).Encode(map[string]string{"errorType": kind, "errorMessage": message})
}

// function is Blotter's, between two buckets.
func function(raw, staging objects.Bucket) func(context.Context, []byte) (any, error) {
	return func(ctx context.Context, payload []byte) (any, error) {
		p, err := plan.Decode(payload)
		if err != nil {
			return nil, err
		}
		_, err = transform.Run(ctx, transform.DefaultConfig(), transform.Deps{Raw: raw, Staging: staging}, p.Job(0))
		var failure *transform.Failure
		if errors.As(err, &failure) {
			err = transform.WriteFailure(ctx, staging, p.Table.ID, p.Files[0].ID, p.Token, failure)
		}
		return invocation.Answer{Stage: p.Stage}, err
	}
}

// impatient is a configuration for a Lambda that lies beside us.
func impatient() lambda.Config {
	ms := time.Millisecond
	return lambda.Config{
		Runs: 3, BytesPerSecond: 1 << 20, SyncLimit: time.Minute, Limit: time.Minute, QueueLimit: time.Second,
		PollMin: ms, PollMax: 10 * ms, StartMin: ms, StartMax: 10 * ms,
	}
}

// asynchronous has every file transformed by an asynchronous invocation.
func asynchronous() lambda.Config {
	cfg := impatient()
	cfg.SyncLimit = 0
	return cfg
}

func newRunner(t *testing.T, cfg lambda.Config, api lambda.API, staging objects.Bucket) *lambda.Runner {
	t.Helper()
	r, err := lambda.New(cfg, lambda.Deps{
		API: api, Staging: staging, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Plan: jobs.Documents(plan.Maker{Raw: plan.Place{Name: "raw", URI: "s3://raw"}, Staging: plan.Place{Name: "staging", URI: "s3://staging"}}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// heard is a jobs.Watch that remembers.
type heard struct {
	mu      sync.Mutex
	started []string
	ended   []jobs.RunEnd
}

func (*heard) Alive(context.Context, uint64) error { return nil }

func (h *heard) Started(_ context.Context, _ string, _ uint64, run string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.started = append(h.started, run)
	return nil
}

func (h *heard) Ended(_ context.Context, end jobs.RunEnd) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = append(h.ended, end)
	return nil
}

func (h *heard) states() []string {
	var all []string
	for _, e := range h.ended {
		all = append(all, e.State)
	}
	return all
}

// bench is one job, its buckets and its Lambda.
type bench struct {
	raw, staging objects.Bucket
	job          jobs.Job
	fake         *fakeLambda
	runner       *lambda.Runner
	heard        heard
}

func newBench(t *testing.T, cfg lambda.Config, faults ...fault) *bench {
	t.Helper()
	b := &bench{}
	b.raw, b.staging = jobstest.Buckets(t)
	b.job = jobstest.LoadJob(t, b.raw)
	b.job.Table.Job.Lambda = functionNamed
	b.fake = newFake(t, function(b.raw, b.staging))
	b.fake.inject(faults...)
	b.runner = newRunner(t, cfg, b.fake.client(), b.staging)
	return b
}

// mustStage runs the job to its good end and checks the number of invocations.
func (b *bench) mustStage(t *testing.T, invocations int) {
	t.Helper()
	staged, err := b.runner.Follow(t.Context(), b.job, &b.heard)
	if err != nil {
		t.Fatal(err)
	}
	if staged.GetCounts().GetRowsRead() != 3 || staged.GetManifestSha256() == "" {
		t.Errorf("it staged %v", staged)
	}
	if got := b.fake.invocations(); len(got) != invocations {
		t.Errorf("the invocations are %v, expected %d", got, invocations)
	}
}

// mustFail runs the job to a failure with this code.
func (b *bench) mustFail(t *testing.T, code string) transform.Failure {
	t.Helper()
	_, err := b.runner.Follow(t.Context(), b.job, &b.heard)
	var failure *transform.Failure
	if !errors.As(err, &failure) {
		t.Fatalf("it ended with %v, expected the failure %s", err, code)
	}
	if failure.Code != code || failure.Hint == "" || failure.ObjectKey != b.job.File.GetObject().GetKey() {
		t.Errorf("the failure is %+v, expected %s with object and hint", failure, code)
	}
	return *failure
}

// named gives every job of the contract suite the name of a function.
type named struct{ *lambda.Runner }

func (n named) Run(ctx context.Context, job jobs.Job) (*blotterv1.StagedFile, error) {
	job.Table.Job.Lambda = functionNamed
	return n.Runner.Run(ctx, job)
}
