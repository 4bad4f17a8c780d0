package onaws

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/natsserver"
)

// natsVariable makes the test program a NATS server that keeps its files in the folder
// that it names.
const natsVariable = "BLOTTER_TEST_NATS"

// commandTimeout bounds one command.
const commandTimeout = 3 * time.Minute

func TestMain(m *testing.M) {
	if dir := os.Getenv(natsVariable); dir != "" {
		if err := serveNATS(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	os.Exit(m.Run())
}

// serveNATS prints its address and serves until its input ends.
func serveNATS(dir string) error {
	cfg := natsserver.DefaultConfig()
	cfg.Dir = dir
	s, err := natsserver.Start(context.Background(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Println(s.URL())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
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

// startNATS starts a NATS server in a process of its own and gives its address.
func startNATS(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])
	cmd.Env = append(os.Environ(), natsVariable+"="+t.TempDir())
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
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			t.Error(err)
		}
	})
	line := make([]byte, 256)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(line[:n]))
}

// program is the blotter binary and the environment of one site.
type program struct {
	t    *testing.T
	path string
	env  []string
}

// run runs a command to its end.
func (p *program) run(args ...string) (string, error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.path, append(args, "--dir", p.t.TempDir())...)
	cmd.Env = p.env
	out, err := cmd.CombinedOutput()
	return string(out), err
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
	r.cmd.Env, r.cmd.Stdout, r.cmd.Stderr = p.env, r.output, r.output
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
