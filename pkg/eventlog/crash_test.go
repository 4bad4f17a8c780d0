package eventlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

var errCrash = errors.New("crash")

// tally counts crashes by step, over all runs of a test.
type tally struct {
	mu      sync.Mutex
	crashes map[Step]int
}

// crasher kills processes at random steps.
type crasher struct {
	tally *tally
	rng   *rand.Rand // guarded by tally.mu
	oneIn int
}

func (a *tally) crasher(seed uint64, oneIn int) *crasher {
	return &crasher{tally: a, rng: rand.New(rand.NewPCG(seed, 1)), oneIn: oneIn}
}

func (c *crasher) At(_ context.Context, step Step, _ string) error {
	c.tally.mu.Lock()
	defer c.tally.mu.Unlock()
	if c.rng.IntN(c.oneIn) > 0 {
		return nil
	}
	if c.tally.crashes == nil {
		c.tally.crashes = make(map[Step]int)
	}
	c.tally.crashes[step]++
	return errCrash
}

// reached fails the test unless crashes happened at all these steps.
func (a *tally) reached(t *testing.T, steps ...Step) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range steps {
		if a.crashes[s] == 0 {
			t.Errorf("no crash %s: the test shows nothing of it", s)
		}
	}
	t.Logf("crashes: %v", a.crashes)
}

// supervise runs a service in one process after the other, each with its own
// connection and nothing remembered, until ctx ends.
func supervise(ctx context.Context, t *testing.T, url string, cfg Config, f Faults, run func(context.Context, *Log) error) {
	for ctx.Err() == nil {
		l, end, err := process(ctx, url, cfg, WithFaults(f))
		if err == nil {
			err = run(ctx, l)
			end()
		}
		if IsPermanent(err) && !errors.Is(err, errCrash) && ctx.Err() == nil {
			t.Errorf("a process ended with %v", err)
			return
		}
	}
}

// stage is a stateless service that answers each event with one of its own.
func stage(name, from string, replicas int) func(context.Context, *Log) error {
	return func(ctx context.Context, l *Log) error {
		cfg := ConsumerConfig{Service: name, From: []string{from}}
		if replicas > 1 {
			cfg.Rank = func(int) int { return 1 }
		}
		return l.Consume(ctx, cfg, func(ctx context.Context, r Record) error {
			_, err := l.PublishOnce(ctx, answer(name, r, &blotterv1.FileClassified{SpecVersion: r.Seq}))
			return err
		})
	}
}

// TestTwoStagesCrashEverywhere: 0 lost, 0 doubled, in order per table.
func TestTwoStagesCrashEverywhere(t *testing.T) {
	var all tally
	t.Run("runs", func(t *testing.T) {
		for seed, replicas := range []int{1, 1, 2, 3} {
			t.Run(fmt.Sprintf("seed %d, %d replicas", seed, replicas), func(t *testing.T) {
				t.Parallel()
				cfg := testConfig()
				cfg.AckWait = 200 * time.Millisecond
				runStages(t, startServer(t), cfg, all.crasher(uint64(seed), 60), replicas, 240)
			})
		}
	})
	all.reached(t, BeforePublish, AfterPublish, BeforeAck, AfterAck)
}

// runStages sends events through two stages whose processes crash, and checks
// the log.
func runStages(t *testing.T, url string, cfg Config, crashes *crasher, replicas, events int) {
	all := tables(6)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for range replicas {
		wg.Go(func() { supervise(ctx, t, url, cfg, crashes, stage("classifier", "ingest-router", replicas)) })
		wg.Go(func() { supervise(ctx, t, url, cfg, crashes, stage("curator", "classifier", replicas)) })
	}
	l := openLog(t, url, cfg)
	for n := range events {
		publish(t, l, arrived(all[n%len(all)], n))
	}
	eventually(t, "idle", func() bool {
		ok, err := l.Idle(ctx, []string{"classifier", "curator"})
		return err == nil && ok || t.Failed()
	})
	cancel()
	wg.Wait()
	for _, table := range all {
		for service, from := range map[string]string{"classifier": "ingest-router", "curator": "classifier"} {
			checkStage(t, l, table, service, from, replicas == 1)
		}
	}
}

// checkStage compares what a stage said of a table with what it heard.
func checkStage(t *testing.T, l *Log, table dms.TableID, service, from string, ordered bool) {
	t.Helper()
	in := collect(t, l, Filter{Table: table, Service: from})
	out := collect(t, l, Filter{Table: table, Service: service})
	place := make(map[string]int, len(in))
	for i, r := range in {
		place[r.Envelope.GetId()] = i
	}
	answered := make(map[string]bool)
	last := -1
	for _, r := range out {
		i, ok := place[r.Envelope.GetCause()]
		switch {
		case !ok:
			t.Errorf("%s answers nothing", r.Envelope.GetId())
		case answered[r.Envelope.GetCause()]:
			t.Errorf("%s is doubled", r.Envelope.GetId())
		case in[i].Seq >= r.Seq:
			t.Errorf("%s stands before what it answers", r.Envelope.GetId())
		case ordered && i < last:
			t.Errorf("%s is out of order", r.Envelope.GetId())
		}
		answered[r.Envelope.GetCause()] = true
		last = i
	}
	if len(answered) != len(in) {
		t.Errorf("%s, %s: %d answers to %d events", table, service, len(answered), len(in))
	}
}
