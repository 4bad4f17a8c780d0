package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
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
	s := newSystem(t, "", investigated)
	s.putInvestigated()
	url := s.serve()

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
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
	// The watcher lets a young file lie for some seconds; a load that nothing opened has no end.
	natsCLI(ctx, t, cli, url, "sub", "--stream", "BLOTTER", "--all", "--count", "1", "--raw",
		"--translate", binary+" decode", "blotter.*.rms.reports.lock-manager.LoadOpened")
	s.must(0, "load", "complete", "rms.reports")
	investigate(ctx, t, cli, url, s.idOf("rms.reports", "LOAD00000001.csv"))
}

// idOf finds the id of a table's file that has arrived.
func (s *system) idOf(table, name string) string {
	s.t.Helper()
	for line := range strings.Lines(s.must(0, "log", table, "--event", "ObjectArrived", "--json")) {
		var event struct {
			Correlation string `json:"correlation"`
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			s.t.Fatal(err)
		}
		if strings.Contains(line, name) {
			return event.Correlation
		}
	}
	s.t.Fatalf("%s has not arrived", name)
	return ""
}

// investigate asks all that the guide asks, until the log has the answer.
func investigate(ctx context.Context, t *testing.T, cli, url, file string) {
	t.Helper()
	guide, err := os.ReadFile("../../../deploy/guide/investigations.md")
	if err != nil {
		t.Fatal(err)
	}
	questions := guideQuestion.FindAllStringSubmatch(string(guide), -1)
	if len(questions) < 10 {
		t.Fatalf("the guide has %d questions", len(questions))
	}
	// As an operator's shell has them: nats and blotter on the path, nobody's context.
	env := append(os.Environ(), "NATS_URL="+url, "FILE="+file, "XDG_CONFIG_HOME="+t.TempDir(),
		"PATH="+filepath.Dir(cli)+string(os.PathListSeparator)+filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for _, q := range questions {
		for answered := false; !answered; {
			cmd := exec.CommandContext(ctx, "bash", "-c", q[2])
			cmd.Env = env
			out, err := cmd.CombinedOutput()
			if answered = err == nil && strings.Contains(string(out), q[1]); answered {
				break
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				t.Fatalf("%s shows no %s: %v\n%s", q[2], q[1], err, out)
			}
		}
	}
}

// guideQuestion is a command of the guide, and what it must show.
var guideQuestion = regexp.MustCompile("(?m)^```sh shows=(\\S+)\n((?:[^`]|\n)*?)```$")

// investigated registers two tables for the questions of the guide.
const investigated = smallRegistration + `  - {name: persons, flag: G, primary_key: [id], columns: {id: int not null, note: string}}
`

// putInvestigated lays down what the questions are about: a table that goes well, one
// that pauses over a file while another waits, and what is no table's.
func (s *system) putInvestigated() {
	for _, f := range smallFiles() {
		s.write([]byte(f.content), f.key, f.modified)
	}
	at := time.Date(2024, 3, 4, 6, 0, 0, 0, time.UTC)
	s.write([]byte("I,not a number,x,1\n"), "dms/rms/persons/20240304-060100000.csv", at)
	s.write([]byte("I,1,x,2\n"), "dms/rms/persons/20240304-060200000.csv", at)
	s.write([]byte("1,x\n"), "dms/rms/nobodys/LOAD00000001.csv", at)
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
