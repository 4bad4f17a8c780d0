package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/natsauth"
	"github.com/openblotter/blotter/pkg/natsauth/natsauthtest"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// guardedSite is a system whose roles and people are users of a NATS server.
type guardedSite struct {
	t      *testing.T
	server *natsauthtest.Server
	dir    string // of everything
	seeds  string
	output bytes.Buffer // all that was printed
	mu     sync.Mutex
}

// blotter runs a command as a user, in a folder of its own.
func (g *guardedSite) blotter(ctx context.Context, user string, args ...string) (string, error) {
	return g.in(ctx, user, "of-"+user, args...)
}

func (g *guardedSite) in(ctx context.Context, user, folder string, args ...string) (string, error) {
	c := g.server.Credentials(g.seeds, user)
	args = append(args, "--dir", filepath.Join(g.dir, folder), "--nats", g.server.URL,
		"--nats-nkey", c.Seed, "--nats-ca", c.CA, "--nats-cert", c.Cert, "--nats-key", c.Key)
	for _, place := range []string{"raw", "staging", "failed", "lake", "audit"} {
		args = append(args, "--"+place, filepath.Join(g.dir, place))
	}
	args = append(args, "--control", filepath.Join(g.dir, "control.db"), "--hold", filepath.Join(g.dir, "hold.db"), "--catalog", filepath.Join(g.dir, "catalog.db"))
	out, err := command(ctx, nil, args...)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.output.WriteString(out)
	if err != nil {
		g.output.WriteString(err.Error())
	}
	return out, err
}

// as is blotter for a command that has to succeed.
func (g *guardedSite) as(user string, args ...string) string {
	g.t.Helper()
	out, err := g.blotter(g.t.Context(), user, args...)
	if err != nil {
		g.t.Fatalf("as %s: blotter %s: %v\n%s", user, strings.Join(args, " "), err, out)
	}
	return out
}

// eventually tries until a command gives what is meant.
func (g *guardedSite) eventually(user string, meant func(out string, err error) bool, args ...string) {
	g.t.Helper()
	deadline, tick := time.NewTimer(2*time.Minute), time.NewTicker(50*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for {
		out, err := g.blotter(g.t.Context(), user, args...)
		if meant(out, err) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			g.t.Fatalf("blotter %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func (g *guardedSite) drop(name, content string) {
	g.t.Helper()
	file := filepath.Join(g.dir, "raw", "dms", "rms", "reports", name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644)); err != nil {
		g.t.Fatal(err)
	}
}

// run runs each role as a user of its own, in two processes that share its events, until the
// function that it gives is called.
func (g *guardedSite) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(g.t.Context()))
	var group sync.WaitGroup
	for _, process := range []string{"", "-2"} {
		for _, role := range roles.Names() {
			group.Go(func() {
				_, err := g.in(ctx, role, role+process, "run", "--roles", role, "--rescan", "100ms", "--stable-for", "10ms", "--alerts", "https://127.0.0.1:1/none")
				if err != nil && ctx.Err() == nil {
					g.t.Errorf("%s: %v", role+process, err)
				}
			})
		}
	}
	return sync.OnceFunc(func() { cancel(); group.Wait() })
}

// TestEachRoleIsAUser runs the whole way of files with each role as a user of its own
// over TLS, and people as theirs: the server refuses nothing that anyone needs.
func TestEachRoleIsAUser(t *testing.T) {
	t.Parallel()
	g := &guardedSite{t: t, dir: t.TempDir(), seeds: filepath.Join(t.TempDir(), "seeds")}
	for _, state := range []string{"new", "kept"} {
		out, err := command(t.Context(), nil, "nats", "users", "--out", g.seeds)
		if err != nil || strings.Count(out, " "+state+" ") != len(roles.StandardUsers()) {
			t.Fatalf("the users are %v\n%s", err, out)
		}
	}
	g.server = natsauthtest.Start(t, filepath.Join(g.seeds, usersFile))
	for _, user := range []string{"curator", "operator"} {
		if _, err := g.blotter(t.Context(), user, "nats", "create"); err == nil || !strings.Contains(err.Error(), "as the user admin with `blotter nats create`") {
			t.Errorf("%s makes a log: %v", user, err)
		}
	}
	if _, err := g.blotter(t.Context(), "admin", "nats", "create"); err == nil || !strings.Contains(err.Error(), "--log-replicas 1 (BLOTTER_LOG_REPLICAS=1) for one server alone") {
		t.Errorf("it makes a log with three replicas on one server: %v", err)
	}
	g.server.Refusals()
	for range 2 {
		if out := g.as("admin", "nats", "create", "--log-replicas", "1"); !strings.Contains(out, "with 1 replica and 0 events") {
			t.Errorf("it says %s", out)
		}
	}
	if _, err := g.blotter(t.Context(), "admin", "nats", "create"); err == nil || !strings.Contains(err.Error(), "has 1 replica, not 3") || !strings.Contains(err.Error(), "`nats stream edit BLOTTER --replicas=3`") {
		t.Errorf("it makes a log with other replicas: %v", err)
	}
	for _, dir := range []string{"raw", "of-auditor", "of-operator", "of-admin"} {
		if err := os.MkdirAll(filepath.Join(g.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	stop := g.run()
	defer stop()
	tables := filepath.Join(t.TempDir(), "rms.yaml")
	if err := os.WriteFile(tables, []byte(testTables), 0o600); err != nil {
		t.Fatal(err)
	}
	// The roles may be making the stores yet.
	g.eventually("operator", func(_ string, err error) bool { return err == nil }, "apply", "-f", tables)
	g.work()
	g.look()
	stop()
	if refused := g.server.Refusals(); len(refused) > 0 {
		t.Errorf("the server refuses\n%s", strings.Join(refused, "\n"))
	}
	g.refuse()
	g.noSecrets()
}

// work has a load published, changes, and a bad file that is skipped.
func (g *guardedSite) work() {
	g.t.Helper()
	rows := func(want ...string) func(string, error) bool {
		return func(out string, err error) bool {
			return err == nil && slices.Equal(strings.Split(strings.TrimSpace(out), "\n")[1:], want)
		}
	}
	done := func(_ string, err error) bool { return err == nil }
	g.drop("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n2,open,2.50\n")
	g.eventually("operator", done, "load", "complete", "rms.reports")
	g.eventually("auditor", rows("1,open,1.50", "2,open,2.50"), "cat", "rms.reports")
	g.drop("20240704-080000000.csv", "Op,id,status,amount\nU,1,closed,1.50\nD,2,,\n")
	g.eventually("auditor", rows("1,closed,1.50"), "cat", "rms.reports")
	g.drop("20240705-080000000.csv", "Op,id,status,amount\nI,three,open,1\n")
	g.eventually("operator", done, "resume", "rms.reports", "--skip", "--reason", "test")
	g.as("operator", "flag", "rms.reports", "G", "--reason", "test")
	g.drop("20240706-080000000.csv", "Op,id,status,amount\nI,4,open,4\n")
	g.eventually("auditor", rows("1,closed,1.50", "4,open,4.00"), "cat", "rms.reports")
}

// look runs what people look with.
func (g *guardedSite) look() {
	g.t.Helper()
	g.as("operator", "reconcile", "--reason", "test")
	g.as("operator", "tables")
	g.as("operator", "table", "show", "rms.reports")
	g.as("operator", "explain", "rms.reports", "1")
	g.as("operator", "places")
	if _, err := g.in(g.t.Context(), "operator", "curator", "audit", "archive"); err != nil { // its key lies there
		g.t.Error(err)
	}
	key, err := g.in(g.t.Context(), "auditor", "curator", "audit", "key")
	if err != nil {
		g.t.Fatal(err)
	}
	g.as("auditor", "log", "rms.reports")
	g.as("auditor", "replay")
	g.as("auditor", "audit", "verify", "--key", strings.TrimSpace(key))
	g.as("admin", "audit", "trim", "--keep", "1h", "--key", strings.TrimSpace(key))
	if out, err := g.blotter(g.t.Context(), "operator", "fsck"); err != nil && !errors.Is(err, errUnsettled) {
		g.t.Errorf("fsck: %v\n%s", err, out)
	}
}

// refuse has people and roles do what they may not.
func (g *guardedSite) refuse() {
	g.t.Helper()
	for _, c := range []struct {
		user, says string
		args       []string
	}{
		{"auditor", "publish to command.lock-manager.pause: commands are the user operator's", []string{"pause", "rms.reports", "--reason", "test"}},
		{"admin", "publish to command.ingest-router.reconcile: commands are the user operator's", []string{"reconcile", "--reason", "test"}},
		{"classifier", "a consumer is its own service's", []string{"run", "--roles", "curator"}},
		{"auditor", "nats: the NATS server does not let", []string{"run", "--roles", "lock-manager"}},
	} {
		began := time.Now()
		_, err := g.blotter(g.t.Context(), c.user, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "does not let user U") {
			g.t.Errorf("blotter %v as %s: %v", c.args, c.user, err)
		}
		if waited := time.Since(began); waited > requestTimeout/2 {
			g.t.Errorf("blotter %v waits %v to be refused", c.args, waited)
		}
	}
}

// noSecrets looks for seeds in all that was printed and written.
func (g *guardedSite) noSecrets() {
	g.t.Helper()
	files := 0
	for _, u := range roles.StandardUsers() {
		seed, err := os.ReadFile(natsauth.SeedFile(g.seeds, u.Name))
		if err != nil {
			g.t.Fatal(err)
		}
		seed = bytes.TrimSpace(seed)
		if bytes.Contains(g.output.Bytes(), seed) {
			g.t.Errorf("the seed of %s is printed", u.Name)
		}
		for _, dir := range []string{g.dir, g.server.Dir} {
			err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				content, err := os.ReadFile(path)
				if bytes.Contains(content, seed) {
					g.t.Errorf("the seed of %s is in %s", u.Name, path)
				}
				files++
				return err
			})
			if err != nil {
				g.t.Fatal(err)
			}
		}
	}
	if files < 100 {
		g.t.Errorf("only %d files were looked into", files)
	}
}

func TestNATSUsersCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, err := command(t.Context(), nil, "nats", "users", "--out", dir, "--user", "up", "--user", "deciders=lock-manager,classifier")
	if err != nil || !strings.Contains(out, natsauth.SeedFile(dir, "deciders")) || !strings.Contains(out, natsauth.SeedFile(dir, "up")) {
		t.Fatalf("%v\n%s", err, out)
	}
	written, err := os.ReadFile(filepath.Join(dir, usersFile))
	if err != nil || regexp.MustCompile(`\bSU[A-Z2-7]{56}\b`).Match(written) || !bytes.Contains(written, []byte("# deciders: lock-manager, classifier")) {
		t.Errorf("%v: the file begins with\n%.500s", err, written)
	}
	out, err = command(t.Context(), nil, "nats", "users", "--out", dir)
	if err != nil || strings.Count(out, "is the seed of no user now") != 2 {
		t.Errorf("%v\n%s", err, out)
	}
	written, err = os.ReadFile(filepath.Join(dir, usersFile))
	gone := natsauth.SeedFile(dir, "curator")
	if err = errors.Join(err, os.Remove(gone)); err != nil {
		t.Fatal(err)
	}
	if _, err := command(t.Context(), nil, "nats", "users", "--out", dir); err == nil || !strings.Contains(err.Error(), "knows curator by seeds that are not in") {
		t.Errorf("without the seed of a service: %v", err)
	}
	if now, err := os.ReadFile(filepath.Join(dir, usersFile)); err != nil || !bytes.Equal(now, written) {
		t.Errorf("%v: a refused command changes the file", err)
	}
	if out, err := command(t.Context(), nil, "nats", "users", "--out", dir, "--new", "curator"); err != nil || strings.Count(out, " new ") != 1 {
		t.Errorf("%v\n%s", err, out)
	}
	for _, c := range []struct {
		says string
		args []string
	}{
		{"say where the seeds are to lie", nil},
		{`there is no part "boss"`, []string{"--out", dir, "--user", "all=boss"}},
		{"user operator is there already", []string{"--out", dir, "--user", "operator"}},
	} {
		if _, err := command(t.Context(), nil, append([]string{"nats", "users"}, c.args...)...); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v", c.args, err)
		}
	}
	if _, err := command(t.Context(), nil, "tables", "--nats-nkey", "x.nk", "--dir", dir); err == nil || !strings.Contains(err.Error(), "--nats-nkey is for a NATS server that is named") {
		t.Errorf("a seed for no server: %v", err)
	}
}
