package natsauth_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/natsauth"
	"github.com/openblotter/blotter/pkg/natsauth/natsauthtest"
)

func seed(t *testing.T, dir, user string) ([]string, bool) {
	t.Helper()
	keys, made, err := natsauth.Seed(dir, user)
	if err != nil {
		t.Fatal(err)
	}
	return keys, made
}

// write writes what a server includes: users who may tell x and hear their inbox.
func write(t *testing.T, file string, keys ...string) {
	t.Helper()
	var users []natsauth.User
	for _, k := range keys {
		users = append(users, natsauth.User{Name: "curator", What: "test", Key: k, Permissions: eventlog.Permissions{
			Publish: []string{"$JS.API.x.>", "x"}, Deny: []string{"$JS.API.x.y"}, Subscribe: []string{natsauth.Inbox(k) + ".>"},
		}})
	}
	f, err := os.Create(file)
	if err == nil {
		err = errors.Join(natsauth.Render(f, users), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func connect(url string, c natsauth.Credentials) (*nats.Conn, error) {
	options, err := c.Options()
	if err != nil {
		return nil, err
	}
	return eventlog.Connect(url, "test", slog.New(slog.DiscardHandler), options...)
}

// A seed is for its owner alone, and is never written over.
func TestSeedIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, made := seed(t, dir, "curator")
	if info, err := os.Stat(natsauth.SeedFile(dir, "curator")); err != nil || info.Mode().Perm() != 0o600 || !made {
		t.Fatalf("the seed is %v, %v", info, err)
	}
	before, err := os.ReadFile(natsauth.SeedFile(dir, "curator"))
	if err != nil {
		t.Fatal(err)
	}
	again, made := seed(t, dir, "curator")
	after, err := os.ReadFile(natsauth.SeedFile(dir, "curator"))
	if err != nil || string(before) != string(after) || made || again[0] != first[0] {
		t.Errorf("it was made anew: %v", err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("beside it lie %v, %v", all, err)
	}
	for _, content := range []string{"", "nonsense", strings.Replace(string(before), "SU", "SA", 1)} {
		if err := os.WriteFile(natsauth.SeedFile(dir, "curator"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := natsauth.Seed(dir, "curator")
		if err == nil || !strings.Contains(err.Error(), "curator.nk holds no seed of a NATS user") || content != "" && strings.Contains(err.Error(), strings.TrimSpace(content)) {
			t.Errorf("of %d bytes it says %v", len(content), err)
		}
	}
}

// TestExchangedSeed: a seed is exchanged without a moment at which the user is unknown,
// in a folder whose name a pattern would read as one.
func TestExchangedSeed(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys [2026*")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "users.conf")
	old, _ := seed(t, dir, "curator")
	write(t, file, old...)
	s := natsauthtest.Start(t, file)
	former, err := connect(s.URL, s.Credentials(dir, "curator"))
	if err != nil {
		t.Fatal(err)
	}
	defer former.Close()
	if err := os.Rename(natsauth.SeedFile(dir, "curator"), natsauth.SeedFile(dir, "curator.old")); err != nil {
		t.Fatal(err)
	}
	both, made := seed(t, dir, "curator")
	if !made || len(both) != 2 || both[1] != old[0] {
		t.Fatalf("the keys are %v", both)
	}
	if _, err := connect(s.URL, s.Credentials(dir, "curator")); err == nil || !strings.Contains(err.Error(), "knows no user with this seed") {
		t.Errorf("before the server is told: %v", err)
	}
	write(t, file, both...)
	s.Reload(t)
	next, err := connect(s.URL, s.Credentials(dir, "curator"))
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if _, err := former.RTT(); err != nil {
		t.Errorf("with the old seed: %v", err)
	}
	lost := make(chan struct{})
	former.SetDisconnectErrHandler(func(*nats.Conn, error) { close(lost) })
	write(t, file, both[0])
	s.Reload(t)
	select {
	case <-lost:
	case <-time.After(30 * time.Second):
		t.Error("the old seed is still good")
	}
	if _, err := next.RTT(); err != nil {
		t.Errorf("with the new seed: %v", err)
	}
}

// TestTLS: both sides are known to each other, or there is no connection.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "users.conf")
	keys, _ := seed(t, dir, "curator")
	write(t, file, keys...)
	s := natsauthtest.Start(t, file)
	whole := s.Credentials(dir, "curator")
	nc, err := connect(s.URL, whole)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if state, err := nc.TLSConnectionState(); err != nil || len(state.VerifiedChains) == 0 || !strings.HasPrefix(nc.NewInbox(), "_INBOX."+keys[0]+".") {
		t.Errorf("the connection is %+v, %v, its inboxes begin as %s", state, err, nc.NewInbox())
	}
	for what, c := range map[string]natsauth.Credentials{
		"certificate signed by unknown authority": {Seed: whole.Seed, Cert: whole.Cert, Key: whole.Key},
		"knows no user with this seed":            {CA: whole.CA, Cert: whole.Cert, Key: whole.Key},
		"tls":                                     {Seed: whole.Seed, CA: whole.CA},
		"go together":                             {Seed: whole.Seed, CA: whole.CA, Cert: whole.Cert},
		"read the seed of a NATS user: open":      {Seed: filepath.Join(dir, "none.nk"), CA: whole.CA},
		"none.pem":                                {Seed: whole.Seed, CA: filepath.Join(dir, "none.pem")},
	} {
		if nc, err := connect(s.URL, c); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("expected %q, got %v", what, err)
			if nc != nil {
				nc.Close()
			}
		}
	}
	if _, err := connect(strings.Replace(s.URL, "tls://", "nats://", 1), natsauth.Credentials{Seed: whole.Seed}); err == nil {
		t.Error("it connects without TLS")
	}
}
