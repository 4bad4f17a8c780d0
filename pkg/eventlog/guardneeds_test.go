package eventlog

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
)

// TestWhatAProcessCannotDoWithout: its own consumers, by their exact name, on its stream.
func TestWhatAProcessCannotDoWithout(t *testing.T) {
	t.Parallel()
	l := &Log{cfg: testConfig()}
	l.consuming.Store("curator", true)
	l.consuming.Store("lambda-transformer-fences", true)
	stream := l.cfg.Stream
	for subject, want := range map[string]bool{
		"$JS.API.CONSUMER.CREATE." + stream + ".curator-p0.blotter.0.*.*.x.y":        true,
		"$JS.API.CONSUMER.DURABLE.CREATE." + stream + ".curator-p0":                  true,
		"$JS.API.CONSUMER.INFO." + stream + ".curator-p15":                           true,
		"$JS.API.CONSUMER.MSG.NEXT." + stream + ".lambda-transformer-fences-p3":      true,
		"$JS.ACK." + stream + ".curator-p0.1.2.3.4.5":                                true,
		"$JS.ACK.domain.hash." + stream + ".curator-p0.1.2.3.4.5.6":                  true,
		"$JS.API.CONSUMER.INFO." + stream + ".curator-private":                       false,
		"$JS.API.CONSUMER.INFO." + stream + ".curator-pages-p0":                      false,
		"$JS.API.CONSUMER.INFO." + stream + ".lambda-transformer-p0":                 false,
		"$JS.API.CONSUMER.INFO.OTHER.curator-p0":                                     false,
		"blotter.0.rms.curator-p0.curator.FilesPublished":                            false,
		"command.lock-manager.curator-p0":                                            false,
		"$JS.API.STREAM.INFO.curator-p0":                                             false,
		"$JS.ACK.OTHER.curator-p0.1." + stream + ".curator-p0.5":                     false,
		"$JS.API.CONSUMER.CREATE." + stream + ".other-p0.blotter.0.rms.curator-p0.x": false,
	} {
		if got := l.needs(&DeniedError{Verb: "publish to", Subject: subject}); got != want {
			t.Errorf("%s: %v", subject, got)
		}
	}
	if !l.needs(&DeniedError{Verb: "subscribe to", Subject: "command.x"}) {
		t.Error("what it may not hear is not needed")
	}
}

// TestGuardGivesTheHandlerBack: once it has ended, errors go where they went before.
func TestGuardGivesTheHandlerBack(t *testing.T) {
	t.Parallel()
	l := openLog(t, startServer(t), testConfig())
	var heard atomic.Int64
	l.nc.SetErrorHandler(func(*nats.Conn, *nats.Subscription, error) { heard.Add(1) })
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		if err := l.Guard(ctx, cancel); err != nil {
			t.Fatal(err)
		}
	}
	l.nc.ErrorHandler()(l.nc, nil, nats.ErrPermissionViolation)
	if heard.Load() != 1 {
		t.Errorf("an error is heard %d times", heard.Load())
	}
	called := false
	l.nc.SetErrorHandler(func(*nats.Conn, *nats.Subscription, error) { called = true })
	ctx, cancel := context.WithCancel(t.Context())
	during := func() { l.nc.ErrorHandler()(l.nc, nil, nats.ErrTimeout); cancel() }
	if err := l.Guard(ctx, during); err != nil || !called {
		t.Errorf("while it watches, errors are not passed on (%v)", err)
	}
}
