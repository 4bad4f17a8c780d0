package eventlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/natsserver"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// testLogger writes only with BLOTTER_TEST_LOG set.
func testLogger() *slog.Logger {
	w := io.Discard
	if os.Getenv("BLOTTER_TEST_LOG") != "" {
		w = os.Stderr
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// startServer runs an embedded server for one test and gives its URL.
func startServer(tb testing.TB) string { return startServerSync(tb, true) }

func startServerSync(tb testing.TB, syncAlways bool) string {
	tb.Helper()
	cfg := natsserver.DefaultConfig()
	cfg.Dir = tb.TempDir()
	cfg.SyncAlways = syncAlways
	s, err := natsserver.Start(tb.Context(), cfg, testLogger())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s.URL()
}

// testConfig has a window for duplicates that is over before anything is
// repeated, so that nothing can rest on it.
func testConfig() Config {
	cfg := EmbeddedConfig()
	cfg.DuplicateWindow = 100 * time.Millisecond
	cfg.RetryMin = time.Millisecond
	cfg.RetryMax = 20 * time.Millisecond
	return cfg
}

// openLog opens a log on its own connection: a process of its own.
func openLog(tb testing.TB, url string, cfg Config, opts ...Option) *Log {
	tb.Helper()
	var l *Log
	eventually(tb, "the log", func() bool { // a cluster that elects answers nobody meanwhile
		var closeLog func()
		var err error
		switch l, closeLog, err = process(tb.Context(), url, cfg, opts...); {
		case err == nil:
			tb.Cleanup(closeLog)
		case !electing(err):
			tb.Fatal(err)
		}
		return err == nil
	})
	return l
}

// process is what a program start does; the function ends its connection.
func process(ctx context.Context, url string, cfg Config, opts ...Option) (*Log, func(), error) {
	nc, err := Connect(url, "test", testLogger())
	if err != nil {
		return nil, nil, err
	}
	l, err := Open(ctx, nc, cfg, append([]Option{WithLogger(testLogger())}, opts...)...)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return l, nc.Close, nil
}

var reports = dms.TableID{DB: "rms", Table: "reports"}

// arrived is an event of ingest-router for a file that is named by a number.
func arrived(table dms.TableID, n int) Event {
	id := fmt.Sprintf("%032x", n+1)
	return Event{
		Table: table, Service: "ingest-router", ID: ID("ingest-router", table, "ObjectArrived", id),
		Correlation: id, Time: time.Unix(int64(n), 0),
		Message: &blotterv1.ObjectArrived{FileId: id, Source: "listing"},
	}
}

// answer is an event that a service makes of another.
func answer(service string, in Record, m proto.Message) Event {
	return Event{
		Table: in.Table, Service: service,
		ID:    ID(service, in.Table, string(m.ProtoReflect().Descriptor().Name()), in.Envelope.GetCorrelation()),
		Cause: in.Envelope.GetId(), Correlation: in.Envelope.GetCorrelation(),
		Time: in.Envelope.GetTime().AsTime(), Message: m, After: in.Seq,
	}
}

// collect reads all that a filter chooses.
func collect(tb testing.TB, l *Log, f Filter) []Record {
	tb.Helper()
	var out []Record
	eventually(tb, "a whole reading", func() bool {
		out = nil
		for r, err := range l.Read(tb.Context(), f) {
			if electing(err) {
				return false
			}
			if err != nil {
				tb.Fatal(err)
			}
			out = append(out, r)
		}
		return true
	})
	return out
}

// electing reports whether err is what a client of replicas without a leader gets.
func electing(err error) bool {
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded)
}

// eventually polls until ok. The deadline is only for a test that hangs.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.NewTimer(3 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			tb.Fatalf("waited in vain: %s", what)
		}
	}
}

func classifiedMessage() proto.Message { return &blotterv1.FileClassified{SpecVersion: 1} }
