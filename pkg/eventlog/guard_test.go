package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/natsauth"
	"github.com/openblotter/blotter/pkg/natsauth/natsauthtest"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// guarded is a log on a server that knows its user, who makes it, publishes as ingest-router,
// consumes as classifier and hears commands.
type guarded struct {
	t      *testing.T
	server *natsauthtest.Server
	users  string
	key    string
	use    eventlog.Use
	nc     *nats.Conn
	log    *eventlog.Log
	ended  chan error // what Guard and Consume gave
	errors chan error // what the server says of the connection
	began  chan struct{}
}

func startGuarded(t *testing.T) *guarded {
	t.Helper()
	dir := t.TempDir()
	g := &guarded{t: t, users: filepath.Join(dir, "users.conf"), ended: make(chan error, 2), errors: make(chan error, 1000), began: make(chan struct{}, 1000),
		use: eventlog.Use{Creates: true, Publishes: []string{"ingest-router"}, Consumes: []string{"classifier"}, Hears: []string{"command.x.*"}, Answers: true}}
	keys, _, err := natsauth.Seed(dir, "all")
	if err != nil {
		t.Fatal(err)
	}
	g.key = keys[0]
	g.tell(g.key, func(*eventlog.Permissions) {})
	g.server = natsauthtest.StartUnverified(t, g.users)
	options, err := g.server.Credentials(dir, "all").Options()
	if err != nil {
		t.Fatal(err)
	}
	g.nc, err = eventlog.Connect(g.server.URL, "test", slog.New(slog.DiscardHandler), append(options,
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { g.errors <- err }))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.nc.Close)
	cfg := eventlog.EmbeddedConfig()
	cfg.Partitions = 1
	if g.log, err = eventlog.Open(t.Context(), g.nc, cfg); err != nil {
		t.Fatal(err)
	}
	return g
}

// tell writes what the server is told: one user of this key, with permissions that are
// changed before.
func (g *guarded) tell(key string, change func(*eventlog.Permissions)) {
	g.t.Helper()
	cfg := eventlog.EmbeddedConfig()
	cfg.Partitions = 1
	p := cfg.Permissions(g.use, eventlog.Surroundings{Inbox: natsauth.Inbox(key)})
	change(&p)
	users := []natsauth.User{{Name: "all", Key: key, Permissions: p}}
	f, err := os.Create(g.users)
	if err == nil {
		err = errors.Join(natsauth.Render(f, users), f.Close())
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

// run begins to watch and to work, as a process does.
func (g *guarded) run(ctx context.Context) {
	g.t.Helper()
	ready := make(chan struct{})
	go func() { g.ended <- g.log.Guard(ctx, func() { close(ready) }) }()
	<-ready
	if _, err := g.nc.Subscribe("command.x.*", func(*nats.Msg) {}); err != nil {
		g.t.Fatal(err)
	}
	consuming := make(chan struct{})
	go func() {
		g.ended <- g.log.Consume(ctx, eventlog.ConsumerConfig{Service: "classifier", From: []string{"ingest-router"}, Ready: func() { close(consuming) }},
			func(context.Context, eventlog.Record) error { g.began <- struct{}{}; return nil })
	}()
	await(g.t, "the consumer", consuming)
	if err := g.nc.Flush(); err != nil {
		g.t.Fatal(err)
	}
}

func await[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	select {
	case v = <-c:
	case <-deadline.C:
		t.Fatalf("waited in vain: %s", what)
	}
	return v
}

func (g *guarded) publish(n int) {
	g.t.Helper()
	id := fmt.Sprintf("%032x", n+1)
	_, err := g.log.PublishOnce(g.t.Context(), eventlog.Event{
		Table: dms.TableID{DB: "rms", Table: "reports"}, Service: "ingest-router", ID: id, Correlation: id,
		Time: time.Unix(int64(n), 0), Message: &blotterv1.ObjectArrived{FileId: id, Source: "listing"},
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

// TestAUserIsRemoved: a process whose user the server knows no more ends in a moment, and
// says why; so does each of its consumers.
func TestAUserIsRemoved(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	g.run(t.Context())
	g.publish(0)
	await(t, "an event", g.began)
	others, _, err := natsauth.Seed(t.TempDir(), "other")
	if err != nil {
		t.Fatal(err)
	}
	g.tell(others[0], func(*eventlog.Permissions) {})
	g.server.Reload(t)
	for range 2 {
		err := await(t, "the end", g.ended)
		if !errors.Is(err, eventlog.ErrCutOff) || !eventlog.IsPermanent(err) || !strings.Contains(err.Error(), "it knows no user with this seed (--nats-nkey") {
			t.Errorf("it ends with %v", err)
		}
	}
	if err := g.log.Guard(t.Context(), func() { t.Error("it watches a connection that is closed") }); !errors.Is(err, eventlog.ErrCutOff) {
		t.Errorf("afterwards it says %v", err)
	}
}

// TestAPermissionIsWithdrawn: a process that may no longer do what it needs ends as well.
func TestAPermissionIsWithdrawn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		without func(*eventlog.Permissions)
		says    string
	}{
		{"to hear commands", func(p *eventlog.Permissions) { p.Subscribe = []string{natsauth.Inbox("*") + ".>"} }, "subscribe to command.x.*"},
		{"to acknowledge", func(p *eventlog.Permissions) { p.Deny = append(p.Deny, "$JS.ACK.BLOTTER.classifier-p0.>") }, "publish to $JS.ACK.BLOTTER.classifier-p0."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := startGuarded(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			g.run(ctx)
			g.tell(g.key, tt.without)
			g.server.Reload(t)
			g.publish(0)
			err := await(t, "the end", g.ended)
			var denied *eventlog.DeniedError
			if !errors.As(err, &denied) || !eventlog.IsPermanent(err) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "user "+g.key) {
				t.Errorf("it ends with %v", err)
			}
			cancel()
			if err := await(t, "the consumer's end", g.ended); err != nil {
				t.Errorf("the consumer ends with %v", err)
			}
		})
	}
}

// TestAnAnswerIsRefused: whoever asks names where the answer is to go, and ends nobody by
// naming a subject that is not theirs.
func TestAnAnswerIsRefused(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	g.run(ctx)
	for _, subject := range []string{"_INBOX.somebody.1", "command.y.z", "$JS.API.CONSUMER.DELETE.OTHER.curator-p0"} {
		if err := g.nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		if err := await(t, "a refusal", g.errors); !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), subject) {
			t.Errorf("the server says %v", err)
		}
	}
	g.publish(0)
	await(t, "an event", g.began)
	cancel()
	for range 2 {
		if err := await(t, "the end", g.ended); err != nil {
			t.Errorf("it ends with %v", err)
		}
	}
}
