package ingestrouter

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/callback/callbacktest"
	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/ingress"
	"github.com/openblotter/blotter/pkg/ingress/ingresstest"
	"github.com/openblotter/blotter/pkg/objects"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// loadFinished is what DMS tells of the end of a full load.
const loadFinished = `{"source":"aws.dms","detail-type":"DMS Replication Task State Change","time":"2024-07-05T08:00:00Z",
	"resources":["arn:aws:dms:x"],"detail":{"eventType":"REPLICATION_TASK_STOPPED","detailMessage":"Stop Reason FULL_LOAD_ONLY_FINISHED"}}`

// listedShelf notes behind which keys it is listed.
type listedShelf struct {
	*shelf
	behind []string
	// before is called before each listing.
	before func(ctx context.Context) error
}

func (l *listedShelf) ScanAfter(ctx context.Context, prefix, after string, want objects.Want) iter.Seq2[objects.Sighting, error] {
	l.behind = append(l.behind, after)
	return func(yield func(objects.Sighting, error) bool) {
		if l.before != nil {
			if err := l.before(ctx); err != nil {
				yield(objects.Sighting{}, err)
				return
			}
		}
		l.shelf.ScanAfter(ctx, prefix, after, want)(yield)
	}
}

// loaded is an entrance whose table is of a task of DMS.
type loaded struct {
	*entrance
	raw *listedShelf
}

func newLoaded(t *testing.T) *loaded {
	t.Helper()
	b := newBench(t)
	n := &entrance{bench: b, queue: ingresstest.NewMemory(), tasks: callbacktest.NewMemory(), now: entered}
	b.registerSpec(parsed(t, strings.Replace(registration, "schema: rms", "schema: rms, task: 'arn:aws:dms:x'", 1)))
	l := &loaded{entrance: n, raw: &listedShelf{shelf: &shelf{rawList: rawList{changeKey, secondChange, loadKey, secondLoad}}}}
	l.begin()
	return l
}

// begin is a process whose every step of a listing is of one object.
func (l *loaded) begin() {
	l.restart()
	now := entered
	l.router.deps.Raw, l.router.deps.Now = l.raw, func() time.Time { now = now.Add(stepFor); return now }
}

// place is where the listing stands by the control store.
func (l *loaded) place() (at Place, kept bool) {
	l.t.Helper()
	m, err := parseMessage([]byte(loadFinished))
	l.must(err)
	id := hashed("task", m.task.task, m.task.code, m.task.time.Format(time.RFC3339Nano), m.task.detail)
	row, err := l.store.Object(l.t.Context(), dms.FileID("listing-place/task/"+id))
	if errors.Is(err, control.ErrNotFound) {
		return at, false
	}
	l.must(err)
	l.must(json.Unmarshal(row.Event, &at))
	return at, true
}

// sealed checks that the log tells of the listing, once, after all objects.
func (l *loaded) sealed() {
	l.t.Helper()
	l.says(reports, "SourceTaskChanged", "ObjectArrived", "ObjectArrived", "ObjectArrived", "ObjectArrived", "ListingCompleted")
	for _, r := range eventlogtest.Read(l.t, l.log, eventlog.Filter{Event: "ListingCompleted"}) {
		if e := r.Event.(*blotterv1.ListingCompleted); !e.GetComplete() || e.GetCause() != "dms_event" || e.GetObjects() != 4 {
			l.t.Errorf("the listing is told as %v", e)
		}
	}
	if l.queue.Left() != 0 {
		l.t.Errorf("%d messages are left", l.queue.Left())
	}
}

// TestTheEndOfALoadGoesOn: whatever fails at whatever step of the listing, the next delivery,
// in another process, goes on where it stood.
func TestTheEndOfALoadGoesOn(t *testing.T) {
	died := errors.New("died")
	for crash := 1; ; crash++ {
		l := newLoaded(t)
		steps := 0
		l.fail = func(string) error {
			if steps++; steps == crash {
				return died
			}
			return nil
		}
		l.queue.Send(loadFinished)
		err := l.drain()
		if err == nil {
			l.sealed()
			if crash < 20 {
				t.Errorf("only %d steps were tried", crash)
			}
			return
		}
		if !errors.Is(err, died) || l.queue.Left() != 1 {
			t.Fatalf("crash %d: %v, %d messages are left", crash, err, l.queue.Left())
		}
		stood, kept := l.place()
		l.raw.behind = nil
		l.begin()
		l.queue.Reappear()
		l.must(l.drain())
		if kept && stood.Pass != PassDone && l.raw.behind[0] != stood.Key || !kept && l.raw.behind[0] != "" {
			t.Errorf("crash %d: it stood at %+v, and is listed behind %q", crash, stood, l.raw.behind)
		}
		l.sealed()
	}
}

// TestTheEndOfALoadThatIsNotAllThere: where a file is still being written nothing is sealed,
// and the next delivery lists anew.
func TestTheEndOfALoadThatIsNotAllThere(t *testing.T) {
	l := newLoaded(t)
	l.raw.unwhole = []string{secondLoad}
	l.queue.Send(loadFinished)
	if err := l.drain(); !errors.Is(err, errIncomplete) || !strings.Contains(err.Error(), "were passed over, such as dms/rms/reports/") {
		t.Errorf("an unwhole load file gives %v", err)
	}
	if at, kept := l.place(); !kept || at.Key != "" || at.Pass != PassLoads {
		t.Errorf("it stands at %+v", at)
	}
	l.raw.unwhole = nil
	l.queue.Reappear()
	l.must(l.drain())
	l.sealed()
}

// hiding notes for how long messages are hidden.
type hiding struct {
	ingress.Queue
	mu     sync.Mutex
	hidden []time.Duration
}

func (h *hiding) Hide(ctx context.Context, m ingress.Message, d time.Duration) error {
	h.mu.Lock()
	h.hidden = append(h.hidden, d)
	h.mu.Unlock()
	return h.Queue.Hide(ctx, m, d)
}

// TestTheEndOfALoadIsHeld: its message is kept out of sight again and again, never for long.
func TestTheEndOfALoadIsHeld(t *testing.T) {
	l := newLoaded(t)
	h := &hiding{Queue: l.queue}
	l.deps.Queue = h
	l.queue.Send(loadFinished)
	l.must(l.drain())
	l.sealed()
	if len(h.hidden) < 3 || slices.ContainsFunc(h.hidden, func(d time.Duration) bool { return d != holdFor }) {
		t.Errorf("the message was kept out of sight for %v", h.hidden)
	}
	if holdFor <= holdAgain+stepTimeout {
		t.Errorf("a step of %s may take longer than the rest of %s", stepTimeout, holdFor)
	}
}

// TestTheEndOfALoadBesideOthers: while a bucket is listed, other messages are taken in.
func TestTheEndOfALoadBesideOthers(t *testing.T) {
	l := newLoaded(t)
	l.cfg.Polls = 1
	listing, goOn := make(chan struct{}, 8), make(chan struct{})
	l.raw.before = func(ctx context.Context) error {
		listing <- struct{}{}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-goOn:
			l.raw.before = nil
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	running, end := context.WithCancel(ctx)
	defer end()
	go func() { done <- l.Run(running) }()
	l.queue.Send(loadFinished)
	<-listing
	l.queue.Send(created(changeKey))
	released := false
	for r, err := range l.log.Read(ctx, eventlog.Filter{FromSeq: 1, Follow: true}) {
		l.must(err)
		if _, told := r.Event.(*blotterv1.ObjectArrived); told && !released {
			released = true
			close(goOn)
		}
		if _, told := r.Event.(*blotterv1.ListingCompleted); told {
			break
		}
	}
	if !released {
		t.Error("the listing did not wait")
	}
	end()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestTheEndsOfManyLoads: where as many listings run as may, the next one waits out of sight,
// and other messages are taken in; where too many wait, it is left in the queue.
func TestTheEndsOfManyLoads(t *testing.T) {
	l := newLoaded(t)
	h := &hiding{Queue: l.queue}
	l.cfg.Polls, l.deps.Queue = 1, h
	for range maxAside {
		l.aside <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	running, end := context.WithCancel(ctx)
	defer end()
	l.queue.Send(loadFinished)
	l.queue.Send(created(changeKey))
	go func() { done <- l.Run(running) }()
	arrived := false
	for r, err := range l.log.Read(ctx, eventlog.Filter{FromSeq: 1, Follow: true}) {
		l.must(err)
		if _, told := r.Event.(*blotterv1.ObjectArrived); told && !arrived {
			arrived = true
			for range maxAside {
				<-l.aside
			}
		}
		if _, told := r.Event.(*blotterv1.ListingCompleted); told {
			break
		}
	}
	if !arrived {
		t.Error("the listing did not wait for its turn")
	}
	end()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}

	for range maxWaiting {
		l.waiting <- struct{}{}
	}
	h.hidden = nil
	l.must(l.setAside(ctx, ingress.Message{Body: []byte(loadFinished)}))
	if !slices.Equal(h.hidden, []time.Duration{holdFor}) {
		t.Errorf("a message too many is hidden for %v", h.hidden)
	}
}
