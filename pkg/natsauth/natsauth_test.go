package natsauth_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
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
	other := natsauthtest.Prepare(t, file).Credentials(dir, "curator")
	for what, c := range map[string]natsauth.Credentials{
		"give that authority with --nats-ca":                                                                        {Seed: whole.Seed, Cert: whole.Cert, Key: whole.Key},
		"the authorities of --nats-ca (BLOTTER_NATS_CA) did not sign":                                               {Seed: whole.Seed, CA: other.CA, Cert: whole.Cert, Key: whole.Key},
		"lets in nobody without a seed: give that of a user with --nats-nkey":                                       {CA: whole.CA, Cert: whole.Cert, Key: whole.Key},
		"knows no user with this seed (--nats-nkey":                                                                 {Seed: unknownSeed(t), CA: whole.CA, Cert: whole.Cert, Key: whole.Key},
		"asks for a certificate (verify: true); give one that it accepts, with its key: --nats-cert and --nats-key": {Seed: whole.Seed, CA: whole.CA},
		"accept the certificate of --nats-cert":                                                                     {Seed: whole.Seed, CA: whole.CA, Cert: other.Cert, Key: other.Key},
		"go together":                                                                                               {Seed: whole.Seed, CA: whole.CA, Cert: whole.Cert},
		"read the seed of a NATS user: open":                                                                        {Seed: filepath.Join(dir, "none.nk"), CA: whole.CA},
		"none.pem":                                                                                                  {Seed: whole.Seed, CA: filepath.Join(dir, "none.pem")},
	} {
		refuses(t, s.URL, c, what)
	}
	refuses(t, strings.Replace(s.URL, "tls://", "nats://", 1), natsauth.Credentials{Seed: whole.Seed}, "give that authority with --nats-ca")
	refuses(t, strings.Replace(s.URL, "tls://", "tls://ann:secret@", 1), natsauth.Credentials{CA: whole.CA, Cert: whole.Cert, Key: whole.Key},
		"tls://ann:xxxxx@")
	refuses(t, strings.Replace(s.URL, "127.0.0.1", "localhost", 1), whole, "must have the name or address by which --nats")
}

// unknownSeed is that of a user of whom no server is told.
func unknownSeed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	seed(t, dir, "stranger")
	return natsauth.SeedFile(dir, "stranger")
}

// refuses has a connection fail, which says what is wrong, and what to do.
func refuses(t *testing.T, url string, c natsauth.Credentials, what ...string) {
	t.Helper()
	nc, err := connect(url, c)
	if err == nil {
		nc.Close()
		t.Errorf("it connects to %s, expected %q", url, what)
		return
	}
	for _, w := range what {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("expected %q, got %v", w, err)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("it shows a password: %v", err)
	}
}

// TestTLSOfTheServerAlone: a seed and the authority are enough where the server asks for no
// certificate.
func TestTLSOfTheServerAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "users.conf")
	keys, _ := seed(t, dir, "curator")
	write(t, file, keys...)
	s := natsauthtest.StartUnverified(t, file)
	whole := s.Credentials(dir, "curator")
	nc, err := connect(s.URL, natsauth.Credentials{Seed: whole.Seed, CA: whole.CA})
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	refuses(t, s.URL, natsauth.Credentials{Seed: whole.Seed}, "give that authority with --nats-ca")
}

// TestSeveralServers: of several servers each says why it does not let one in, and one that
// is not there hides nothing.
func TestSeveralServers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "users.conf")
	keys, _ := seed(t, dir, "curator")
	write(t, file, keys...)
	s := natsauthtest.StartUnverified(t, file)
	c := s.Credentials(dir, "curator")
	address := strings.TrimPrefix(s.URL, "tls://")
	c.Cert, c.Key = "", ""
	for _, urls := range []string{s.URL + ",127.0.0.1:1", "tls://127.0.0.1:1," + address} {
		nc, err := connect(urls, c)
		if err != nil {
			t.Fatalf("%s: %v", urls, err)
		}
		nc.Close()
		refuses(t, urls, natsauth.Credentials{Seed: unknownSeed(t), CA: c.CA}, "knows no user with this seed", "127.0.0.1:1: nats: no servers available")
	}
}

// What a server includes tells whom it knows, by which keys.
func TestKnown(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "users.conf")
	write(t, file, "UAAA", "UBBB")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if known := natsauth.Known(content); len(known) != 1 || !slices.Equal(known["curator"], []string{"UAAA", "UBBB"}) {
		t.Errorf("it knows %v", known)
	}
}
