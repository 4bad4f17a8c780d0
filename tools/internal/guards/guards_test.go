package guards

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var mutate = flag.Bool("mutate", false, "take each guard out and have its test fail")

// A build compiles what nobody has compiled yet. A test that hangs without its guard
// ends by itself before its limit.
const (
	buildLimit = 10 * time.Minute
	testLimit  = time.Minute
)

const root = "../../.."

// TestPatchesFit: every guard is found in its file, once, and its test is there.
func TestPatchesFit(t *testing.T) {
	names := map[string]bool{}
	for _, g := range List() {
		if names[g.Name] || g.Name == "" || g.Against == "" || g.Says == "" {
			t.Errorf("guard %q: its name is taken, or something is not said of it", g.Name)
		}
		names[g.Name] = true
		withoutThem(t, g.File, []Guard{g})
		if name, _, _ := strings.Cut(g.Test, "/"); !strings.Contains(tests(t, g.Package), "\nfunc "+name+"(t *testing.T)") {
			t.Errorf("guard %q: %s has no %s", g.Name, g.Package, name)
		}
	}
}

// tests gives the source of all tests of a package.
func tests(t *testing.T, pkg string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pkg), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

// TestEachGuardIsNeeded: each test passes with all guards in their places, and fails for
// the reason that is told when its guard alone is taken out.
func TestEachGuardIsNeeded(t *testing.T) {
	if !*mutate {
		t.Skip("builds the tests of half the packages: run with -args -mutate")
	}
	byPackage := map[string][]Guard{}
	for _, g := range List() {
		if g.AWS && os.Getenv("AWS_ENDPOINT_URL") == "" {
			t.Errorf("%s: no stand-in for AWS: run .ci/standin/run go test ./tools/internal/guards -args -mutate", g.Name)
			continue
		}
		byPackage[g.Package] = append(byPackage[g.Package], g)
	}
	for pkg, guards := range byPackage {
		t.Run(pkg, func(t *testing.T) {
			t.Parallel()
			program := build(t, pkg, guards)
			for _, g := range guards {
				t.Run(g.Name, func(t *testing.T) { needed(t, program, g) })
			}
		})
	}
}

func needed(t *testing.T, program string, g Guard) {
	if out, passed := run(t, program, g, ""); !passed || !strings.Contains(out, "--- PASS: "+g.Test+" ") {
		t.Fatalf("%s does not pass with all guards in their places:\n%s", g.Test, out)
	}
	out, passed := run(t, program, g, g.Name)
	switch {
	case passed:
		t.Errorf("%s passes without the guard: it shows nothing of it, or the guard is not needed", g.Test)
	case !strings.Contains(out, "--- FAIL: "+g.Test+" ") || !strings.Contains(out, g.Says):
		t.Errorf("%s fails without the guard, but not because of it; expected %q in\n%s", g.Test, g.Says, out)
	default:
		t.Logf("stands against %s", g.Against)
	}
}

// build makes the test program of a package.
func build(t *testing.T, pkg string, guards []Guard) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildLimit)
	defer cancel()
	program := filepath.Join(t.TempDir(), "test")
	cmd := exec.CommandContext(ctx, "go", "test", "-vet=off", "-ldflags=-s -w", "-overlay", overlay(t, guards), "-c", "-o", program, "./"+pkg)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the tests of %s: %v\n%s", pkg, err, out)
	}
	return program
}

// run runs the test of a guard with this or no guard out. Its output comes without
// the indentation of its lines, and not without end.
func run(t *testing.T, program string, g Guard, without string) (out string, passed bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*testLimit)
	defer cancel()
	parts := strings.Split(g.Test, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	cmd := exec.CommandContext(ctx, program, "-test.v", "-test.timeout", testLimit.String(), "-test.run", strings.Join(parts, "/"))
	cmd.Dir = filepath.Join(root, filepath.FromSlash(g.Package))
	cmd.Env = append(os.Environ(), variable+"="+without)
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	const most = 100
	lines := strings.Split(string(b), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimLeft(line, " \t")
	}
	if len(lines) > 2*most {
		lines = append(append(lines[:most:most], "…"), lines[len(lines)-most:]...)
	}
	return strings.Join(lines, "\n"), err == nil
}
