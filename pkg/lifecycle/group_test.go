package lifecycle

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// trace keeps what happened, in order.
type trace struct {
	mu   sync.Mutex
	what []string
}

func (t *trace) add(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.what = append(t.what, s)
}

func (t *trace) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.what, " ")
}

// member takes a while to become ready and to stop.
func member(tr *trace, name string, end error) Service {
	return Service{Name: name, Run: func(ctx context.Context, ready func()) error {
		tr.add("+" + name)
		time.Sleep(time.Second)
		tr.add("!" + name)
		ready()
		if end != nil {
			time.Sleep(time.Hour)
			return end
		}
		<-ctx.Done()
		time.Sleep(time.Second)
		tr.add("-" + name)
		return ctx.Err()
	}}
}

func TestStartsInOrderAndStopsInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tr trace
		ctx, cancel := context.WithCancel(t.Context())
		g := Group{StopTimeout: time.Minute, Ready: func() { tr.add("ready"); cancel() }}
		err := g.Run(ctx, member(&tr, "a", nil), member(&tr, "b", nil), member(&tr, "c", nil))
		if err != nil {
			t.Error(err)
		}
		if got, want := tr.String(), "+a !a +b !b +c !c ready -c -b -a"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestOneFailureStopsTheGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tr trace
		broken := errors.New("broken")
		err := new(Group).Run(t.Context(), member(&tr, "a", nil), member(&tr, "b", broken), member(&tr, "c", nil))
		if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "b: ") {
			t.Errorf("got %v", err)
		}
		if got, want := tr.String(), "+a !a +b !b +c !c -c -a"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestAFailedStartStartsNothingBehindIt(t *testing.T) {
	var tr trace
	broken := errors.New("broken")
	failing := Service{Name: "b", Run: func(context.Context, func()) error { return broken }}
	synctest.Test(t, func(t *testing.T) {
		err := new(Group).Run(t.Context(), member(&tr, "a", nil), failing, member(&tr, "c", nil))
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		if got, want := tr.String(), "+a !a -a"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestCancelDuringStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tr trace
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		if err := new(Group).Run(ctx, member(&tr, "a", nil), member(&tr, "b", nil), member(&tr, "c", nil)); err != nil {
			t.Error(err)
		}
		if got, want := tr.String(), "+a !a +b !b -b -a"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestEndsWhenAllWorkIsDone(t *testing.T) {
	short := Blocking("short", func(context.Context) error { return nil })
	if err := new(Group).Run(t.Context(), short, short); err != nil {
		t.Error(err)
	}
}

func TestStopHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tr trace
		release := make(chan struct{})
		stuck := Blocking("stuck", func(context.Context) error { <-release; return nil })
		ctx, cancel := context.WithCancel(t.Context())
		g := Group{StopTimeout: 10 * time.Second, Ready: cancel}
		err := g.Run(ctx, member(&tr, "a", nil), stuck)
		if !errors.Is(err, ErrStopTimeout) || !strings.Contains(err.Error(), "stuck") {
			t.Errorf("got %v", err)
		}
		close(release)
		time.Sleep(time.Minute) // of the test's own clock: "a" ends meanwhile
	})
}
