package eventlog

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/natsserver"
)

// TestWorking: a process does its part once all its consumers are delivered to, and does
// not where one is missing or the server is gone; the answer says which.
func TestWorking(t *testing.T) {
	cfg := natsserver.DefaultConfig()
	cfg.Dir = t.TempDir()
	server, err := natsserver.Start(t.Context(), cfg, testLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	l := openLog(t, server.URL(), testConfig())
	if err := l.Working(t.Context()); err != nil {
		t.Errorf("nobody consumes, and nobody should: %v", err)
	}
	says := func(want string, services ...string) bool {
		err := l.Working(t.Context(), services...)
		return err != nil && strings.Contains(err.Error(), want)
	}
	if !says("classifier does not consume events", "classifier") {
		t.Error("a service that does not consume is taken for one that does")
	}
	stop := consumeInBackground(t, l, fromIngest, func(context.Context, Record) error { return nil })
	eventually(t, "the consumers", func() bool { return l.Working(t.Context(), "classifier") == nil })
	if !says("curator does not consume events", "classifier", "curator") {
		t.Error("one service is taken for two")
	}
	l.working.mu.Lock()
	l.working.each[ConsumerName("classifier", 0)].delivering.Store(false)
	l.working.mu.Unlock()
	if want := fmt.Sprintf("classifier is not delivered the events of 1 of its %d partitions", l.partitions); !says(want, "classifier") {
		t.Errorf("got %v, expected %s", l.Working(t.Context(), "classifier"), want)
	}
	stop()
	if !says("classifier does not consume events", "classifier") {
		t.Error("a service that has ended is taken for one that works")
	}
	server.Close()
	eventually(t, "the lost connection", func() bool { return says("not connected to the NATS server") })
}

// TestSharedLogs: two processes run one service. Each event is handled by one of them, and
// none has to wait until the time for an acknowledgement is over.
func TestSharedLogs(t *testing.T) {
	cfg := testConfig()
	cfg.AckWait = time.Hour
	url := startServer(t)
	var got seen
	var stops []func()
	for range 2 {
		l := openLog(t, url, cfg, Shared())
		stops = append(stops, consumeInBackground(t, l, fromIngest, func(_ context.Context, r Record) error { got.add(r); return nil }))
		eventually(t, "its consumers", func() bool { return l.Working(t.Context(), "classifier") == nil })
	}
	l := openLog(t, url, cfg)
	const tables, each = 8, 25
	for n := range each {
		for table := range tables {
			publish(t, l, arrived(dms.TableID{DB: "rms", Table: fmt.Sprintf("t%d", table)}, n))
		}
	}
	eventually(t, "all events", func() bool { return got.count() >= tables*each })
	for _, stop := range stops {
		stop()
	}
	if got.count() != tables*each {
		t.Errorf("%d events were handled %d times", tables*each, got.count())
	}
}
