package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/natsserver"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

func TestOpenCreatesAndVerifiesTheStream(t *testing.T) {
	url := startServer(t)
	cfg := testConfig()
	openLog(t, url, cfg)
	openLog(t, url, cfg) // again, on what is there

	more := cfg
	more.Partitions *= 2
	if l := openLog(t, url, more); l.partitions != cfg.Partitions {
		t.Errorf("%d partitions, expected those of the stream: %d", l.partitions, cfg.Partitions)
	}
	more.Replicas = 3
	if l := openLog(t, url, more); l.Replicas() != 1 {
		t.Errorf("%d replicas, expected those of the stream", l.Replicas())
	}
	cfg.MaxBytes++
	cfg.DuplicateWindow = time.Second
	_, _, err := process(t.Context(), url, cfg)
	if !errors.Is(err, ErrSettings) {
		t.Fatalf("got %v, want ErrSettings", err)
	}
	for _, want := range []string{"max bytes", "duplicate window", "nats stream edit"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
}

// TestALogThatTheServerDoesNotMake: the error says what the server lacks, and what to give.
func TestALogThatTheServerDoesNotMake(t *testing.T) {
	url := startServer(t)
	for _, c := range []struct {
		change func(*Config)
		says   string
	}{
		{func(c *Config) { c.Replicas = 3 }, "a log with 3 replicas needs a cluster of 3 NATS servers or more, each with JetStream and room for the 16 GiB"},
		{func(c *Config) { c.Replicas = 3 }, "--log-replicas 1 (BLOTTER_LOG_REPLICAS=1)"},
		{func(c *Config) { c.MaxBytes = 1 << 40 }, "the log reserves 1024 GiB: give JetStream more than that (max_file_store"},
	} {
		cfg := testConfig()
		c.change(&cfg)
		if _, _, err := process(t.Context(), url, cfg); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("expected %q, got %v", c.says, err)
		}
	}
}

// TestNoEventCanBeRemoved: the server refuses to take one out of the middle. Purging, which
// Trim needs, is left to the server's permissions.
func TestNoEventCanBeRemoved(t *testing.T) {
	l := openLog(t, startServer(t), testConfig())
	for n := range 2 {
		if _, err := l.PublishOnce(t.Context(), arrived(reports, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.stream.DeleteMsg(t.Context(), 1); err == nil {
		t.Error("a message was deleted")
	}
	if first, last, err := l.Bounds(t.Context()); err != nil || first != 1 || last != 2 {
		t.Errorf("the stream holds %d to %d, %v", first, last, err)
	}
}

// TestALogThatDeniesPurges was made by an older version: it is opened as it is, and is
// never trimmed.
func TestALogThatDeniesPurges(t *testing.T) {
	url, cfg := startServer(t), testConfig()
	l := openLog(t, url, cfg)
	older := cfg.stream()
	older.DenyPurge = true
	if _, err := l.js.UpdateStream(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, url, cfg)
	if _, err := l.PublishOnce(t.Context(), arrived(reports, 0)); err != nil {
		t.Fatal(err)
	}
	if err := l.Trim(t.Context(), 1, nil); !errors.Is(err, ErrNoTrim) || !strings.Contains(err.Error(), "deny_purge") {
		t.Errorf("it was trimmed: %v", err)
	}
	if err := l.stream.Purge(t.Context()); err == nil {
		t.Error("the stream was purged")
	}
}

func TestConfigValidateReportsAllFaults(t *testing.T) {
	err := Config{Stream: "a b"}.Validate()
	for _, want := range []string{"stream name", "partitions", "replicas", "max bytes", "duplicate window", "consumers", "ack wait", "call timeout", "retry", "known ids"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	for _, ok := range []Config{DefaultConfig(), EmbeddedConfig()} {
		if err := ok.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestReadChoosesEvents(t *testing.T) {
	l := openLog(t, startServer(t), testConfig())
	other := dms.TableID{DB: "rms", Table: "we.ird *>%ü"}
	for n := range 10 {
		table := reports
		if n%2 == 1 {
			table = other
		}
		if _, err := l.PublishOnce(t.Context(), arrived(table, n)); err != nil {
			t.Fatal(err)
		}
	}
	all := collect(t, l, Filter{})
	classified := answer("classifier", all[0], &blotterv1.FileClassified{SpecVersion: 7})
	if _, err := l.PublishOnce(t.Context(), classified); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		f    Filter
		want string
	}{
		"all":          {Filter{}, "1 2 3 4 5 6 7 8 9 10 11"},
		"table":        {Filter{Table: reports}, "1 3 5 7 9 11"},
		"weird table":  {Filter{Table: other}, "2 4 6 8 10"},
		"service":      {Filter{Service: "classifier"}, "11"},
		"event":        {Filter{Event: "ObjectArrived", Table: reports}, "1 3 5 7 9"},
		"from":         {Filter{FromSeq: 9}, "9 10 11"},
		"until":        {Filter{Table: reports, UntilSeq: 6}, "1 3 5"},
		"range":        {Filter{FromSeq: 3, UntilSeq: 5}, "3 4 5"},
		"beyond":       {Filter{FromSeq: 12}, ""},
		"none":         {Filter{Service: "curator"}, ""},
		"time":         {Filter{From: all[4].Stored, Until: all[6].Stored}, "5 6 7"},
		"until before": {Filter{Until: all[0].Stored.Add(-time.Second)}, ""},
	} {
		var got []string
		for _, r := range collect(t, l, c.f) {
			got = append(got, fmt.Sprint(r.Seq))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", name, got, c.want)
		}
	}
	last := collect(t, l, Filter{Service: "classifier"})[0]
	m, ok := last.Event.(*blotterv1.FileClassified)
	if !ok || m.SpecVersion != 7 || last.Table != reports || last.Envelope.GetCause() != all[0].Envelope.GetId() {
		t.Errorf("read back %v", last)
	}
	if left := consumers(t, l); left != 0 {
		t.Errorf("%d temporary consumers are left", left)
	}
}

func consumers(t *testing.T, l *Log) int {
	info, err := l.stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Consumers
}

func TestReadFollows(t *testing.T) {
	l := openLog(t, startServer(t), testConfig())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for n := range 3 {
		if _, err := l.PublishOnce(ctx, arrived(reports, n)); err != nil {
			t.Fatal(err)
		}
	}
	var seen uint64
	var last error
	for r, err := range l.Read(ctx, Filter{FromSeq: 2, Follow: true}) {
		if last = err; err != nil {
			break
		}
		seen = r.Seq
		switch seen {
		case 3:
			if _, err := l.PublishOnce(ctx, arrived(reports, 3)); err != nil {
				t.Fatal(err)
			}
		case 4:
			cancel()
		}
	}
	if seen != 4 || !errors.Is(last, context.Canceled) {
		t.Errorf("saw up to %d, ended with %v", seen, last)
	}
}

func TestIdle(t *testing.T) {
	l := openLog(t, startServer(t), testConfig())
	idle := func() bool {
		ok, err := l.Idle(t.Context(), []string{"classifier"})
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if idle() {
		t.Error("idle before its consumers exist")
	}
	gate := make(chan struct{})
	stop := consumeInBackground(t, l, ConsumerConfig{Service: "classifier", From: []string{"ingest-router"}},
		func(context.Context, Record) error { <-gate; return nil })
	defer stop()
	eventually(t, "idle with nothing to do", idle)
	if _, err := l.PublishOnce(t.Context(), arrived(reports, 0)); err != nil {
		t.Fatal(err)
	}
	if idle() {
		t.Error("idle with an event to handle")
	}
	close(gate)
	eventually(t, "idle when all is handled", idle)
}

// consumeInBackground runs a consumer until stop, which fails the test if the
// consumer did.
func consumeInBackground(t *testing.T, l *Log, cfg ConsumerConfig, h Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Consume(ctx, cfg, h) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("consumer ended: %v", err)
		}
	}
}

func TestConflictsHaveTheirCodes(t *testing.T) {
	for _, code := range []jetstream.ErrorCode{10071, 10164, 10158} {
		if err := classify(&jetstream.APIError{ErrorCode: code}); !errors.Is(err, ErrConflict) {
			t.Errorf("code %d is %v", code, err)
		}
	}
	if err := classify(&jetstream.APIError{ErrorCode: 10077}); errors.Is(err, ErrConflict) || IsPermanent(err) {
		t.Errorf("a full stream is %v", err)
	}
}

// logLines keeps what is logged.
type logLines chan string

func (c logLines) Write(b []byte) (int, error) {
	select {
	case c <- string(b):
	default: // more than anyone reads
	}
	return len(b), nil
}

// TestALostConnectionIsTold: that it is lost, why it does not come back yet, and that it is.
func TestALostConnectionIsTold(t *testing.T) {
	cfg := natsserver.DefaultConfig()
	cfg.Dir = t.TempDir()
	server, err := natsserver.Start(t.Context(), cfg, testLogger())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(server.URL(), "nats://127.0.0.1:%d", &cfg.Port); err != nil {
		t.Fatal(err)
	}
	lines := make(logLines, 100)
	nc, err := Connect(server.URL(), "test", slog.New(slog.NewTextHandler(lines, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	server.Close()
	expect := func(what string) {
		t.Helper()
		deadline := time.NewTimer(time.Minute)
		defer deadline.Stop()
		for {
			select {
			case line := <-lines:
				if strings.Contains(line, what) {
					return
				}
			case <-deadline.C:
				t.Fatalf("it is not told: %s", what)
			}
		}
	}
	expect("connection to nats lost")
	expect("nats is not reached again yet")
	if server, err = natsserver.Start(t.Context(), cfg, testLogger()); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	expect("connection to nats is back")
}
