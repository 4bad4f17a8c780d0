package eventlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/natsserver"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// windowPasses returns when the server has forgotten every id that it knew when
// it was called.
func windowPasses(t *testing.T, l *Log) {
	t.Helper()
	const subject = "blotter.0.probe.probe.probe.Probe"
	publish := func() *jetstream.PubAck {
		ack, err := l.js.Publish(t.Context(), subject, nil, jetstream.WithMsgID("probe"))
		if err != nil {
			t.Fatal(err)
		}
		return ack
	}
	eventually(t, "a first probe", func() bool { return !publish().Duplicate })
	eventually(t, "the window for duplicates to pass", func() bool { return !publish().Duplicate })
}

// publish calls again as long as replicas elect a leader, as PublishOnce allows.
func publish(t *testing.T, l *Log, e Event) uint64 {
	t.Helper()
	var seq uint64
	var err error
	eventually(t, "an answer of the stream's leader", func() bool {
		seq, err = l.PublishOnce(t.Context(), e)
		return !electing(err)
	})
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// checkOnce fails the test unless the events of a table and service have exactly
// these ids, each once, and gives them in order.
func checkOnce(t *testing.T, l *Log, table dms.TableID, service string, want map[string]bool) []string {
	t.Helper()
	seen := make(map[string]int)
	var order []string
	for _, r := range collect(t, l, Filter{Table: table, Service: service}) {
		seen[r.Envelope.GetId()]++
		order = append(order, r.Envelope.GetId())
	}
	for id, n := range seen {
		if n > 1 {
			t.Errorf("%s is in the log %d times", id, n)
		}
		if !want[id] {
			t.Errorf("%s was never published", id)
		}
	}
	for id := range want {
		if seen[id] == 0 {
			t.Errorf("%s is lost", id)
		}
	}
	return order
}

func TestPublishOnceBeyondTheWindow(t *testing.T) {
	url := startServer(t)
	a, b := openLog(t, url, testConfig()), openLog(t, url, testConfig())
	e, f := arrived(reports, 0), arrived(reports, 1)
	first := publish(t, a, e)
	second := publish(t, a, f)
	windowPasses(t, a)
	for name, l := range map[string]*Log{"same process": a, "another process": b, "after a restart": openLog(t, url, testConfig())} {
		if seq := publish(t, l, e); seq != first {
			t.Errorf("%s: published again at %d, stands at %d", name, seq, first)
		}
		if seq := publish(t, l, f); seq != second {
			t.Errorf("%s: published again at %d, stands at %d", name, seq, second)
		}
	}
	checkOnce(t, a, reports, "ingest-router", map[string]bool{e.ID: true, f.ID: true})
}

// What a process knows of a chain must not hide what another has published since.
func TestKnownIDsDoNotHideAnotherReplica(t *testing.T) {
	url := startServer(t)
	a, b := openLog(t, url, testConfig()), openLog(t, url, testConfig())
	want := make(map[string]bool)
	for n := range 20 {
		e := arrived(reports, n)
		want[e.ID] = true
		one, two := a, b
		if n%3 == 0 {
			one, two = b, a
		}
		first := publish(t, one, e)
		if n%4 == 0 {
			windowPasses(t, a)
		}
		if seq := publish(t, two, e); seq != first {
			t.Fatalf("event %d was published at %d and again at %d", n, first, seq)
		}
	}
	checkOnce(t, a, reports, "ingest-router", want)
}

// A service that forgot that it said an event takes it for newer than it is. As long as the
// server knows the id, the event stays where it stands.
func TestAnEventThatItsServiceForgot(t *testing.T) {
	cfg := testConfig()
	cfg.DuplicateWindow = DefaultConfig().DuplicateWindow
	url := startServer(t)
	l := openLog(t, url, cfg)
	e, f := arrived(reports, 0), arrived(reports, 1)
	first := publish(t, l, e)
	last := publish(t, l, f)
	e.After = last
	for name, l := range map[string]*Log{"same process": l, "another process": openLog(t, url, cfg)} {
		if seq := publish(t, l, e); seq != first {
			t.Errorf("%s: published at %d, and again at %d", name, first, seq)
		}
	}
	e.Time = e.Time.Add(time.Hour)
	if seq := publish(t, l, e); seq != first {
		t.Errorf("decided at another time it is published at %d and again at %d", first, seq)
	}
	// What says something else under that id would be lost.
	other := e
	other.Message = &blotterv1.ObjectArrived{FileId: e.Correlation, Source: "event"}
	for range 2 {
		if _, err := l.PublishOnce(t.Context(), other); !errors.Is(err, ErrDiffers) || !IsPermanent(err) || !strings.Contains(err.Error(), e.ID) {
			t.Errorf("another event of that id gives %v", err)
		}
	}
	g := arrived(reports, 2)
	publish(t, l, g)
	checkOnce(t, l, reports, "ingest-router", map[string]bool{e.ID: true, f.ID: true, g.ID: true})
}

func TestAnAnswerThatWasLost(t *testing.T) {
	url := startServer(t)
	lost := errors.New("the answer is lost")
	fail := true
	l := openLog(t, url, testConfig(), WithFaults(faultFunc(func(step Step, _ string) error {
		if step == AfterPublish && fail {
			return lost
		}
		return nil
	})))
	e := arrived(reports, 0)
	if _, err := l.PublishOnce(t.Context(), e); !errors.Is(err, lost) {
		t.Fatalf("got %v", err)
	}
	fail = false
	windowPasses(t, l)
	if seq := publish(t, l, e); seq != 1 {
		t.Errorf("published again at %d", seq)
	}
}

type faultFunc func(step Step, id string) error

func (f faultFunc) At(_ context.Context, step Step, id string) error { return f(step, id) }

// Ids whose hashes are all the same must be told apart by reading.
func TestIDsOfOneHash(t *testing.T) {
	l := openLog(t, startServer(t), testConfig())
	l.chains.hash = func(string) uint64 { return 7 }
	want := make(map[string]bool)
	for range 2 {
		for n := range 40 {
			e := arrived(reports, n)
			want[e.ID] = true
			publish(t, l, e)
		}
	}
	checkOnce(t, l, reports, "ingest-router", want)
}

func TestOneIDForTwoChainsIsRefused(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Replicas = 1
	l := openLog(t, startServer(t), cfg)
	e := arrived(reports, 0)
	publish(t, l, e)
	e.Table.Table = "persons"
	if _, err := l.PublishOnce(t.Context(), e); !IsPermanent(err) {
		t.Errorf("got %v, want a permanent error", err)
	}
}

func TestEventsThatCannotBe(t *testing.T) {
	l := openLog(t, startServer(t), testConfig())
	for name, change := range map[string]func(*Event){
		"no id":           func(e *Event) { e.ID = "" },
		"id with newline": func(e *Event) { e.ID = "a\nb" },
		"no table":        func(e *Event) { e.Table = dms.TableID{} },
		"service name":    func(e *Event) { e.Service = "a.b" },
		"no message":      func(e *Event) { e.Message = nil },
	} {
		e := arrived(reports, 0)
		change(&e)
		if _, err := l.PublishOnce(t.Context(), e); !IsPermanent(err) {
			t.Errorf("%s: got %v, want a permanent error", name, err)
		}
	}
	huge := arrived(reports, 0)
	huge.Message = &blotterv1.TableRegistered{SpecJson: make([]byte, natsserver.DefaultConfig().MaxPayload)}
	if _, err := l.PublishOnce(t.Context(), huge); !IsPermanent(err) {
		t.Errorf("a message that is too large: got %v, want a permanent error", err)
	}
}

// TestReplicasRace has replicas publish the same events at once, in orders and
// with inputs of their own, some of them forgetting what they knew, and the
// answers of some lost.
func TestReplicasRace(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			race(t, seed)
		})
	}
}

func race(t *testing.T, seed uint64) {
	const replicas, events = 4, 60
	url := startServer(t)
	want := make(map[string]bool)
	inputs := make([]Event, events)
	for n := range inputs {
		inputs[n] = arrived(reports, n)
		want[inputs[n].ID] = true
	}
	var wg sync.WaitGroup
	var lost sync.Map
	for r := range replicas {
		rng := rand.New(rand.NewPCG(seed, uint64(r)))
		cfg := testConfig()
		if r%2 == 1 {
			cfg.MaxKnownIDs = 5
		}
		l := openLog(t, url, cfg, WithFaults(faultFunc(func(step Step, id string) error {
			if step == AfterPublish && rng.IntN(4) == 0 {
				lost.Store(id, true)
				return errors.New("the answer is lost")
			}
			return nil
		})))
		wg.Go(func() {
			for _, n := range rng.Perm(events) {
				for {
					if _, err := l.PublishOnce(t.Context(), inputs[n]); err == nil {
						break
					} else if t.Context().Err() != nil {
						return
					}
				}
			}
		})
	}
	wg.Wait()
	l := openLog(t, url, testConfig())
	checkOnce(t, l, reports, "ingest-router", want)
	n := 0
	lost.Range(func(any, any) bool { n++; return true })
	if n == 0 {
		t.Error("no answer was lost: the test shows nothing")
	}
}

// A look behind reads on from wherever what is known ends, below and above, also
// when old ids were pruned.
func TestLookBehindBelowWhatIsKnown(t *testing.T) {
	url := startServer(t)
	l := openLog(t, url, testConfig())
	const events = 2500
	seqs := make([]uint64, events)
	for n := range events {
		e := arrived(reports, n)
		if n > 1500 {
			e.After = uint64(n) // what lies before is pruned
		}
		seqs[n] = publish(t, l, e)
	}
	c := l.chains.get(l.partitions.chain(reports, "ingest-router"))
	if len(c.ids) == events || c.from == 0 {
		t.Fatalf("nothing was pruned: %d ids from %d", len(c.ids), c.from)
	}
	fresh := openLog(t, url, testConfig())
	for _, n := range []int{2400, 1200, 30, 2499, 0, 1700} {
		e := arrived(reports, n)
		e.After = seqs[n] - 1
		for name, l := range map[string]*Log{"pruned": l, "fresh": fresh} {
			if seq := publish(t, l, e); seq != seqs[n] {
				t.Fatalf("%s: event %d was published again at %d", name, n, seq)
			}
		}
	}
	if l.chains.known.Load() != int64(len(c.ids)) {
		t.Errorf("%d ids are counted, %d are kept", l.chains.known.Load(), len(c.ids))
	}
}
