package gluedispatcher

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

var aFile = strings.Repeat("a", 32)

// site is a log and what runs on it.
type site struct {
	url  string
	log  *eventlog.Log
	glue *fakeGlue
}

func newSite(t *testing.T, glue *fakeGlue) *site {
	t.Helper()
	s := &site{url: eventlogtest.Server(t), glue: glue}
	s.log, _ = eventlogtest.Open(t, s.url)
	return s
}

// locks says an event of lock-manager.
func (s *site) locks(t *testing.T, name string, event proto.Message) {
	t.Helper()
	_, err := s.log.PublishOnce(t.Context(), eventlog.Event{
		Table: reports, Service: "lock-manager", ID: eventlog.ID("lock-manager", reports, name), Time: time.Now(), Message: event,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) grant(t *testing.T, token uint64) {
	t.Helper()
	s.locks(t, "grant", &blotterv1.LockGranted{
		Token: token, Engine: blotterv1.Engine_ENGINE_GLUE, Transform: true, Publish: true,
		Deadline: timestamppb.New(time.Now().Add(time.Hour)), Files: []*blotterv1.FileRef{{FileId: aFile}},
	})
}

func (s *site) fence(t *testing.T, token uint64) {
	t.Helper()
	s.locks(t, "fence", &blotterv1.FenceRequested{Token: token, Reason: "forced"})
}

// start runs the service as another process would.
func (s *site) start(t *testing.T) (stop func()) {
	t.Helper()
	l, _ := eventlogtest.Open(t, s.url)
	service, err := New(config(), Deps{
		Log: l, Runner: &onceAway{}, Glue: s.glue, Specs: noSpecs("blotter"), Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return eventlogtest.Run(t, service.Run)
}

// said waits until both kinds of consumers are idle and checks what was said.
func (s *site) said(t *testing.T, want ...string) []eventlog.Record {
	t.Helper()
	eventlogtest.Idle(t, s.log, ServiceName)
	eventlogtest.Idle(t, s.log, jobs.FencesName(ServiceName))
	records := eventlogtest.Read(t, s.log, eventlog.Filter{Table: reports, Service: ServiceName})
	var got []string
	for _, r := range records {
		got = append(got, eventlog.EventName(r.Envelope))
	}
	if !slices.Equal(got, want) {
		t.Errorf("it says %v, expected %v", got, want)
	}
	return records
}

// TestHintsWakeWhoeverFollows: a hint reaches every replica, and one with Glue alone.
func TestHintsWakeWhoeverFollows(t *testing.T) {
	s := newSite(t, &fakeGlue{})
	nc, err := eventlog.Connect(s.url, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	others := &fakeGlue{}
	for _, glue := range []Glue{s.glue, others, nil} {
		_, listening := eventlogtest.Open(t, s.url)
		service := &Service{deps: Deps{Glue: glue}}
		eventlogtest.Run(t, func(ctx context.Context) error { return service.Serve(ctx, listening) })
	}
	woken := func(g *fakeGlue, run string) bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return slices.Contains(g.woken, run)
	}
	for !woken(s.glue, "jr_1") || !woken(others, "jr_1") { // a hint is lost on those who do not listen yet
		if err := errors.Join(jobs.TellRunChanged(nc, "jr_1"), jobs.TellRunChanged(nc, ""), nc.FlushTimeout(time.Minute), t.Context().Err()); err != nil {
			t.Fatal(err)
		}
	}
	if woken(s.glue, "") {
		t.Error("a hint without a run has woken somebody")
	}
}

func TestARunOfGlueIsToldWithItsCost(t *testing.T) {
	s := newSite(t, &fakeGlue{quick: true})
	s.grant(t, 3)
	for range 2 {
		stop := s.start(t)
		eventlogtest.Idle(t, s.log, ServiceName)
		stop()
	}
	s.start(t)
	records := s.said(t, "TransformStarted", "TransformRunEnded", "FileTransformed")
	if e := records[0].Event.(*blotterv1.TransformStarted); e.GetRun() != "jr_1" || e.GetToken() != 3 {
		t.Errorf("it started %v", e)
	}
	e := records[1].Event.(*blotterv1.TransformRunEnded)
	if e.GetRun() != "jr_1" || e.GetState() != "SUCCEEDED" || e.GetDpuSeconds() != 180 || e.GetExecutionSeconds() != 90 ||
		e.GetCompleted().AsTime().Unix() != 1090 || e.GetFileId() != aFile || e.GetToken() != 3 || e.GetAttempt() != 1 {
		t.Errorf("it ended %v", e)
	}
}

// TestWhatIsStagedIsToldBeforeWhatFailed: with the first failure the grant is over. Of the
// failures those that are known to be a file's come first.
func TestWhatIsStagedIsToldBeforeWhatFailed(t *testing.T) {
	ids := make([]string, 5)
	for i := range ids {
		ids[i] = strings.Repeat(string(rune('a'+i)), 32)
	}
	s := newSite(t, &fakeGlue{
		bad: map[string]string{ids[1]: "value.date", ids[3]: "csv.columns"}, stagedAlready: map[string]bool{ids[2]: true, ids[4]: true},
	})
	g := &blotterv1.LockGranted{
		Token: 3, Engine: blotterv1.Engine_ENGINE_GLUE, Transform: true, Deadline: timestamppb.New(time.Now().Add(time.Hour)),
	}
	for _, id := range ids {
		g.Files = append(g.Files, &blotterv1.FileRef{FileId: id})
	}
	s.locks(t, "grant", g)
	s.glue.run(3) <- "STOPPED"
	for range 2 {
		stop := s.start(t)
		eventlogtest.Idle(t, s.log, ServiceName)
		stop()
	}
	var want []string
	for _, what := range []string{"TransformStarted", "TransformRunEnded"} {
		for range ids {
			want = append(want, what)
		}
	}
	records := s.said(t, append(want, "FileTransformed", "FileTransformed", "TransformFailed", "TransformFailed", "TransformFailed")...)
	if len(records) != 15 {
		t.FailNow()
	}
	var ends []string
	for _, r := range records[10:] {
		switch e := r.Event.(type) {
		case *blotterv1.FileTransformed:
			ends = append(ends, e.GetStaged().GetFileId()[:1])
		case *blotterv1.TransformFailed:
			ends = append(ends, fmt.Sprint(e.GetFileId()[:1], " ", e.GetFailure().GetCode(), " ", e.GetOfRun()))
		}
		if r.Envelope.GetCorrelation() == "" {
			t.Errorf("%v belongs to no file", r.Event)
		}
	}
	if want := []string{"c", "e", "b value.date false", "d csv.columns false", "a glue.stopped true"}; !slices.Equal(ends, want) {
		t.Errorf("it says %q, expected %q", ends, want)
	}
	if n, _ := s.glue.count(); n != 1 {
		t.Errorf("%d runs, expected 1", n)
	}
}

// TestARunOutlivesItsProcess: the next one follows it.
func TestARunOutlivesItsProcess(t *testing.T) {
	s := newSite(t, &fakeGlue{})
	s.grant(t, 3)
	stop := s.start(t)
	eventlogtest.Eventually(t, "the run is started", func() bool { n, _ := s.glue.count(); return n == 1 })
	stop()
	if _, stops := s.glue.count(); stops != 0 {
		t.Error("the run was stopped with the process")
	}
	s.glue.run(3) <- "SUCCEEDED"
	s.start(t)
	s.said(t, "TransformStarted", "TransformRunEnded", "FileTransformed")
	if n, _ := s.glue.count(); n != 1 {
		t.Errorf("%d runs, expected 1", n)
	}
}

// TestAFenceStopsTheRun: and nothing is said of the file any more. The fence may
// come before the start was told; it is told then too.
func TestAFenceStopsTheRun(t *testing.T) {
	s := newSite(t, &fakeGlue{})
	s.grant(t, 3)
	s.start(t)
	eventlogtest.Eventually(t, "the run is started", func() bool { n, _ := s.glue.count(); return n == 1 })
	s.fence(t, 3)
	records := s.said(t, "TransformStarted", "TransformRunEnded")
	if e := records[1].Event.(*blotterv1.TransformRunEnded); e.GetState() != "STOPPED" {
		t.Errorf("it ended %v", e)
	}
}

// TestTheStartOfAStoppedRunIsTold: its process died before it had said it, or was
// stopped by the fence.
func TestTheStartOfAStoppedRunIsTold(t *testing.T) {
	s := newSite(t, &fakeGlue{})
	s.grant(t, 3)
	s.glue.run(3)
	s.fence(t, 3)
	for range 2 {
		stop := s.start(t)
		eventlogtest.Idle(t, s.log, jobs.FencesName(ServiceName))
		stop()
	}
	s.start(t)
	records := s.said(t, "TransformStarted", "TransformRunEnded")
	if e := records[0].Event.(*blotterv1.TransformStarted); e.GetRun() != "jr_1" || e.GetFileId() != aFile || e.GetToken() != 3 {
		t.Errorf("it started %v", e)
	}
}

// TestAFenceStopsTheRunOfAnotherReplica: who follows the run sees it stopped, and
// knows from the log why.
func TestAFenceStopsTheRunOfAnotherReplica(t *testing.T) {
	s := newSite(t, &fakeGlue{})
	s.grant(t, 3)
	s.fence(t, 3)
	l, _ := eventlogtest.Open(t, s.url)
	other, err := New(config(), Deps{Log: l, Runner: &onceAway{}, Glue: s.glue, Specs: noSpecs("blotter"), Now: time.Now,
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	records := eventlogtest.Read(t, s.log, eventlog.Filter{Table: reports, Event: "LockGranted"})
	other.glue.Fenced = nil // it began before the fence stood in the log
	ended := make(chan error)
	go func() { ended <- other.glue.Grant(t.Context(), records[0], records[0].Event.(*blotterv1.LockGranted)) }()
	eventlogtest.Eventually(t, "the run is followed", func() bool { n, _ := s.glue.count(); return n == 1 })
	other.glue.Fenced = other.fenced
	s.start(t) // hears of the fence
	if err := <-ended; err != nil {
		t.Error(err)
	}
	s.said(t, "TransformStarted", "TransformRunEnded")
}

// TestWhoeverWaitsForRoomHearsOfTheFenceOfAnotherReplica: he finds it in the log.
func TestWhoeverWaitsForRoomHearsOfTheFenceOfAnotherReplica(t *testing.T) {
	s := newSite(t, &fakeGlue{full: true})
	s.grant(t, 3)
	l, _ := eventlogtest.Open(t, s.url)
	other, err := New(config(), Deps{Log: l, Runner: &onceAway{}, Glue: s.glue, Specs: noSpecs("blotter"), Now: time.Now,
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	records := eventlogtest.Read(t, s.log, eventlog.Filter{Table: reports, Event: "LockGranted"})
	ended := make(chan error)
	go func() { ended <- other.glue.Grant(t.Context(), records[0], records[0].Event.(*blotterv1.LockGranted)) }()
	eventlogtest.Eventually(t, "it waits for room", func() bool {
		s.glue.mu.Lock()
		defer s.glue.mu.Unlock()
		return s.glue.asked > 2
	})
	s.fence(t, 3)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n, _ := s.glue.count(); n != 0 {
		t.Errorf("%d runs, expected none", n)
	}
	if said := eventlogtest.Read(t, s.log, eventlog.Filter{Table: reports, Service: ServiceName}); len(said) != 0 {
		t.Errorf("it says %v", said)
	}
}

// TestAFencedGrantStartsNothing: the fence was heard before a crash, and the grant
// comes again.
func TestAFencedGrantStartsNothing(t *testing.T) {
	s := newSite(t, &fakeGlue{})
	s.grant(t, 3)
	s.fence(t, 3)
	s.start(t)
	s.said(t)
	if n, _ := s.glue.count(); n != 0 {
		t.Errorf("%d runs, expected none", n)
	}
}

// TestAFenceStopsTheRunOfTheJobThatTheGrantNamed: the table has another one by now.
func TestAFenceStopsTheRunOfTheJobThatTheGrantNamed(t *testing.T) {
	s := newSite(t, &fakeGlue{})
	s.locks(t, "grant", &blotterv1.LockGranted{
		Token: 3, Engine: blotterv1.Engine_ENGINE_GLUE, Transform: true, SpecVersion: 7,
		Deadline: timestamppb.New(time.Now().Add(time.Hour)), Files: []*blotterv1.FileRef{{FileId: aFile}},
	})
	s.fence(t, 3)
	l, _ := eventlogtest.Open(t, s.url)
	service, err := New(config(), Deps{Log: l, Runner: &onceAway{}, Glue: s.glue, Specs: versions{}, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	eventlogtest.Run(t, service.Run)
	eventlogtest.Eventually(t, "the run is stopped", func() bool { _, stops := s.glue.count(); return stops == 1 })
	if got := s.glue.lastStop(); got.Table.Job.Glue != "job-7" || !slices.Equal(filesOf(got), []string{aFile}) || got.Granted.IsZero() {
		t.Errorf("the runs of %+v are stopped, the grant named job-7 and a file", got)
	}
}

// askedLog remembers which grants were asked for.
type askedLog struct {
	*eventlog.Log
	mu    sync.Mutex
	asked []eventlog.Filter
}

func (l *askedLog) Read(ctx context.Context, f eventlog.Filter) iter.Seq2[eventlog.Record, error] {
	if f.Event == "LockGranted" {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.asked = append(l.asked, f)
	}
	return l.Log.Read(ctx, f)
}

// TestAFenceTellsWhereToLook: for the grant and for its runs, and whether at all.
func TestAFenceTellsWhereToLook(t *testing.T) {
	at := time.Now().Add(-time.Hour)
	for name, tt := range map[string]struct {
		grant       *blotterv1.FencedGrant
		asks, stops int
		job         string
	}{
		"of Glue":             {&blotterv1.FencedGrant{Engine: blotterv1.Engine_ENGINE_GLUE, SpecVersion: 9, Granted: timestamppb.New(at)}, 1, 1, "job-9"},
		"of Lambda":           {&blotterv1.FencedGrant{Engine: blotterv1.Engine_ENGINE_LAMBDA, SpecVersion: 9, Granted: timestamppb.New(at)}, 0, 0, ""},
		"of what is staged":   {&blotterv1.FencedGrant{SpecVersion: 9, Granted: timestamppb.New(at)}, 0, 0, ""},
		"of an older version": {nil, 1, 1, "job-0"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, &fakeGlue{})
			s.locks(t, "fence", &blotterv1.FenceRequested{Token: 3, Reason: "forced", Grant: tt.grant})
			l, _ := eventlogtest.Open(t, s.url)
			log := &askedLog{Log: l}
			service, err := New(config(), Deps{Log: log, Runner: &onceAway{}, Glue: s.glue, Specs: versions{}, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			stop := eventlogtest.Run(t, service.Run)
			eventlogtest.Idle(t, s.log, jobs.FencesName(ServiceName))
			stop()
			_, stops := s.glue.count()
			got := s.glue.lastStop()
			if len(log.asked) != tt.asks || stops != tt.stops || got.Table.Job.Glue != tt.job {
				t.Errorf("%d times it asks for the grant, %d times it stops runs, of %+v", len(log.asked), stops, got)
			}
			if tt.grant == nil || tt.stops == 0 {
				return
			}
			if from := log.asked[0].From; from.After(at) || from.Before(at.Add(-skew)) || log.asked[0].UntilSeq == 0 || !got.Granted.Equal(at) {
				t.Errorf("it asks for %+v and looks for runs since %s", log.asked[0], got.Granted)
			}
		})
	}
}

func filesOf(g jobs.FencedGrant) (ids []string) {
	for _, file := range g.Files {
		ids = append(ids, file.GetFileId())
	}
	return ids
}

// versions name another job in each registration.
type versions struct{}

func (versions) Spec(_ context.Context, _ dms.TableID, version uint64) (registry.Table, error) {
	return registry.Table{ID: reports, Job: registry.Job{Glue: fmt.Sprint("job-", version)}}, nil
}

// TestAFenceOfAnotherTokenIsNone: a grant goes on behind the fence of an older one.
func TestAFenceOfAnotherTokenIsNone(t *testing.T) {
	s := newSite(t, &fakeGlue{quick: true})
	s.fence(t, 2)
	s.grant(t, 3)
	s.start(t)
	s.said(t, "TransformStarted", "TransformRunEnded", "FileTransformed")
}

// TestARunThatCannotBeStoppedBlocksNothing: it ends at its own deadline.
func TestARunThatCannotBeStoppedBlocksNothing(t *testing.T) {
	s := newSite(t, &fakeGlue{noStop: errors.New("denied")})
	s.fence(t, 3)
	s.start(t)
	s.said(t)
	if _, stops := s.glue.count(); stops != 3 {
		t.Errorf("%d attempts to stop, expected 3", stops)
	}
}

// TestAFenceEndsWorkInProcess: there the work ends with it.
func TestAFenceEndsWorkInProcess(t *testing.T) {
	s := newSite(t, nil)
	s.grant(t, 3)
	l, _ := eventlogtest.Open(t, s.url)
	runner := hanging{make(chan struct{}, 1)}
	service, err := New(config(), Deps{Log: l, Runner: runner, Specs: noSpecs("blotter"), Now: time.Now,
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	eventlogtest.Run(t, service.Run)
	<-runner.began
	s.fence(t, 3)
	s.said(t, "TransformStarted")
}

// hanging runs until its context ends.
type hanging struct{ began chan struct{} }

func (hanging) Name() string { return "local" }

func (h hanging) Run(ctx context.Context, _ jobs.Job) (*blotterv1.StagedFile, error) {
	h.began <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}
