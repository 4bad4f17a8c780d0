package localspark_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/localspark"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/jobs/rows"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/transform"
)

// TestMain is a session without Spark when a test's Session starts it.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "session" {
		stub(os.Args[2])
		return
	}
	os.Exit(m.Run())
}

// stub speaks as session.py does, but runs the plan in itself. Each start takes
// the next line of a file, which says what this session does:
//
//	works     runs every plan
//	dies      ends with the first request
//	hangs     answers no request, not even a cancel
//	waits     runs until it is cancelled
//	babbles   answers with what is no answer
//	broken    ends before it is ready
//	cannot    answers that this machine cannot run a plan
//	forgets   says that it ran a plan, and did not
func stub(script string) {
	behaviour := nextLine(script)
	if behaviour == "broken" {
		fmt.Fprintln(os.Stderr, "no Java here")
		os.Exit(1)
	}
	say := func(answer any) {
		line, _ := json.Marshal(answer)
		fmt.Println(string(line))
	}
	say(map[string]bool{"ready": true})
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var r struct {
			Run, Cancel int64
			Plan        string
		}
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			os.Exit(1)
		}
		switch {
		case behaviour == "dies":
			os.Exit(1)
		case behaviour == "babbles":
			fmt.Println("Hello from the JVM")
		case behaviour == "hangs", behaviour == "waits" && r.Cancel == 0:
		case behaviour == "cannot":
			say(map[string]any{"run": r.Run, "error": "the program /rows does not start", "machine": true})
		case behaviour == "forgets":
			say(map[string]any{"run": r.Run})
		case r.Cancel != 0:
			say(map[string]any{"run": r.Cancel, "error": "cancelled"})
		default:
			answer := map[string]any{"run": r.Run}
			if err := runPlan(r.Plan); err != nil {
				answer["error"] = err.Error()
			}
			say(answer)
		}
	}
}

func nextLine(script string) string {
	data, err := os.ReadFile(script)
	if err != nil {
		os.Exit(1)
	}
	first, rest, _ := strings.Cut(string(data), "\n")
	if err := os.WriteFile(script, []byte(rest), 0o600); err != nil {
		os.Exit(1)
	}
	return first
}

// runPlan stages the files of a plan.
func runPlan(uri string) error {
	ctx := context.Background()
	u, err := url.Parse(uri)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(u.Path)
	if err != nil {
		return err
	}
	p, err := plan.Decode(data)
	if err != nil {
		return err
	}
	raw, closeRaw, err := rows.OpenFolder(ctx, p.Raw, true)
	if err != nil {
		return err
	}
	defer func() { _ = closeRaw() }()
	staging, closeStaging, err := rows.OpenFolder(ctx, p.Staging, false)
	if err != nil {
		return err
	}
	defer func() { _ = closeStaging() }()
	for n := range p.Files {
		job := p.Job(n)
		_, err = transform.Run(ctx, transform.DefaultConfig(), transform.Deps{Raw: raw, Staging: staging}, job)
		var failure *transform.Failure
		if errors.As(err, &failure) {
			err = transform.WriteFailure(ctx, staging, job.Table.ID, job.File.ID, job.Token, failure)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// newRunner makes a runner over sessions that behave as told, one after the other.
func newRunner(t *testing.T, raw, staging *local.Bucket, sessions ...string) *localspark.Runner {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte(strings.Join(sessions, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := localspark.DefaultConfig()
	cfg.Command, cfg.Rows = []string{exe, "session", script}, []string{"unused"}
	cfg.StopTimeout = 100 * time.Millisecond
	session, err := localspark.NewSession(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	})
	return localspark.New(session, raw, staging, raw, plan.Tables{})
}

// harness is a runner with its raw bucket.
type harness struct {
	*localspark.Runner
	raw *local.Bucket
}

func newHarness(t *testing.T, sessions ...string) harness {
	t.Helper()
	raw, staging := jobstest.Buckets(t)
	folder := raw.(*local.Bucket)
	return harness{newRunner(t, folder, staging.(*local.Bucket), sessions...), folder}
}

func TestSessionThatDiedIsReplaced(t *testing.T) {
	for _, first := range []string{"dies\nworks", "babbles\nworks", "forgets"} {
		t.Run(first, func(t *testing.T) {
			h := newHarness(t, first)
			job := jobstest.LoadJob(t, h.raw)
			_, err := h.Run(t.Context(), job)
			var failure *transform.Failure
			if err == nil || errors.As(err, &failure) {
				t.Errorf("a session that %s gave %v", first, err)
			}
			if _, err := h.Run(t.Context(), job); (err != nil) != (first == "forgets") {
				t.Errorf("the next time it gave %v", err)
			}
		})
	}
}

// TestContract: what is asked of every runner, with a session that transforms in
// itself; the real one is asked the same in tools/internal/spark.
func TestContract(t *testing.T) {
	jobstest.Run(t, func(t *testing.T, raw, staging objects.Bucket) jobs.Runner {
		return newRunner(t, raw.(*local.Bucket), staging.(*local.Bucket), "works")
	})
}

func TestSessionThatDoesNotStart(t *testing.T) {
	h := newHarness(t, "broken", "works")
	job := jobstest.LoadJob(t, h.raw)
	if _, err := h.Run(t.Context(), job); err == nil || !strings.Contains(err.Error(), "no Java here") {
		t.Errorf("a session that does not start gave %v", err)
	}
	if _, err := h.Run(t.Context(), job); err != nil {
		t.Errorf("the next session gave %v", err)
	}
}

// TestFaultsOfTheMachineAreNoFiles: they are told apart from those of a run.
func TestFaultsOfTheMachineAreNoFiles(t *testing.T) {
	for behaviour, machine := range map[string]bool{"broken": true, "cannot": true, "dies": false} {
		h := newHarness(t, behaviour)
		_, err := h.Run(t.Context(), jobstest.LoadJob(t, h.raw))
		if err == nil || errors.Is(err, jobs.ErrMachine) != machine {
			t.Errorf("a session that is %q gave %v", behaviour, err)
		}
	}
}

// TestDeadlineEndsAJob: whether the session obeys, or has to be killed for it.
func TestDeadlineEndsAJob(t *testing.T) {
	for _, first := range []string{"waits", "hangs"} {
		t.Run(first, func(t *testing.T) {
			h := newHarness(t, first, "works")
			job := jobstest.LoadJob(t, h.raw)
			job.Deadline = time.Now().Add(300 * time.Millisecond)
			if _, err := h.Run(t.Context(), job); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("past its deadline a job ended with %v", err)
			}
			if first == "waits" {
				return
			}
			job.Deadline = time.Time{}
			if _, err := h.Run(t.Context(), job); err != nil {
				t.Errorf("the next session gave %v", err)
			}
		})
	}
}

// TestAnswersAgain: a run that came to its end is not run again.
func TestAnswersAgain(t *testing.T) {
	h := newHarness(t, "works", "broken")
	job := jobstest.LoadJob(t, h.raw)
	if _, err := h.Run(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	job.Deadline = time.Now().Add(time.Hour)
	if _, err := h.Run(t.Context(), job); err != nil {
		t.Errorf("again: %v", err)
	}
}

// TestNamesThatAddressesEscape: a table may have a space, a plus or a percent sign in
// its name.
func TestNamesThatAddressesEscape(t *testing.T) {
	h := newHarness(t, "works")
	job := jobstest.LoadJob(t, h.raw)
	job.Table.ID.Table = "50% of case notes+2024#1?"
	if _, err := h.Run(t.Context(), job); err != nil {
		t.Error(err)
	}
}

func TestConfigFaultsAreReportedTogether(t *testing.T) {
	_, err := localspark.NewSession(localspark.Config{ShuffleBytes: -1}, slog.New(slog.DiscardHandler))
	for _, part := range []string{"command", "cores", "timeout", "shuffle_bytes"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name %s", err, part)
		}
	}
}
