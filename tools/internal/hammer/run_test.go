package hammer

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
)

func TestMain(m *testing.M) {
	if part, err := Part(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	} else if part {
		return
	}
	os.Exit(m.Run())
}

// TestCrashesAtEveryStep plays two histories, with one process and with two that
// race. Between them every step must have gone wrong in every way that is told of,
// or the test shows little.
func TestCrashesAtEveryStep(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sum Report
	t.Run("seeds", func(t *testing.T) {
		for seed := range uint64(2) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				cfg := DefaultConfig(seed)
				cfg.Dir, cfg.Files = t.TempDir(), 5
				report, err := Run(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range report.Violations {
					t.Error(v)
				}
				t.Log(report.Line())
				mu.Lock()
				defer mu.Unlock()
				sum.Add(report)
			})
		}
	})
	for _, step := range slices.Sorted(maps.Keys(sum.Visits)) {
		if sum.Visits[step] > 40 && total(sum.Steps[step]) == 0 {
			t.Errorf("nothing went wrong at %q in %d visits", step, sum.Visits[step])
		}
	}
	for _, step := range []string{
		"log: before publish", "log: after publish", "log: before ack", "log: after ack",
		"before store: commit", "after store: commit", "before store: clear outbox", "after store: clear outbox",
		"lake: staged", "lake: committed", "before catalog: commit", "after catalog: commit", "before queue: hold", "before queue: release",
		"before failed: copy", "before staging: commit object", "after staging: commit object",
	} {
		if sum.Steps[step][Death] == 0 {
			t.Errorf("no process died at %q: the test shows nothing of it", step)
		}
	}
	for _, f := range []Fault{Death, Throttled, LostAnswer, Half, Stall} {
		if sum.Faults[f] == 0 {
			t.Errorf("no step went wrong by %s", f)
		}
	}
	if sum.Restarts == 0 || sum.Late == 0 || sum.Commits == 0 || sum.Spans < 10 || sum.Fences["deadline"]+sum.Fences["forced"] == 0 {
		t.Errorf("%d restarts, %d late loads, %d commits, %d spans archived, fences %v: the test shows little", sum.Restarts, sum.Late, sum.Commits, sum.Spans, sum.Fences)
	}
}

// TestManyProcesses plays a short history with roles and three NATS servers as
// processes, and has all of that die. `.ci/run hammer` plays whole ones.
func TestManyProcesses(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts some forty processes")
	}
	cfg := ManyProcesses(1)
	cfg.Dir, cfg.Tables, cfg.Files = t.TempDir(), 3, 3
	report, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range report.Violations {
		t.Error(v)
	}
	t.Log(report.Line())
	if cfg.Nodes != 3 || report.Faults[Death] == 0 || report.Kills == 0 || report.Commits == 0 || total(report.Conflicts) == 0 {
		t.Errorf("%d servers, %v, %d kills, %d commits, conflicts %v: the test shows little",
			cfg.Nodes, report.Faults, report.Kills, report.Commits, report.Conflicts)
	}
}

// TestTheModelSeesWhatIsWrong: rows that are missing, too many or another's are
// told, and none that are right.
func TestTheModelSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	h := newHistory(Config{Seed: 7, Tables: len(kinds), Files: 6})
	h.generation(0)
	for _, table := range h.tables {
		want := h.expected(table)
		if len(want) < 2 {
			t.Fatalf("%s: %d rows", table.name, len(want))
		}
		if diff := difference(want, slices.Clone(want)); diff != "" {
			t.Errorf("%s: equal rows differ: %s", table.name, diff)
		}
		for what, got := range map[string][]string{
			"missing": want[1:], "too many": append([]string{"0|x|y:1"}, want...), "twice": append([]string{want[0]}, want...),
			"another's": append([]string{want[0] + "1"}, want[1:]...),
		} {
			slices.Sort(got)
			if difference(want, got) == "" {
				t.Errorf("%s: a row that is %s is not seen", table.name, what)
			}
		}
	}
}
