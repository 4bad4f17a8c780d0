package natsserver_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/openblotter/blotter/pkg/natsserver"
)

func start(tb testing.TB, cfg natsserver.Config) (*natsserver.Server, jetstream.JetStream) {
	tb.Helper()
	s, err := natsserver.Start(tb.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	nc, err := nats.Connect(s.URL())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		tb.Fatal(err)
	}
	return s, js
}

func config(tb testing.TB) natsserver.Config {
	cfg := natsserver.DefaultConfig()
	cfg.Dir = tb.TempDir()
	return cfg
}

func TestMessagesSurviveARestart(t *testing.T) {
	cfg := config(t)
	s, js := start(t, cfg)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "A", Subjects: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "a", []byte("one")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	_, js = start(t, cfg)
	stream, err := js.Stream(t.Context(), "A")
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetMsg(t.Context(), 1)
	if err != nil || string(m.Data) != "one" {
		t.Fatalf("after restart: %v, %v", m, err)
	}
}

func TestListensOnLoopbackOnly(t *testing.T) {
	s, _ := start(t, config(t))
	host, _, err := net.SplitHostPort(strings.TrimPrefix(s.URL(), "nats://"))
	if err != nil || !net.ParseIP(host).IsLoopback() {
		t.Fatalf("client URL %s is not on loopback (%v)", s.URL(), err)
	}
}

func TestStartFailsOnATakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := config(t)
	cfg.Port = l.Addr().(*net.TCPAddr).Port
	_, err = natsserver.Start(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if !errors.Is(err, natsserver.ErrNotReady) {
		t.Fatalf("got %v, want ErrNotReady", err)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := config(t)
	cfg.Port = l.Addr().(*net.TCPAddr).Port
	if _, err = natsserver.Start(ctx, cfg, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("started though its context was over")
	}
}

func TestValidateReportsAllFaults(t *testing.T) {
	err := natsserver.Config{Port: -1}.Validate()
	for _, want := range []string{"dir", "port", "timeout", "limits"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

// BenchmarkSerialPublish is the rate of one publisher that waits for each
// acknowledgement, with and without an fsync for each message.
func BenchmarkSerialPublish(b *testing.B) {
	for name, sync := range map[string]bool{"sync": true, "nosync": false} {
		b.Run(name, func(b *testing.B) {
			cfg := config(b)
			cfg.SyncAlways = sync
			_, js := start(b, cfg)
			if _, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "A", Subjects: []string{"a"}}); err != nil {
				b.Fatal(err)
			}
			payload := make([]byte, 400)
			for b.Loop() {
				if _, err := js.Publish(b.Context(), "a", payload); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
		})
	}
}
