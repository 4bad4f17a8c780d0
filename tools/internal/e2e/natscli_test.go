package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestNATSCommandLine looks at a running system with the nats CLI, as the
// documentation tells operators to.
func TestNATSCommandLine(t *testing.T) {
	t.Parallel()
	cli, err := exec.LookPath("nats")
	if err != nil {
		if os.Getenv("CI") == "true" && *shared != "" {
			t.Fatalf("the nats CLI is missing: %v", err)
		}
		t.Skip("the nats CLI is not on the path")
	}
	s := newSystem(t, "", smallRegistration)
	for _, f := range smallFiles() {
		s.write([]byte(f.content), f.key, f.modified)
	}
	url := s.serve()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if out := natsCLI(ctx, t, cli, url, "stream", "ls"); !strings.Contains(out, "BLOTTER") {
		t.Errorf("nats stream ls does not show the stream:\n%s", out)
	}
	// Registrations are events of their own: there is something to see at once.
	out := natsCLI(ctx, t, cli, url, "sub", "--stream", "BLOTTER", "--all", "--count", "2", "--raw", "--translate", binary+" decode")
	events := json.NewDecoder(strings.NewReader(out))
	names := map[string]bool{}
	for {
		var event struct {
			ID    string `json:"id"`
			Table string `json:"table"`
			Event struct {
				Type string `json:"@type"`
			} `json:"event"`
		}
		err := events.Decode(&event)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("nats sub --translate \"blotter decode\" gives no JSON: %v\n%s", err, out)
		}
		names[event.Event.Type] = true
		if event.ID == "" || !strings.HasPrefix(event.Table, "rms.") {
			t.Errorf("an event without id or table: %+v", event)
		}
	}
	if !names["type.googleapis.com/blotter.v1.TableRegistered"] {
		t.Errorf("no TableRegistered among %v", names)
	}
}

func natsCLI(ctx context.Context, t *testing.T, cli, url string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, cli, append([]string{"--server", url}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir()) // no context of the user's
	if err := cmd.Run(); err != nil {
		t.Fatalf("nats %v: %v\n%s%s", args, err, &stdout, &stderr)
	}
	return stdout.String()
}

var printedURL = regexp.MustCompile(`nats --server (\S+) `)

// serve runs the system until the test ends and gives the address that it prints.
func (s *system) serve() string {
	s.t.Helper()
	out := &watchedOutput{mark: "stream ls", seen: make(chan struct{})}
	cmd := exec.Command(binary, "up", "--tables", s.tables, "--raw", s.raw, "--dir", s.dir)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	s.t.Cleanup(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			s.t.Errorf("stop the system: %v", err)
		}
		if err := <-ended; err != nil {
			s.t.Errorf("the system did not stop cleanly: %v\n%s", err, out)
		}
	})
	select {
	case <-out.seen:
	case err := <-ended:
		ended <- err
		s.t.Fatalf("the system ended by itself: %v\n%s", err, out)
	}
	found := printedURL.FindStringSubmatch(out.String())
	if found == nil {
		s.t.Fatalf("it prints no address:\n%s", out)
	}
	return found[1]
}
