package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/natsauth"
	"github.com/openblotter/blotter/pkg/natsauth/natsauthtest"
)

// TestRunEndsWithoutItsUser: a process of services whose user the server does not know, or
// knows no more, ends by itself in a moment, and says why and what to give.
func TestRunEndsWithoutItsUser(t *testing.T) {
	t.Parallel()
	g := &guardedSite{t: t, dir: t.TempDir(), seeds: filepath.Join(t.TempDir(), "seeds")}
	tell := func(more ...string) {
		t.Helper()
		if out, err := command(t.Context(), nil, append([]string{"nats", "users", "--out", g.seeds}, more...)...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	tell()
	g.server = natsauthtest.StartUnverified(t, filepath.Join(g.seeds, usersFile))
	g.as("admin", "nats", "create", "--log-replicas", "1")
	if err := os.MkdirAll(filepath.Join(g.dir, "raw"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, err := natsauth.Seed(g.seeds, "stranger"); err != nil {
		t.Fatal(err)
	}
	const unknown = "it knows no user with this seed (--nats-nkey, BLOTTER_NATS_NKEY)"
	if err := g.ends(func() {}, "stranger"); err == nil || !strings.Contains(err.Error(), unknown) {
		t.Errorf("as a stranger it ends with %v", err)
	}
	err := g.ends(func() {
		g.consuming("classifier")
		// Its seed has leaked: it is removed at once.
		if err := os.Remove(natsauth.SeedFile(g.seeds, "classifier")); err != nil {
			t.Fatal(err)
		}
		tell("--new", "classifier")
		g.server.Reload(t)
	}, "classifier")
	if !errors.Is(err, eventlog.ErrCutOff) || !strings.Contains(err.Error(), unknown) {
		t.Errorf("without its user it ends with %v", err)
	}
}

// ends runs classifier as a user while something is done, and gives with what it ends.
func (g *guardedSite) ends(meanwhile func(), user string) error {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := g.blotter(ctx, user, "run", "--roles", "classifier")
		ended <- err
	}()
	meanwhile()
	err := <-ended
	if ctx.Err() != nil {
		g.t.Error("it did not end by itself")
	}
	return err
}

// consuming waits until a service waits for events.
func (g *guardedSite) consuming(service string) {
	g.t.Helper()
	options, err := g.server.Credentials(g.seeds, "auditor").Options()
	if err != nil {
		g.t.Fatal(err)
	}
	nc, err := eventlog.Connect(g.server.URL, "test", slog.New(slog.DiscardHandler), options...)
	if err != nil {
		g.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		g.t.Fatal(err)
	}
	deadline, tick := time.NewTimer(time.Minute), time.NewTicker(20*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for {
		consumer, err := js.Consumer(g.t.Context(), "BLOTTER", eventlog.ConsumerName(service, 0))
		if err == nil && consumer.CachedInfo().NumWaiting > 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			g.t.Fatalf("%s does not wait for events: %v", service, err)
		}
	}
}
