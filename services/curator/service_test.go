package curator

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

var reports = dms.TableID{DB: "rms", Table: "reports"}

// fakeLake answers as it is told, the last answer again and again.
type fakeLake struct {
	answers []error
	result  lake.Result
	calls   atomic.Int64
}

func (l *fakeLake) answer() (lake.Result, error) {
	n := int(l.calls.Add(1)) - 1
	if len(l.answers) == 0 {
		return l.result, nil
	}
	return l.result, l.answers[min(n, len(l.answers)-1)]
}

func (l *fakeLake) Publish(context.Context, lake.Request) (lake.Result, error) { return l.answer() }

func (l *fakeLake) Fence(context.Context, registry.Table, lake.Turn) (lake.Result, error) {
	return l.answer()
}

func (l *fakeLake) Maintain(context.Context, registry.Table, lake.Turn) (lake.Result, error) {
	return l.answer()
}

// oneSpec gives one registration.
type oneSpec struct{ spec registry.Table }

func (s oneSpec) Spec(context.Context, dms.TableID, uint64) (registry.Table, error) {
	return s.spec, nil
}

// flakyLog loses the first attempts to publish.
type flakyLog struct {
	*eventlog.Log
	lost atomic.Int64
}

func (l *flakyLog) PublishOnce(ctx context.Context, e eventlog.Event) (uint64, error) {
	if l.lost.Add(-1) >= 0 {
		return 0, errors.New("the connection is lost")
	}
	return l.Log.PublishOnce(ctx, e)
}

// bench is a curator at work.
type bench struct {
	t       *testing.T
	url     string
	log     *eventlog.Log
	flaky   *flakyLog
	lake    *fakeLake
	spec    registry.Table
	raw     *local.Bucket
	staging *local.Bucket
	failed  *local.Bucket
	// kept is the failed bucket as the service sees it.
	kept objects.Bucket
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, lake: &fakeLake{}, spec: registry.Table{ID: reports}}
	b.url = eventlogtest.Server(t)
	b.log, _ = eventlogtest.Open(t, b.url)
	b.flaky = &flakyLog{Log: b.log}
	open := func(name string) *local.Bucket {
		bucket, err := local.New(name, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := bucket.Close(); err != nil {
				t.Error(err)
			}
		})
		return bucket
	}
	b.raw, b.staging, b.failed = open("raw"), open("staging"), open("failed")
	b.kept = b.failed
	return b
}

// hears has lock-manager say something, and gives what the curator says to it.
func (b *bench) hears(messages ...proto.Message) []eventlog.Record {
	b.t.Helper()
	for n, m := range messages {
		_, err := b.log.PublishOnce(b.t.Context(), eventlog.Event{
			Table: reports, Service: "lock-manager", Time: time.Date(2024, 3, 4, 6, 0, n, 0, time.UTC), Message: m,
			ID: eventlog.ID("lock-manager", reports, "test", string(rune('a'+n))),
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
	s := New(Deps{
		Log: b.flaky, Lake: b.lake, Specs: oneSpec{b.spec}, Raw: b.raw, Staging: b.staging, Failed: b.kept,
		Agree: func(context.Context, dms.TableID) error { return nil }, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	stop := eventlogtest.Run(b.t, s.Run)
	eventlogtest.Idle(b.t, b.log, ServiceName)
	stop()
	return eventlogtest.Read(b.t, b.log, eventlog.Filter{Table: reports, Service: ServiceName})
}

const rawKey = "dms/rms/reports/20240304-060000000.csv"

// put writes the raw object and gives it as lock-manager names it.
func (b *bench) put(content string) *blotterv1.FileRef {
	b.t.Helper()
	w, err := b.raw.Create(b.t.Context(), rawKey)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		b.t.Fatal(err)
	}
	info, err := w.Commit(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	if info, err = b.raw.Stat(b.t.Context(), rawKey); err != nil {
		b.t.Fatal(err)
	}
	o := dms.Object{Bucket: "raw", Key: rawKey, ETag: info.ETag, Size: info.Size, LastModified: info.LastModified}
	return wire.FileRef(dms.File{ID: dms.NewFileID(o, dms.KindChange), Object: o, Kind: dms.KindChange})
}

func paused(file *blotterv1.FileRef) *blotterv1.TablePaused {
	return &blotterv1.TablePaused{Reason: "failure", File: file, Failure: &blotterv1.Failure{
		Code: "value.type", Message: "no int", ObjectKey: rawKey, Row: 3, Column: "id", RowsFailed: 2,
	}}
}

func (b *bench) read(key string) string {
	b.t.Helper()
	r, err := b.failed.Open(b.t.Context(), key, objects.Version{})
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(content)
}

// TestAQuarantineIsToldOnce, however often it is begun anew.
func TestAQuarantineIsToldOnce(t *testing.T) {
	b := newBench(t)
	b.flaky.lost.Store(3)
	file := b.put("I,x\n")
	said := b.hears(paused(file))
	if len(said) != 1 {
		t.Fatalf("%d events, expected 1", len(said))
	}
	e, ok := said[0].Event.(*blotterv1.FileQuarantined)
	if !ok || e.GetFileId() != file.GetFileId() || said[0].Envelope.GetCorrelation() != file.GetFileId() {
		t.Fatalf("the event is %v", said[0].Envelope)
	}
	if got := b.read(e.GetObjectKey()); got != "I,x\n" {
		t.Errorf("the copy holds %q", got)
	}
	var report Report
	if err := json.Unmarshal([]byte(b.read(e.GetReportKey())), &report); err != nil {
		t.Fatal(err)
	}
	if report.Key != rawKey || report.Row != 3 || report.Column != "id" || report.RowsFailed != 2 || len(report.Resume) != 2 {
		t.Errorf("the report is not complete: %+v", report)
	}
	if _, err := b.raw.Stat(t.Context(), rawKey); err != nil {
		t.Errorf("the raw object: %v", err)
	}
}

// TestAQuarantineOfWhatIsGone still leaves a report.
func TestAQuarantineOfWhatIsGone(t *testing.T) {
	b := newBench(t)
	file := b.put("I,x\n")
	if err := b.raw.Remove(t.Context(), rawKey); err != nil {
		t.Fatal(err)
	}
	said := b.hears(paused(file))
	e, ok := said[0].Event.(*blotterv1.FileQuarantined)
	if !ok || e.GetObjectKey() != "" {
		t.Fatalf("the event is %v", said[0].Envelope)
	}
	if report := b.read(e.GetReportKey()); !strings.Contains(report, `"copy_error"`) {
		t.Errorf("the report does not say that the object is gone:\n%s", report)
	}
}

func TestAPauseWithoutAFileQuarantinesNothing(t *testing.T) {
	b := newBench(t)
	if said := b.hears(&blotterv1.TablePaused{Reason: "operator"}); len(said) > 0 {
		t.Errorf("it says %v", said[0].Envelope)
	}
}

func TestWhatTheLakeAnswersIsSaid(t *testing.T) {
	publish, fence := &blotterv1.PublishRequested{Token: 4}, &blotterv1.FenceRequested{Token: 4, Reason: "deadline"}
	maintain := &blotterv1.MaintenanceGranted{Token: 4, Reason: "operator"}
	file := dms.FileID(strings.Repeat("a", 32))
	passing := errors.New("the catalog is away")
	for name, c := range map[string]struct {
		input    proto.Message
		answers  []error
		strategy string
		want     []string
	}{
		"published":          {publish, nil, "merge", []string{"FilesPublished"}},
		"after some faults":  {publish, []error{passing, lake.ErrBusy, nil}, "merge", []string{"FilesPublished"}},
		"refused":            {publish, []error{&lake.AuditError{Code: "audit.hash", FileID: file, Message: "no"}}, "", []string{"PublishFailed"}},
		"stale":              {publish, []error{lake.ErrStale}, "", nil},
		"set back":           {publish, []error{lake.ErrSetBack}, "", []string{"PublishFailed"}},
		"step is set back":   {maintain, []error{lake.ErrSetBack}, "", []string{"MaintenanceFailed"}},
		"fenced":             {fence, []error{passing, nil}, lake.StrategyFence, []string{"GrantFenced"}},
		"it had landed":      {fence, nil, "merge", []string{"FilesPublished"}},
		"the step was taken": {fence, nil, lake.MaintainCompact, []string{"TableMaintained"}},
		"maintained":         {maintain, []error{passing, nil}, lake.MaintainCompact, []string{"TableMaintained"}},
		"stale step":         {maintain, []error{lake.ErrStale}, "", nil},
		"failed step":        {maintain, []error{lake.ErrIncompatible}, "", []string{"MaintenanceFailed"}},
		"fence is stale":     {fence, []error{lake.ErrStale}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.lake.answers, b.lake.result.Strategy = c.answers, c.strategy
			if c.strategy == lake.MaintainCompact {
				b.lake.result.Maintained = &lake.Maintained{Step: c.strategy, Removed: 3, More: true}
			}
			var got []string
			for _, r := range b.hears(c.input) {
				got = append(got, eventlog.EventName(r.Envelope))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("it says %v, expected %v", got, c.want)
			}
		})
	}
}

// TestALakeOfAnotherSystemEndsTheService: where a token is stale that the control store has
// just granted, or stands for other files, no later one is better.
func TestALakeOfAnotherSystemEndsTheService(t *testing.T) {
	b := newBench(t)
	apart := errors.New("the lake is ahead")
	for name, c := range map[string]struct {
		input  proto.Message
		answer error
		want   error
	}{
		"publish":     {&blotterv1.PublishRequested{Token: 4}, lake.ErrStale, apart},
		"fence":       {&blotterv1.FenceRequested{Token: 4}, lake.ErrStale, apart},
		"maintain":    {&blotterv1.MaintenanceGranted{Token: 4}, lake.ErrStale, apart},
		"other files": {&blotterv1.PublishRequested{Token: 4}, lake.ErrOtherFiles, lake.ErrOtherFiles},
	} {
		b.lake.answers = []error{c.answer}
		s := New(Deps{
			Log: b.flaky, Lake: b.lake, Specs: oneSpec{b.spec}, Raw: b.raw, Staging: b.staging, Failed: b.kept, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
			Agree: func(_ context.Context, id dms.TableID) error {
				if id != reports {
					t.Errorf("%s: it asks about %s", name, id)
				}
				return eventlog.Permanent(apart)
			},
		})
		if err := s.handle(t.Context(), eventlog.Record{Table: reports, Event: c.input, Envelope: &blotterv1.Envelope{}}); !errors.Is(err, c.want) || !eventlog.IsPermanent(err) {
			t.Errorf("%s: it says %v", name, err)
		}
	}
}

// A publication is said, the process dies before lock-manager hears of it, and
// the deadline has a fence asked for: the answer is in the log before its input.
func TestAPublicationSaidBeforeItsFenceIsNotSaidAgain(t *testing.T) {
	b := newBench(t)
	b.lake.result.Strategy = "merge"
	first, err := b.log.PublishOnce(t.Context(), eventlog.Event{
		Table: reports, Service: ServiceName, Time: time.Date(2024, 3, 4, 5, 0, 0, 0, time.UTC),
		ID: eventlog.ID(ServiceName, reports, "published", "4"), Message: &blotterv1.FilesPublished{Token: 4},
	})
	if err != nil {
		t.Fatal(err)
	}
	var nc *nats.Conn
	b.flaky.Log, nc = eventlogtest.Open(t, b.url) // another process: it remembers nothing
	eventlogtest.Forget(t, nc)
	said := b.hears(&blotterv1.FenceRequested{Token: 4, Reason: "deadline"})
	if len(said) != 1 || said[0].Seq != first {
		t.Errorf("it says %d events, expected the one at sequence %d", len(said), first)
	}
}
