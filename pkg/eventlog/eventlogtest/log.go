package eventlogtest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/natsserver"
)

// Config is the configuration of the logs that this package opens: embedded,
// impatient, and with a window for duplicates that is over before anything is
// repeated.
func Config() eventlog.Config {
	cfg := eventlog.EmbeddedConfig()
	cfg.DuplicateWindow = 100 * time.Millisecond
	cfg.AckWait = 300 * time.Millisecond
	cfg.RetryMin = time.Millisecond
	cfg.RetryMax = 20 * time.Millisecond
	return cfg
}

// Server starts a NATS server with JetStream for one test and gives its URL.
func Server(t testing.TB) string {
	t.Helper()
	cfg := natsserver.DefaultConfig()
	cfg.Dir, cfg.SyncAlways = t.TempDir(), false // no test pulls the plug
	s, err := natsserver.Start(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s.URL()
}

// Open opens the log of a server on a connection of its own, as another process
// would; both last as long as the test.
func Open(t testing.TB, url string, opts ...eventlog.Option) (*eventlog.Log, *nats.Conn) {
	t.Helper()
	nc, err := eventlog.Connect(url, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	l, err := eventlog.Open(t.Context(), nc, Config(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return l, nc
}

// Read gives all events that f chooses.
func Read(t *testing.T, l *eventlog.Log, f eventlog.Filter) []eventlog.Record {
	t.Helper()
	var records []eventlog.Record
	for r, err := range l.Read(t.Context(), f) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

// Names gives the names of the events that f chooses, in the order of the log.
func Names(t *testing.T, l *eventlog.Log, f eventlog.Filter) []string {
	t.Helper()
	var names []string
	for _, r := range Read(t, l, f) {
		names = append(names, eventlog.EventName(r.Envelope))
	}
	return names
}

// Run runs a service in the background. The function that it gives stops it and
// is called at the end of the test at the latest; an error of run, other than
// the end of its context, fails the test.
func Run(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		early := false
		var err error
		select {
		case err = <-ended:
			early = true
		default:
			cancel()
			err = <-ended
		}
		if early || err != nil && ctx.Err() == nil {
			t.Errorf("the service ended by itself: %v", err)
		}
	}
	t.Cleanup(func() { stop(); cancel() })
	return stop
}

// Forget returns when the server has forgotten every id that it knew when it was called: an
// event is said once beyond its window for duplicates, too.
func Forget(t *testing.T, nc *nats.Conn) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	const subject = "blotter.0.probe.probe.probe.Probe"
	fresh := func() bool {
		ack, err := js.Publish(t.Context(), subject, nil, jetstream.WithMsgID("probe"))
		if err != nil {
			t.Fatal(err)
		}
		return !ack.Duplicate
	}
	Eventually(t, "a first probe", fresh)
	Eventually(t, "the window for duplicates to pass", fresh)
}

// Idle waits until the consumers of a service have handled all there is.
func Idle(t *testing.T, l *eventlog.Log, service string) {
	t.Helper()
	Eventually(t, service+" is idle", func() bool {
		idle, err := l.Idle(t.Context(), []string{service})
		return err == nil && idle
	})
}

// Eventually waits until ok gives true, at most half a minute.
func Eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
