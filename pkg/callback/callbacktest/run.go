package callbacktest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/callback"
)

// Site is an adapter and the workflows behind it.
type Site struct {
	Tasks callback.Tasks
	// Wait begins a workflow that waits, and gives the token of its task.
	Wait func(t *testing.T) (token string)
	// Ended waits for the end of the workflow, and tells how its task was answered.
	Ended func(t *testing.T, token string) Answer
	// Stop ends the workflow from outside.
	Stop func(t *testing.T, token string)
	// AnswersStopped is a known difference of a stand-in: it takes the first answer to the
	// task of a workflow that was stopped, without a word.
	AnswersStopped bool
}

// Run runs the suite.
func Run(t *testing.T, site Site) {
	for name, test := range map[string]func(*testing.T, Site){
		"Succeeded": succeeded, "Failed": failed, "Stopped": stopped, "Unknown": unknown, "Canceled": canceled,
	} {
		t.Run(name, func(t *testing.T) { test(t, site) })
	}
}

func wantGone(t *testing.T, tasks callback.Tasks, token string) {
	t.Helper()
	for what, err := range map[string]error{
		"success":   tasks.Succeed(t.Context(), token, []byte(`{}`)),
		"failure":   tasks.Fail(t.Context(), token, "Late", "late"),
		"heartbeat": tasks.Beat(t.Context(), token),
	} {
		if !errors.Is(err, callback.ErrGone) {
			t.Errorf("a %s to a task that is gone: %v", what, err)
		}
	}
}

func succeeded(t *testing.T, s Site) {
	token := s.Wait(t)
	for range 2 {
		if err := s.Tasks.Beat(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	output := `{"outcome":"Published","key":"über/a b"}`
	if err := s.Tasks.Succeed(t.Context(), token, []byte(output)); err != nil {
		t.Fatal(err)
	}
	if got := s.Ended(t, token); got != (Answer{Output: output}) {
		t.Errorf("the workflow ended with %+v", got)
	}
	wantGone(t, s.Tasks, token)
}

func failed(t *testing.T, s Site) {
	token := s.Wait(t)
	long := strings.Repeat("ü", callback.MaxCause+1)
	if err := s.Tasks.Fail(t.Context(), token, "csv.column_count", long); err != nil {
		t.Fatal(err)
	}
	if got := s.Ended(t, token); got.Code != "csv.column_count" || !strings.HasPrefix(got.Cause, "üü") {
		t.Errorf("the workflow ended with %q, a cause of %d bytes", got.Code, len(got.Cause))
	}
	wantGone(t, s.Tasks, token)
}

func stopped(t *testing.T, s Site) {
	if s.AnswersStopped {
		stoppedAndAnswered(t, s)
		return
	}
	token := s.Wait(t)
	s.Stop(t, token)
	wantGone(t, s.Tasks, token)
}

// stoppedAndAnswered fails once the stand-in does as AWS: then it needs no exception.
func stoppedAndAnswered(t *testing.T, s Site) {
	for what, answer := range map[string]func(token string) error{
		"success": func(token string) error {
			return s.Tasks.Succeed(t.Context(), token, []byte(`{"outcome":"Published"}`))
		},
		"failure":   func(token string) error { return s.Tasks.Fail(t.Context(), token, "Late", "late") },
		"heartbeat": func(token string) error { return s.Tasks.Beat(t.Context(), token) },
	} {
		token := s.Wait(t)
		s.Stop(t, token)
		if err := answer(token); err != nil {
			t.Errorf("a %s to the task of a workflow that was stopped: %v; this stand-in is known to take it", what, err)
		}
	}
}

func unknown(t *testing.T, s Site) { wantGone(t, s.Tasks, "no token of anybody") }

func canceled(t *testing.T, s Site) {
	token := s.Wait(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Tasks.Succeed(ctx, token, []byte(`{}`)); !errors.Is(err, context.Canceled) {
		t.Errorf("answered with %v although the context has ended", err)
	}
	if err := s.Tasks.Succeed(t.Context(), token, []byte(`{}`)); err != nil {
		t.Errorf("the answer after one that was given up: %v", err)
	}
}
