package ingresstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/ingress"
)

// Open gives an empty queue, and what sends to it.
type Open func(t *testing.T) (q ingress.Queue, send func(body string))

// Run runs the suite.
func Run(t *testing.T, open Open) {
	suite := []struct {
		name string
		test func(*testing.T, ingress.Queue, func(string))
	}{
		{"OnceUntilShown", onceUntilShown},
		{"Deleted", deleted},
		{"Overtaken", overtaken},
		{"Shared", shared},
		{"Canceled", canceled},
		{"CanceledInBetween", canceledInBetween},
	}
	for _, s := range suite {
		t.Run(s.name, func(t *testing.T) {
			q, send := open(t)
			s.test(t, q, send)
		})
	}
}

const timeout = 30 * time.Second

// receive gives the next message.
func receive(t *testing.T, q ingress.Queue) ingress.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	for {
		got, err := q.Receive(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) > 1 {
			t.Fatalf("%d messages, only one was expected", len(got))
		}
		if len(got) == 1 {
			return got[0]
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// onceUntilShown: a message that was received is not received again until it is shown,
// and then tells how often it came.
func onceUntilShown(t *testing.T, q ingress.Queue, send func(string)) {
	body := `{"key":"dms/rms/über+ %26/LOAD1.csv"}`
	send(body)
	first := receive(t, q)
	if string(first.Body) != body || first.Deliveries > 1 {
		t.Errorf("received %+v", first)
	}
	send("second")
	if got := receive(t, q); string(got.Body) != "second" {
		t.Errorf("received %q again", got.Body)
	}
	must(t, q.Hide(t.Context(), first, 0))
	again := receive(t, q)
	if again.ID != first.ID || again.Deliveries != 0 && again.Deliveries != 2 {
		t.Errorf("received %+v after %+v", again, first)
	}
}

func deleted(t *testing.T, q ingress.Queue, send func(string)) {
	send("first")
	m := receive(t, q)
	must(t, q.Delete(t.Context(), m))
	must(t, q.Delete(t.Context(), m))
	must(t, q.Hide(t.Context(), m, 0))
	send("second")
	if got := receive(t, q); string(got.Body) != "second" {
		t.Errorf("received %q, which is deleted", got.Body)
	}
}

// overtaken: who was too slow can do nothing about it without an error.
func overtaken(t *testing.T, q ingress.Queue, send func(string)) {
	send("one")
	slow := receive(t, q)
	must(t, q.Hide(t.Context(), slow, 0))
	quick := receive(t, q)
	must(t, q.Delete(t.Context(), quick))
	must(t, q.Delete(t.Context(), slow))
	must(t, q.Hide(t.Context(), slow, time.Minute))
}

// shared: of many who receive each message comes to one.
func shared(t *testing.T, q ingress.Queue, send func(string)) {
	const n = 40
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("message %02d", i))
		send(want[i])
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	var mu sync.Mutex
	var got []string
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				messages, err := q.Receive(ctx)
				if err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
				for _, m := range messages {
					if err := q.Delete(t.Context(), m); err != nil {
						t.Error(err)
					}
					mu.Lock()
					if got = append(got, string(m.Body)); len(got) == n {
						cancel()
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("received %q", got)
	}
}

func canceled(t *testing.T, q ingress.Queue, _ func(string)) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Receive(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("received with %v although the context has ended", err)
	}
}

// canceledInBetween: a message that comes while somebody ends who waits for it is given to
// that one, or is in sight for the next.
func canceledInBetween(t *testing.T, q ingress.Queue, send func(string)) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	type answer struct {
		messages []ingress.Message
		err      error
	}
	began, ended := make(chan struct{}), make(chan answer, 1)
	go func() {
		close(began)
		got, err := q.Receive(ctx)
		ended <- answer{got, err}
	}()
	<-began
	cancel()
	send("late")
	last := <-ended
	if last.err != nil && (!errors.Is(last.err, context.Canceled) || len(last.messages) > 0) {
		t.Errorf("who ended received %d messages with %v", len(last.messages), last.err)
	}
	for _, m := range last.messages {
		must(t, q.Hide(t.Context(), m, 0))
	}
	if got := receive(t, q); string(got.Body) != "late" {
		t.Errorf("received %q", got.Body)
	}
}
