package onaws

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/natsauth/natsauthtest"
)

// natsVariable makes the test program a NATS server of the configuration that it names.
const natsVariable = "BLOTTER_TEST_NATS"

// commandTimeout bounds one command.
const commandTimeout = 3 * time.Minute

func TestMain(m *testing.M) {
	if conf := os.Getenv(natsVariable); conf != "" {
		if err := natsauthtest.Serve(conf, os.Stdout, os.Stderr, os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	os.Exit(m.Run())
}

// build makes the blotter program, or takes the one that the environment names.
func build(t *testing.T) string {
	t.Helper()
	awstest.Config(t) // skips where there is no stand-in
	if path := os.Getenv("BLOTTER_BINARY"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "blotter")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/openblotter/blotter/tools/blotter").CombinedOutput()
	if err != nil {
		t.Fatalf("build blotter: %v\n%s", err, out)
	}
	return path
}

// startNATS starts a NATS server in a process of its own, with users that stand in a
// file. It may refuse them nothing.
func startNATS(t *testing.T, users string) *natsauthtest.Server {
	t.Helper()
	s := natsauthtest.Prepare(t, users)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])
	cmd.Env = append(os.Environ(), natsVariable+"="+s.Conf)
	var said bytes.Buffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil || said.Len() > 0 {
			t.Errorf("the NATS server ended with %v, and said:\n%s", err, &said)
		}
	})
	line := make([]byte, 256)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	s.URL = string(bytes.TrimSpace(line[:n]))
	return s
}

// program is the blotter binary and the environment of one site.
type program struct {
	t    *testing.T
	path string
	env  []string
	nats *natsauthtest.Server
	// seeds is the folder with those of the users of the NATS server.
	seeds string
	doors map[string]door
	// signing is the key that curator signs the archive with, verifier the one to believe.
	signing, verifier string
}

// as is the environment of a user of the NATS server, who finds AWS behind a door.
func (p *program) as(user string) []string {
	c := p.nats.Credentials(p.seeds, user)
	env := slices.Clone(p.env)
	if d, has := p.doors[user]; has {
		env = append(env, "AWS_ENDPOINT_URL="+d.url)
	}
	if user == "curator" {
		env = append(env, archive.KeyVariable+"="+p.signing)
	}
	return append(env, "BLOTTER_NATS="+p.nats.URL, "BLOTTER_NATS_NKEY="+c.Seed,
		"BLOTTER_NATS_CA="+c.CA, "BLOTTER_NATS_CERT="+c.Cert, "BLOTTER_NATS_KEY="+c.Key)
}

// connect connects as a user of the NATS server.
func (p *program) connect(user string) *nats.Conn {
	p.t.Helper()
	options, err := p.nats.Credentials(p.seeds, user).Options()
	if err != nil {
		p.t.Fatal(err)
	}
	nc, err := eventlog.Connect(p.nats.URL, "test", slog.New(slog.DiscardHandler), options...)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(nc.Close)
	return nc
}

// run runs a command of an operator to its end.
func (p *program) run(args ...string) (string, error) {
	p.t.Helper()
	return p.runAs("operator", args...)
}

// runAs runs a command as a user of the NATS server.
func (p *program) runAs(user string, args ...string) (string, error) {
	p.t.Helper()
	return p.runWith(p.as(user), args...)
}

func (p *program) runWith(env []string, args ...string) (string, error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.path, append(args, "--dir", filepath.Join(p.t.TempDir(), "none"))...) // nothing of the system lies here
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// runBehind runs a command as a user of the NATS server who finds AWS behind the door of another role.
func (p *program) runBehind(door, user string, args ...string) (string, error) {
	p.t.Helper()
	return p.runWith(append(p.as(user), "AWS_ENDPOINT_URL="+p.doors[door].url), args...)
}

// must runs a command that has to succeed, and gives what it prints.
func (p *program) must(args ...string) string {
	p.t.Helper()
	out, err := p.run(args...)
	if err != nil {
		p.t.Fatalf("blotter %q: %v\n%s", args, err, out)
	}
	return out
}

// process is a role in a process of its own.
type process struct {
	t      *testing.T
	role   string
	cmd    *exec.Cmd
	output *bytes.Buffer
}

// start runs a role in a folder of its own.
func (p *program) start(role, dir string) *process {
	p.t.Helper()
	r := &process{t: p.t, role: role, output: &bytes.Buffer{}}
	r.cmd = exec.CommandContext(context.WithoutCancel(p.t.Context()), p.path, "run", "--roles", role, "--dir", dir, "--rescan", "200ms")
	r.cmd.Env, r.cmd.Stdout, r.cmd.Stderr = p.as(role), r.output, r.output
	if err := r.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(r.end)
	return r
}

// kill ends the process as a crash does.
func (r *process) kill() {
	r.t.Helper()
	if err := r.cmd.Process.Kill(); err != nil {
		r.t.Fatal(err)
	}
	_ = r.cmd.Wait()
	r.cmd = nil
}

// end stops the process in good order.
func (r *process) end() {
	if r.cmd == nil {
		return
	}
	err := errors.Join(r.cmd.Process.Signal(os.Interrupt), r.cmd.Wait())
	if err != nil || r.t.Failed() {
		r.t.Errorf("%s ended with %v:\n%s", r.role, err, r.output)
	}
	r.cmd = nil
}
