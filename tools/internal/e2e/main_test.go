package e2e

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
)

// shared is the folder beside the project; its files are real, and stay there.
var shared = flag.String("shared", "", "absolute path of the shared folder; tests on its files are skipped without it")

// binary is the program under test.
var binary string

// exitUnsettled is what `blotter up --until-idle` ends with when something is
// left for an operator.
const exitUnsettled = 3

// commandTimeout bounds one run of the binary.
const commandTimeout = 4 * time.Minute

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	if binary = os.Getenv("BLOTTER_BINARY"); binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "blotter-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a folder for the binary:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "blotter")
	build := exec.Command("go", "build", "-o", binary, "github.com/openblotter/blotter/tools/blotter")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binary: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// sharedDir gives a folder of the shared files, or skips the test.
func sharedDir(t *testing.T, parts ...string) string {
	t.Helper()
	if *shared == "" {
		t.Skip("no shared files: run with -args -shared DIR (an absolute path)")
	}
	dir := filepath.Join(append([]string{*shared}, parts...)...)
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("the shared files are not complete: %v", err)
	}
	return dir
}

// system is a folder that the binary works on, and what it is told of it.
type system struct {
	t      *testing.T
	dir    string
	raw    string
	tables string // the registration file
}

// newSystem makes a system of its own folders with a registration; raw "" is a
// new folder.
func newSystem(t *testing.T, raw, registration string) *system {
	t.Helper()
	s := &system{t: t, dir: t.TempDir(), raw: raw}
	if raw == "" {
		s.raw = t.TempDir()
	}
	s.tables = filepath.Join(t.TempDir(), "tables.yaml")
	if err := os.WriteFile(s.tables, []byte(registration), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

// result is what a run of the binary gave.
type result struct {
	stdout, stderr string
	code           int
}

// run runs the binary on the system's folder.
func (s *system) run(args ...string) result {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), commandTimeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, append(args, "--dir", s.dir)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatalf("blotter %v: %v", args, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// must runs the binary and gives its output; it has to end with code.
func (s *system) must(code int, args ...string) string {
	s.t.Helper()
	r := s.run(args...)
	if r.code != code {
		s.t.Fatalf("blotter %v: exit code %d, expected %d\n%s%s", args, r.code, code, r.stdout, r.stderr)
	}
	return r.stdout
}

// up works off what lies in raw and ends with code.
func (s *system) up(code int) string {
	s.t.Helper()
	return s.must(code, "up", "--until-idle", "--tables", s.tables, "--raw", s.raw)
}

// place copies a file into the raw folder under its key, modified at the time
// given; it is there all at once.
func (s *system) place(src, key string, modified time.Time) {
	s.t.Helper()
	b, err := os.ReadFile(src)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(b, key, modified)
}

func (s *system) write(content []byte, key string, modified time.Time) {
	s.t.Helper()
	to := filepath.Join(s.raw, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		s.t.Fatal(err)
	}
	tmp := filepath.Join(filepath.Dir(to), ".placing-"+filepath.Base(to))
	if err := os.WriteFile(tmp, content, 0o644); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chtimes(tmp, modified, modified); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(tmp, to); err != nil {
		s.t.Fatal(err)
	}
}

// testLogger writes only with BLOTTER_TEST_LOG set.
func testLogger() *slog.Logger {
	w := io.Discard
	if os.Getenv("BLOTTER_TEST_LOG") != "" {
		w = os.Stderr
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
