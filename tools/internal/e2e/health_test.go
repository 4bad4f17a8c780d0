package e2e

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/natsserver"
)

// service is a process of `blotter run` in a folder of its own.
type service struct {
	*system
	cmd    *exec.Cmd
	output bytes.Buffer
}

// begin runs the binary in the folder until it is told to end.
func (s *service) begin(args ...string) {
	s.t.Helper()
	s.cmd = exec.CommandContext(context.WithoutCancel(s.t.Context()), binary, append(args, "--dir", s.dir)...)
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
	})
}

// startService runs a role beside others of the same NATS server and control store.
func startService(t *testing.T, url, control, role string) *service {
	t.Helper()
	s := &service{system: &system{t: t, dir: filepath.Join(t.TempDir(), "data")}}
	s.begin("run", "--roles", role, "--nats", url, "--log-replicas", "1", "--control", control)
	return s
}

func (s *service) signal(of syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(of); err != nil {
		s.t.Fatalf("%v\n%s", err, &s.output)
	}
}

// becomes waits until the health command ends with a code and says something.
func (s *service) becomes(code int, says string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		r := s.run("health")
		if r.code == code && strings.Contains(r.stdout+r.stderr, says) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("it ends with %d and says %s%s, expected %d and %s; the process says\n%s", r.code, r.stdout, r.stderr, code, says, &s.output)
		}
	}
}

// TestHealth asks real processes how they are: two of one role, which share its events, one
// that hangs, one that was killed, one whose server is gone, one that ended in good order.
func TestHealth(t *testing.T) {
	t.Parallel()
	cfg := natsserver.DefaultConfig()
	cfg.Dir = t.TempDir()
	server, err := natsserver.Start(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	control := filepath.Join(t.TempDir(), "control.db")
	none := &service{system: &system{t: t, dir: t.TempDir()}}
	none.becomes(exitUnsettled, "it has not come up yet, or has ended")

	one := startService(t, server.URL(), control, "classifier")
	one.becomes(0, "works: classifier")
	two := startService(t, server.URL(), control, "classifier")
	two.becomes(0, "works: classifier")
	one.becomes(0, "works: classifier") // neither takes itself for the only one

	one.signal(syscall.SIGSTOP)
	one.becomes(exitUnsettled, "does not answer, has it ended or does it hang?")
	one.signal(syscall.SIGCONT)
	one.becomes(0, "works: classifier")
	one.signal(syscall.SIGKILL)
	_ = one.cmd.Wait()
	one.becomes(exitUnsettled, "does not answer, has it ended or does it hang?")
	two.becomes(0, "works: classifier")

	server.Close()
	two.becomes(exitUnsettled, "does not do its work: not connected to the NATS server")
	two.signal(syscall.SIGTERM)
	var exit *exec.ExitError
	if err := two.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	two.becomes(exitUnsettled, "it has not come up yet, or has ended")
}

// TestHealthOfUp: the process that runs everything is asked in the same way.
func TestHealthOfUp(t *testing.T) {
	t.Parallel()
	s := &service{system: newSystem(t, "", `{database: rms, source: {prefix: dms/, schema: rms}, tables: [{name: reports, primary_key: [id], columns: {id: bigint not null}}]}`)}
	s.begin("up", "--tables", s.tables, "--raw", s.raw)
	s.becomes(0, "ingest-router")
	s.signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("it ends with %v\n%s", err, &s.output)
	}
	s.becomes(exitUnsettled, "it has not come up yet, or has ended")
}
