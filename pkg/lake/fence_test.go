package lake_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
)

func TestFence(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := units() // not created yet
	r, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: 4})
	if err != nil || !r.Fenced() || r.SnapshotID == 0 {
		t.Fatalf("fence gave %+v, %v", r, err)
	}
	part := w.stage(t, spec, stagedSpec{file: "f", kind: dms.KindChange, token: 4})
	for _, token := range []uint64{3, 4} {
		if _, err := w.lake.Publish(t.Context(), lake.Request{Spec: spec, Token: token, Mode: lake.Merge, Parts: []lake.Part{part}}); !errors.Is(err, lake.ErrStale) {
			t.Fatalf("token %d: publish gave %v", token, err)
		}
	}
	again, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: 4})
	if err != nil || again.SnapshotID != r.SnapshotID {
		t.Fatalf("the second fence gave %+v, %v", again, err)
	}
	if _, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: 3}); !errors.Is(err, lake.ErrStale) {
		t.Fatalf("a fence of an older token gave %v", err)
	}
	published := w.publish(t, spec, 5, lake.Merge, part)
	r, err = w.lake.Fence(t.Context(), spec, lake.Turn{Token: 5})
	if err != nil || r.Fenced() || r.SnapshotID != published.SnapshotID || len(r.Files) != 1 {
		t.Fatalf("fence of a published token gave %+v, %v", r, err)
	}
}

// TestRaces has publications and fences of the same tokens meet at every step:
// each token is published once or fenced, and never both.
func TestRaces(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := reports()
	var steps atomic.Int64
	for token := uint64(1); token <= 12; token++ {
		part := w.stage(t, spec, stagedSpec{file: fmt.Sprint("f", token), kind: dms.KindChange, token: token,
			changes: []change{report(int64(token), "x", fmt.Sprint("/", token), 1)}})
		// All wait for each other before the first of them commits.
		const n = 4
		var gate sync.WaitGroup
		gate.Add(n)
		var wait sync.WaitGroup
		results, errs := make([]lake.Result, n), make([]error, n)
		for i := range n {
			var once sync.Once
			l := w.open(t, func(s lake.Step) error {
				steps.Add(1)
				if s == lake.StepStaged {
					once.Do(func() {
						gate.Done()
						gate.Wait()
					})
				}
				return nil
			})
			wait.Go(func() {
				defer once.Do(gate.Done) // if it never came so far
				if token%3 != 0 && i == 0 {
					results[i], errs[i] = l.Fence(t.Context(), spec, lake.Turn{Token: token})
					return
				}
				results[i], errs[i] = l.Publish(t.Context(), lake.Request{Spec: spec, Token: token, Mode: lake.Merge, Parts: []lake.Part{part}})
			})
		}
		wait.Wait()
		checkRace(t, token, results, errs)
	}
	d, err := w.lake.Describe(t.Context(), spec.ID)
	if err != nil {
		t.Fatal(err)
	}
	if d.Snapshots != 12 {
		t.Errorf("%d snapshots for 12 tokens", d.Snapshots)
	}
}

func checkRace(t *testing.T, token uint64, results []lake.Result, errs []error) {
	t.Helper()
	var first *lake.Result
	for i := range results {
		switch {
		case errors.Is(errs[i], lake.ErrStale):
			continue
		case errs[i] != nil:
			t.Fatalf("token %d: %v", token, errs[i])
		}
		if first == nil {
			first = &results[i]
		}
		if results[i].SnapshotID != first.SnapshotID || results[i].Strategy != first.Strategy {
			t.Errorf("token %d: %+v and %+v", token, results[i], *first)
		}
	}
	if first == nil {
		t.Fatalf("token %d: nobody won: %v", token, errs)
	}
	if !first.Fenced() {
		for _, err := range errs {
			if err != nil {
				t.Errorf("token %d was published, but one call gave %v", token, err)
			}
		}
	}
}

// TestCommitThatComesSecond has an older attempt commit while another one is
// ready: the other one probes again and loses nothing.
func TestCommitThatComesSecond(t *testing.T) {
	cfg := lake.DefaultConfig()
	cfg.SmallTableRows, cfg.RewriteFraction = 0, 1
	w := newWorld(t, cfg)
	spec := reports()
	w.publish(t, spec, 1, lake.Replace, w.stage(t, spec, stagedSpec{file: "l", kind: dms.KindLoad, token: 1, changes: []change{
		report(1, "a", "/l", 1), report(2, "a", "/l", 2)}}))
	first := w.stage(t, spec, stagedSpec{file: "c1", kind: dms.KindChange, token: 2, changes: []change{report(1, "b", "/1", 1)}})
	second := w.stage(t, spec, stagedSpec{file: "c2", kind: dms.KindChange, token: 3, changes: []change{report(1, "c", "/2", 1), removal(2, "/2", 2)}})
	other := w.open(t, nil)
	done := false
	w.step = func(s lake.Step) error {
		if s == lake.StepStaged && !done {
			done = true
			if _, err := other.Publish(t.Context(), lake.Request{Spec: spec, Token: 2, Mode: lake.Merge, Parts: []lake.Part{first}}); err != nil {
				t.Error(err)
			}
		}
		return nil
	}
	r := w.publish(t, spec, 3, lake.Merge, second)
	if r.TableRows != 1 || !done {
		t.Fatalf("got %+v", r)
	}
	expect(t, w.rows(t, spec.ID), "1|c|-49.00")
}
