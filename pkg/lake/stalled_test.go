package lake_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
)

// TestAStalledGrantPublishesNothing: a curator checks its token and stands still.
// Meanwhile its grant is fenced, and the next one, which has the same file, is
// published. Whatever it wakes with, it publishes nothing: not just before its
// commit, not when it begins anew, and not where only the fence has come.
func TestAStalledGrantPublishesNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		next bool // the next grant is published, too, before it wakes
		at   lake.Step
	}{
		{"fenced", false, lake.StepStaged},
		{"followed", true, lake.StepStaged},
		{"before it read", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) { stall(t, c.next, c.at) })
	}
}

func stall(t *testing.T, next bool, at lake.Step) {
	w := newWorld(t, lake.DefaultConfig())
	spec := reports()
	w.publish(t, spec, 1, lake.Replace, w.stage(t, spec, stagedSpec{file: "l", kind: dms.KindLoad, token: 1, changes: []change{report(1, "a", "/l", 1)}}))
	change := func(token uint64) lake.Part {
		return w.stage(t, spec, stagedSpec{file: "c", kind: dms.KindChange, token: token, changes: []change{report(2, fmt.Sprint("under ", token), "/c", 1)}})
	}
	first, second := change(2), change(3)
	meanwhile := func() {
		other := w.open(t, nil)
		if r, err := other.Fence(t.Context(), spec, lake.Turn{Token: 2}); err != nil || !r.Fenced() {
			t.Fatalf("the fence gave %+v, %v", r, err)
		}
		if !next {
			return
		}
		if _, err := other.Publish(t.Context(), lake.Request{Spec: spec, Token: 3, Mode: lake.Merge, Parts: []lake.Part{second}}); err != nil {
			t.Fatal(err)
		}
	}
	stalled := false
	w.step = func(s lake.Step) error {
		if s == at && !stalled {
			stalled = true
			meanwhile()
		}
		return nil
	}
	if at == "" {
		meanwhile()
	}
	r, err := w.lake.Publish(t.Context(), lake.Request{Spec: spec, Token: 2, Mode: lake.Merge, Parts: []lake.Part{first}})
	if !errors.Is(err, lake.ErrStale) {
		t.Errorf("a grant that was fenced was answered with %+v, %v", r, err)
	}
	want := []string{"1|a|-49.00"}
	if next {
		want = append(want, "2|under 3|-48.00")
	}
	expect(t, w.rows(t, spec.ID), want...)
}

// TestAGrantIsPublishedOnce: the process died between its commit and what it says of
// it, and the publication is asked for again.
func TestAGrantIsPublishedOnce(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := reports()
	spec.PrimaryKey = nil // published twice, its rows stand there twice
	part := w.stage(t, spec, stagedSpec{file: "f", kind: dms.KindChange, token: 1, changes: []change{report(1, "a", "/f", 1)}})
	died := errors.New("died")
	w.step = func(s lake.Step) error {
		if s == lake.StepCommitted {
			return died
		}
		return nil
	}
	request := lake.Request{Spec: spec, Token: 1, Mode: lake.Merge, Parts: []lake.Part{part}}
	if _, err := w.lake.Publish(t.Context(), request); !errors.Is(err, died) {
		t.Fatalf("the publication ended with %v", err)
	}
	w.step = nil
	if r, err := w.lake.Publish(t.Context(), request); err != nil || r.TableRows != 1 {
		t.Errorf("the same publication again gave %+v, %v", r, err)
	}
	expect(t, w.rows(t, spec.ID), "1|a|-49.00")
}

// TestLateChangesFindTheirPlace: what was committed earlier comes in later, over a row
// and over a delete of its key.
func TestLateChangesFindTheirPlace(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := reports()
	for i, changes := range [][]change{
		{report(1, "newest", "/7", 1), removal(2, "/8", 2), report(3, "stays", "/9", 3)},
		{report(1, "older", "/3", 1), report(2, "gone since", "/4", 2)},
	} {
		token := uint64(i + 1)
		w.publish(t, spec, token, lake.Merge, w.stage(t, spec, stagedSpec{file: fmt.Sprint("f", i), kind: dms.KindChange, token: token, changes: changes}))
	}
	expect(t, w.rows(t, spec.ID), "1|newest|-49.00", "3|stays|-47.00")
}
