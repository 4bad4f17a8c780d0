package eventlog

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/natsserver"
)

// A server that comes back without its stream, in the middle of a read, holds no reader
// beyond its context: the client by itself would make its consumer anew for ever.
func TestAReadEndsWithItsContext(t *testing.T) {
	cfg := natsserver.DefaultConfig()
	cfg.Dir = t.TempDir()
	server, err := natsserver.Start(t.Context(), cfg, testLogger())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(server.URL(), "nats://127.0.0.1:%d", &cfg.Port); err != nil {
		t.Fatal(err)
	}
	logConfig := testConfig()
	logConfig.CallTimeout = 200 * time.Millisecond
	l := openLog(t, server.URL(), logConfig)
	for n := range 3 {
		if _, err := l.PublishOnce(t.Context(), arrived(reports, n)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	given, ended := 0, make(chan error, 1)
	go func() {
		var last error
		for _, err := range l.Read(ctx, Filter{Follow: true}) {
			if given++; given == 3 {
				server.Close()
				cfg.Dir = t.TempDir()
				if server, err = natsserver.Start(ctx, cfg, testLogger()); err != nil {
					t.Error(err)
				}
				time.AfterFunc(0, func() {
					defer cancel()
					eventually(t, "the connection is back", func() bool { return l.nc.Stats().Reconnects > 0 })
					// What looks for the consumer has begun once a call of its own would have ended.
					_, _ = l.Last(ctx)
					_, _ = l.Last(ctx)
				})
			}
			last = err
		}
		ended <- last
	}()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	case <-deadline.C:
		t.Error("it goes on although its context has ended")
	}
	server.Close()
}
