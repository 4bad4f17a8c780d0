package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

const own = "testdata/cases"

func runWith(t *testing.T, factory Factory, args ...string) (status int, out string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = run(t.Context(), args, map[string]Engine{"local": {Open: factory}}, &stdout, &stderr)
	t.Log(stdout.String() + stderr.String())
	return status, stdout.String()
}

func lastLine(out string) string {
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	return lines[len(lines)-1]
}

func TestOwnCasesPass(t *testing.T) {
	status, out := runWith(t, newFake(""), "-run", "^c", own)
	if status != exitPassed || lastLine(out) != "7 passed, 0 failed" {
		t.Errorf("status %d, %q", status, lastLine(out))
	}
}

// TestSchemaCasesPass: cases whose files change the schema, in which the fake has
// no part, pass with the real system.
func TestSchemaCasesPass(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a system for each case")
	}
	status, out := runWith(t, newLocal, "-run", "^s", "-orders", "1", own)
	if status != exitPassed || lastLine(out) != "7 passed, 0 failed" {
		t.Errorf("status %d, %q", status, lastLine(out))
	}
}

// Each fault must be seen, or a case that passes says nothing.
func TestFaultsAreSeen(t *testing.T) {
	tests := []struct{ fault, run, says, last string }{
		{"forgets deletes", "c02", "unexpected: id=\"1\"", "0 passed, 1 failed"},
		{"counts twice", "c05", "once too often", "0 passed, 1 failed"},
		{"keeps dropped rows", "c07", "unexpected", "0 passed, 1 failed"},
		{"stays paused", "c0[14]", "is pending, expected applied", "1 passed, 1 failed"},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			status, out := runWith(t, newFake(tt.fault), "-run", tt.run, own)
			if status != exitFailed || lastLine(out) != tt.last || !strings.Contains(out, tt.says) {
				t.Errorf("status %d, %s", status, out)
			}
		})
	}
}

func TestFlags(t *testing.T) {
	status, out := runWith(t, newFake(""), "-run", "c02", "-orders", "2", "-v", own)
	if status != exitPassed || !strings.Contains(out, "2 orders") || !strings.Contains(out, "order 1 3 2") {
		t.Errorf("status %d, %s", status, out)
	}
	for _, args := range [][]string{{}, {"-engine", "abacus", own}, {"-run", "(", own}, {"-none", own}, {t.TempDir()}} {
		if status, _ := runWith(t, newFake(""), args...); status != exitUsage {
			t.Errorf("%v: status %d, expected %d", args, status, exitUsage)
		}
	}
}

func TestKeepsWhatAFailureLeft(t *testing.T) {
	keep := t.TempDir()
	_, out := runWith(t, newFake("forgets deletes"), "-keep", keep, "-run", "c0[12]", own)
	left, err := os.ReadDir(keep)
	if err != nil || len(left) != 1 || !strings.Contains(out, left[0].Name()) {
		t.Errorf("%v, %v in %s", left, err, out)
	}
}

func TestFailingPipeline(t *testing.T) {
	broken := func(context.Context, string) (Pipeline, error) { return nil, errors.New("no disk") }
	status, out := runWith(t, broken, "-run", "c01", own)
	if status != exitFailed || !strings.Contains(out, "start the pipeline: no disk") {
		t.Errorf("status %d, %s", status, out)
	}
}

func TestEngineIsPreparedOnce(t *testing.T) {
	prepared := 0
	var fault error
	engine := Engine{Open: newFake(""), Prepare: func(context.Context) error { prepared++; return fault }}
	var stdout, stderr bytes.Buffer
	args := []string{"-engine", "own", "-run", "c0[12]", own}
	if status := run(t.Context(), args, map[string]Engine{"own": engine}, &stdout, &stderr); status != exitPassed || prepared != 1 {
		t.Errorf("status %d, prepared %d times: %s", status, prepared, stderr.String())
	}
	fault = errors.New("no Java")
	if status := run(t.Context(), args, map[string]Engine{"own": engine}, &stdout, &stderr); status != exitUsage ||
		!strings.Contains(stderr.String(), "prepare the engine: no Java") {
		t.Errorf("status %d: %s", status, stderr.String())
	}
}

func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	status := run(ctx, []string{own}, map[string]Engine{"local": {Open: newFake("")}}, &stdout, &stderr)
	if status != exitUsage || !strings.Contains(stderr.String(), "stopped") {
		t.Errorf("status %d, %s", status, stderr.String())
	}
}
