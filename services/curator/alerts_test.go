package curator

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/alert"
	"github.com/openblotter/blotter/pkg/alert/alerttest"
	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// alertBench is a log of which alerts are sent.
type alertBench struct {
	t    *testing.T
	log  *eventlog.Log
	said int
	now  time.Time
}

func newAlertBench(t *testing.T) *alertBench {
	t.Helper()
	log, _ := eventlogtest.Open(t, eventlogtest.Server(t))
	return &alertBench{t: t, log: log, now: time.Date(2024, 3, 4, 6, 0, 0, 0, time.UTC)}
}

// say puts an event into the log, at the time of the bench.
func (b *alertBench) say(service string, table dms.TableID, m proto.Message) {
	b.t.Helper()
	b.said++
	if _, err := b.log.PublishOnce(b.t.Context(), eventlog.Event{
		Table: table, Service: service, Time: b.now, Message: m, ID: eventlog.ID(service, table, "test", string(rune('a'+b.said))),
	}); err != nil {
		b.t.Fatal(err)
	}
}

// run sends alerts until all that was said is handled.
func (b *alertBench) run(logger *slog.Logger, channels ...alert.Channel) {
	b.t.Helper()
	stop := eventlogtest.Run(b.t, b.alerts(logger, channels...).Run)
	eventlogtest.Idle(b.t, b.log, AlertsConsumer)
	stop()
}

func (b *alertBench) alerts(logger *slog.Logger, channels ...alert.Channel) *Alerts {
	return NewAlerts(AlertsDeps{
		Log: b.log, Channels: channels, Objects: seenObjects{}, Now: func() time.Time { return b.now }, Logger: logger,
	})
}

var quiet = slog.New(slog.DiscardHandler)

// seenObjects knows one file.
type seenObjects struct{}

const seenFile = dms.FileID("f11e")

func (seenObjects) Object(_ context.Context, id dms.FileID) (control.ObjectRow, error) {
	if id != seenFile {
		return control.ObjectRow{}, control.ErrNotFound
	}
	return control.ObjectRow{Object: dms.Object{Bucket: "raw", Key: rawKey, VersionID: "v7"}}, nil
}

func TestAlertsSayWhatATableWaitsFor(t *testing.T) {
	b := newAlertBench(t)
	o := dms.Object{Bucket: "raw", Key: rawKey, ETag: "e", VersionID: "v7"}
	file := wire.FileRef(dms.File{ID: "f11e", Object: o, Kind: dms.KindChange})
	b.say("lock-manager", reports, paused(file))
	b.say("lock-manager", reports, &blotterv1.TableResumed{Reason: "mended"})
	b.say("lock-manager", reports, &blotterv1.TablePaused{Reason: "operator", Detail: "the source moves"})
	b.say("lock-manager", reports, &blotterv1.TablePaused{Reason: "late_load_file", Detail: "it came late", File: file})
	b.say("lock-manager", reports, &blotterv1.LoadHeld{Reason: "gap", Detail: "file 2 is missing"})
	b.say("lock-manager", reports, &blotterv1.LoadHeld{Reason: "part", Detail: "file 1 was mended"})
	b.say("lock-manager", reports, &blotterv1.LoadHeld{Reason: "older", Detail: "file 2 is older"})
	b.say(ServiceName, reports, &blotterv1.RowsRejected{FileId: "f11e", Rows: 3, ReportKey: "the/report.json"})
	b.say(ServiceName, reports, &blotterv1.RowsRejected{FileId: "0dd", Rows: 1, ReportKey: "other/report.json"})
	m := &alerttest.Memory{}
	b.run(quiet, m)
	whole := &alert.File{ID: "f11e", Bucket: "raw", Key: rawKey, VersionID: "v7"}
	want := []struct {
		kind, reason, detail, report string
		file                         *alert.File
		commands                     []string // how they begin
	}{
		{alert.TablePaused, "failure", "", "rms/reports/f11e/20240304T060000.000000Z/report.json", whole,
			[]string{"blotter resume 'rms.reports' --retry ", "blotter resume 'rms.reports' --skip "}},
		{alert.TablePaused, "operator", "the source moves", "", nil, []string{"blotter table show 'rms.reports' ", "blotter resume 'rms.reports' "}},
		{alert.TablePaused, "late_load_file", "it came late", "", whole, []string{"blotter load reopen 'rms.reports' ", "blotter load ignore 'rms.reports' "}},
		{alert.LoadHeld, "gap", "file 2 is missing", "", nil, []string{"blotter table show 'rms.reports' ", "blotter load complete 'rms.reports' --confirm "}},
		{alert.LoadHeld, "part", "file 1 was mended", "", nil, []string{"blotter table show 'rms.reports' ",
			"blotter load complete 'rms.reports' --mended ", "blotter load complete 'rms.reports' --confirm "}},
		{alert.LoadHeld, "older", "file 2 is older", "", nil, []string{"blotter table show 'rms.reports' ",
			"blotter load complete 'rms.reports' --without-older ", "blotter load complete 'rms.reports' --confirm "}},
		{alert.RowsSetAside, "on_bad_row", "bad rows of a file were set aside, and its others published: 3", "the/report.json", whole,
			[]string{"blotter rejected list 'rms.reports' --file f11e ", "blotter rejected export 'rms.reports' --file f11e "}},
		{alert.RowsSetAside, "on_bad_row", "bad rows of a file were set aside, and its others published: 1", "other/report.json", &alert.File{ID: "0dd"},
			[]string{"blotter rejected list 'rms.reports' --file 0dd ", "blotter rejected export 'rms.reports' --file 0dd "}},
	}
	got := m.Taken()
	if len(got) != len(want) {
		t.Fatalf("%d alerts, expected %d: %+v", len(got), len(want), got)
	}
	for i, w := range want {
		a := got[i]
		if a.Kind != w.kind || a.Reason != w.reason || a.Detail != w.detail || a.Report != w.report || a.Table != "rms.reports" || !a.Time.Equal(b.now) || a.ID == "" {
			t.Errorf("alert %d is %+v", i, a)
		}
		if (a.File == nil) != (w.file == nil) || a.File != nil && *a.File != *w.file {
			t.Errorf("alert %d is about %+v", i, a.File)
		}
		if len(a.Commands) != len(w.commands) {
			t.Fatalf("alert %d has the commands %q", i, a.Commands)
		}
		for k, begin := range w.commands {
			if !strings.HasPrefix(a.Commands[k], begin) {
				t.Errorf("alert %d has the commands %q", i, a.Commands)
			}
		}
	}
	if f := got[0].Failure; f == nil || f.Code != "value.type" || f.Row != 3 || f.Column != "id" || f.RowsFailed != 2 {
		t.Errorf("the failure is %+v", f)
	}
	b.run(quiet, m)
	if n := len(m.Taken()); n != len(want) {
		t.Errorf("after another start there are %d alerts", n)
	}
}

// A channel that fails for a while gets each alert later, in order; the others get each
// once.
func TestAChannelThatFailsForAWhile(t *testing.T) {
	b := newAlertBench(t)
	for range 3 {
		b.say("lock-manager", reports, &blotterv1.TablePaused{Reason: "operator"})
	}
	var failures atomic.Int64
	good, flaky := &alerttest.Memory{}, &alerttest.Memory{}
	flaky.Disturb(func(alert.Alert) error {
		if failures.Add(1)%3 > 0 {
			return errors.New("nobody answers")
		}
		return nil
	})
	b.run(quiet, good, flaky)
	for name, m := range map[string]*alerttest.Memory{"good": good, "flaky": flaky} {
		got := m.Taken()
		if len(got) != 3 || got[0].ID == got[1].ID || got[1].ID == got[2].ID || got[0].ID != good.Taken()[0].ID {
			t.Errorf("the %s channel has %+v", name, got)
		}
	}
}

// What a channel refuses, and what is too old, is in the service's own log.
func TestAlertsThatAreGivenUp(t *testing.T) {
	b := newAlertBench(t)
	other := dms.TableID{DB: "rms", Table: "persons"}
	b.say("lock-manager", reports, &blotterv1.TablePaused{Reason: "operator"})
	b.now = b.now.Add(alertAge + time.Second)
	b.say("lock-manager", reports, &blotterv1.TablePaused{Reason: "failure"})
	b.say("lock-manager", other, &blotterv1.TablePaused{Reason: "deadline"})
	m, log := &alerttest.Memory{}, &strings.Builder{}
	m.Disturb(func(a alert.Alert) error {
		if a.Reason == "failure" {
			return alert.ErrRefused
		}
		return nil
	})
	b.run(slog.New(slog.NewTextHandler(log, nil)), m)
	if got := m.Taken(); len(got) != 1 || got[0].Table != "rms.persons" {
		t.Errorf("the channel has %+v", got)
	}
	for _, says := range []string{
		`msg="alert not sent: it is too old by now" alert="Blotter: table rms.reports is paused: operator"`,
		`msg="alert refused" alert="Blotter: table rms.reports is paused: failure"`,
	} {
		if !strings.Contains(log.String(), says) || strings.Count(log.String(), "level=ERROR") != 2 {
			t.Errorf("the log lacks %s:\n%s", says, log)
		}
	}
}

// A process that ends before a channel has answered leaves the alert to the next one.
func TestAnAlertOutlivesTheProcess(t *testing.T) {
	b := newAlertBench(t)
	b.say("lock-manager", reports, &blotterv1.TablePaused{Reason: "operator"})
	m, hangs := &alerttest.Memory{}, hangingChannel{make(chan struct{}, 1)}
	stop := eventlogtest.Run(t, b.alerts(quiet, m, hangs).Run)
	<-hangs.called
	stop()
	if n := len(m.Taken()); n != 1 {
		t.Fatalf("%d alerts before the end", n)
	}
	late := &alerttest.Memory{}
	b.run(quiet, m, late)
	got := append(m.Taken(), late.Taken()...)
	if len(got) != 3 || got[0].ID != got[1].ID || got[1].ID != got[2].ID {
		t.Errorf("the channels have %+v", got)
	}
}

// hangingChannel never answers.
type hangingChannel struct{ called chan struct{} }

func (hangingChannel) Name() string { return "hangs" }

func (c hangingChannel) Send(ctx context.Context, _ alert.Alert) error {
	c.called <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}
