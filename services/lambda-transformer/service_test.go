package lambdatransformer

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

var reports = dms.TableID{DB: "rms", Table: "reports"}

// fakeRunner fails as it is told, then succeeds; told to hang, it waits for the
// end of its context.
type fakeRunner struct {
	fail []error
	hang bool
	runs atomic.Int64
}

func (*fakeRunner) Name() string { return "fake" }

func (r *fakeRunner) Run(ctx context.Context, job jobs.Job) (*blotterv1.StagedFile, error) {
	n := int(r.runs.Add(1))
	if r.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if n <= len(r.fail) {
		return nil, r.fail[n-1]
	}
	return &blotterv1.StagedFile{FileId: job.File.GetFileId(), Token: job.Token}, nil
}

type noSpecs struct{}

func (noSpecs) Spec(context.Context, dms.TableID, uint64) (registry.Table, error) {
	return registry.Table{ID: reports}, nil
}

func grant(token uint64, files ...string) *blotterv1.LockGranted {
	g := &blotterv1.LockGranted{
		Token: token, Engine: blotterv1.Engine_ENGINE_LAMBDA, Transform: true, Publish: true,
		Deadline: timestamppb.New(time.Now().Add(time.Hour)),
	}
	for _, f := range files {
		g.Files = append(g.Files, &blotterv1.FileRef{FileId: strings.Repeat(f, 32)})
	}
	return g
}

// said gives the events with which the service, started twice, answers grants.
func said(t *testing.T, runner jobs.Runner, grants ...*blotterv1.LockGranted) []eventlog.Record {
	t.Helper()
	url := eventlogtest.Server(t)
	log, _ := eventlogtest.Open(t, url)
	for n, g := range grants {
		_, err := log.PublishOnce(t.Context(), eventlog.Event{
			Table: reports, Service: "lock-manager", ID: eventlog.ID("lock-manager", reports, "test", string(rune('a'+n))),
			Time: time.Now(), Message: g,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		l, _ := eventlogtest.Open(t, url)
		d := jobs.DispatchConfig{Parallel: 2, Attempts: 3, Backoff: time.Millisecond}
		s, err := New(Config{InProcess: d, Lambda: d}, Deps{
			Log: l, Runner: runner, Specs: noSpecs{}, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		stop := eventlogtest.Run(t, s.Run)
		eventlogtest.Idle(t, log, ServiceName)
		stop()
	}
	return eventlogtest.Read(t, log, eventlog.Filter{Table: reports, Service: ServiceName})
}

func names(records []eventlog.Record) []string {
	var list []string
	for _, r := range records {
		list = append(list, eventlog.EventName(r.Envelope))
	}
	return list
}

func TestPassingFaultsAreTriedAgain(t *testing.T) {
	passing := errors.New("throttled")
	runner := &fakeRunner{fail: []error{passing, passing}}
	records := said(t, runner, grant(1, "a"))
	if got := names(records); !slices.Equal(got, []string{"TransformStarted", "FileTransformed"}) {
		t.Errorf("it says %v", got)
	}
	if n := runner.runs.Load(); n != 3 {
		t.Errorf("%d runs, expected 3", n)
	}
}

func TestFaultsThatDoNotPassBecomeTheFiles(t *testing.T) {
	passing := errors.New("throttled")
	records := said(t, &fakeRunner{fail: []error{passing, passing, passing}}, grant(1, "a"))
	if got := names(records); !slices.Equal(got, []string{"TransformStarted", "TransformFailed"}) {
		t.Fatalf("it says %v", got)
	}
	failure := records[1].Event.(*blotterv1.TransformFailed).GetFailure()
	if failure.GetCode() != "transform.unavailable" || failure.GetHint() == "" {
		t.Errorf("the failure is %v", failure)
	}
}

func TestTheFilesOwnFaultIsFinal(t *testing.T) {
	runner := &fakeRunner{fail: []error{&transform.Failure{Code: "value.type", Row: 3, Column: "id"}}}
	records := said(t, runner, grant(1, "a"))
	if got := names(records); !slices.Equal(got, []string{"TransformStarted", "TransformFailed"}) {
		t.Fatalf("it says %v", got)
	}
	if e := records[1].Event.(*blotterv1.TransformFailed); e.GetFailure().GetRow() != 3 || e.GetToken() != 1 {
		t.Errorf("the event is %v", e)
	}
	if n := runner.runs.Load(); n != 1 {
		t.Errorf("%d runs, expected 1", n)
	}
}

// TestPastTheDeadlineNothingIsSaid: lock-manager has fenced the grant by then.
func TestPastTheDeadlineNothingIsSaid(t *testing.T) {
	g := grant(1, "a")
	g.Deadline = timestamppb.New(time.Now().Add(200 * time.Millisecond))
	for _, name := range names(said(t, &fakeRunner{hang: true}, g)) {
		if name != "TransformStarted" {
			t.Errorf("it says %s", name)
		}
	}
}

func TestOnlyItsOwnGrantsAreRun(t *testing.T) {
	glue, staged := grant(1, "a"), grant(2, "b")
	glue.Engine = blotterv1.Engine_ENGINE_GLUE
	staged.Transform = false
	records := said(t, &fakeRunner{}, glue, staged, grant(3, "c", "d"), grant(4, "c"))
	tokens := map[uint64]int{}
	for _, r := range records {
		if e, ok := r.Event.(*blotterv1.FileTransformed); ok {
			tokens[e.GetStaged().GetToken()]++
		}
	}
	if len(tokens) != 2 || tokens[3] != 2 || tokens[4] != 1 {
		t.Errorf("files transformed by token: %v, expected 2 of token 3 and 1 of token 4", tokens)
	}
}

func TestPlaceOf(t *testing.T) {
	job := registry.Table{Job: registry.Job{Lambda: "transform"}}
	for name, test := range map[string]struct {
		grant  *blotterv1.LockGranted
		spec   registry.Table
		lambda bool
		want   place
	}{
		"a function":                {grant(1), job, true, onLambda},
		"no function":               {grant(1), registry.Table{}, true, inProcess},
		"a function, but no Lambda": {grant(1), job, false, inProcess},
		"another engine":            {&blotterv1.LockGranted{Engine: blotterv1.Engine_ENGINE_GLUE, Transform: true}, job, true, nowhere},
		"staged already":            {&blotterv1.LockGranted{Engine: blotterv1.Engine_ENGINE_LAMBDA}, job, true, nowhere},
	} {
		t.Run(name, func(t *testing.T) {
			if got := placeOf(test.grant, test.spec, test.lambda); got != test.want {
				t.Errorf("it is %d, expected %d", got, test.want)
			}
		})
	}
}

// TestAFenceEndsTheWork: the grant's lane comes free, and nothing more is said.
func TestAFenceEndsTheWork(t *testing.T) {
	url := eventlogtest.Server(t)
	log, _ := eventlogtest.Open(t, url)
	publish := func(id string, event proto.Message) {
		t.Helper()
		_, err := log.PublishOnce(t.Context(), eventlog.Event{
			Table: reports, Service: "lock-manager", ID: eventlog.ID("lock-manager", reports, id), Time: time.Now(), Message: event,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	runner := &fakeRunner{hang: true}
	d := jobs.DispatchConfig{Parallel: 2, Attempts: 3, Backoff: time.Millisecond}
	s, err := New(Config{InProcess: d, Lambda: d}, Deps{
		Log: log, Runner: runner, Specs: noSpecs{}, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	eventlogtest.Run(t, s.Run)
	publish("grant", grant(1, "a"))
	eventlogtest.Eventually(t, "the transform runs", func() bool { return runner.runs.Load() == 1 })
	publish("fence", &blotterv1.FenceRequested{Token: 1, Reason: "forced"})
	eventlogtest.Idle(t, log, ServiceName)
	eventlogtest.Idle(t, log, jobs.FencesName(ServiceName))
	if got := eventlogtest.Names(t, log, eventlog.Filter{Table: reports, Service: ServiceName}); !slices.Equal(got, []string{"TransformStarted"}) {
		t.Errorf("it says %v", got)
	}
}
