package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// ledger is the control store of a toy service: one item per table, written on
// condition of its version and an empty outbox, as control.Store is.
type ledger struct {
	mu    sync.Mutex
	items map[dms.TableID]ledgerItem
}

type ledgerItem struct {
	version uint64
	files   map[string]bool // what was recognised: inputs by their meaning
	said    int             // events decided so far
	outbox  []*blotterv1.Envelope
}

func (g *ledger) load(table dms.TableID) ledgerItem {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.items[table]
}

func (g *ledger) commit(table dms.TableID, next ledgerItem) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.items[table]
	if now.version+1 != next.version || len(now.outbox) > 0 {
		return ErrConflict
	}
	g.items[table] = next
	return nil
}

func (g *ledger) clear(table dms.TableID, version uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if it := g.items[table]; it.version == version {
		it.outbox = nil
		g.items[table] = it
	}
}

func (g *ledger) unflushed() []dms.TableID {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []dms.TableID
	for table, it := range g.items {
		if len(it.outbox) > 0 {
			out = append(out, table)
		}
	}
	return out
}

// keeper is the toy service: it accepts each file once, in one to three events.
type keeper struct {
	log    *Log
	state  *ledger
	faults Faults
}

const keeperName = "lock-manager"

func (k *keeper) flush(ctx context.Context, table dms.TableID, it ledgerItem) error {
	if err := k.log.Flush(ctx, table, keeperName, it.outbox); err != nil {
		return err
	}
	if err := k.faults.At(ctx, "before clear", ""); err != nil {
		return Permanent(err)
	}
	k.state.clear(table, it.version)
	return nil
}

func (k *keeper) handle(ctx context.Context, r Record) error {
	it := k.state.load(r.Table)
	if len(it.outbox) > 0 {
		if err := k.flush(ctx, r.Table, it); err != nil {
			return err
		}
	}
	file := r.Envelope.GetCorrelation()
	if it.files[file] {
		return nil // heard before, decided before
	}
	next := ledgerItem{version: it.version + 1, files: map[string]bool{file: true}, said: it.said}
	for f := range it.files {
		next.files[f] = true
	}
	for i := range 1 + int(it.version)%3 {
		e := answer(keeperName, r, &blotterv1.FileReleased{FileId: file})
		e.ID = ID(keeperName, r.Table, "FileReleased", file, fmt.Sprint(i))
		env, err := e.Envelope()
		if err != nil {
			return err
		}
		env.Version, env.Index = next.version, uint32(i)
		next.outbox = append(next.outbox, env)
		next.said++
	}
	if err := k.state.commit(r.Table, next); err != nil {
		return err
	}
	if err := k.faults.At(ctx, "after commit", ""); err != nil {
		return Permanent(err)
	}
	return k.flush(ctx, r.Table, next)
}

// run sweeps what a former process has left, then works.
func (k *keeper) run(ctx context.Context) error {
	for _, table := range k.state.unflushed() {
		if err := k.flush(ctx, table, k.state.load(table)); err != nil {
			return err
		}
	}
	cfg := ConsumerConfig{Service: keeperName, From: []string{"classifier", "ingest-router"}, Rank: func(int) int { return 1 }}
	return k.log.Consume(ctx, cfg, k.handle)
}

// TestAnOutboxCrashesEverywhere proves the service with state: several kinds of
// input, several replicas on one store, crashes between any two effects.
func TestAnOutboxCrashesEverywhere(t *testing.T) {
	var all tally
	t.Run("runs", func(t *testing.T) {
		for seed, replicas := range []int{1, 2, 3} {
			t.Run(fmt.Sprintf("seed %d, %d replicas", seed, replicas), func(t *testing.T) {
				t.Parallel()
				cfg := testConfig()
				cfg.AckWait = 200 * time.Millisecond
				runOutbox(t, startServer(t), cfg, all.crasher(uint64(seed), 50), replicas, 160)
			})
		}
	})
	all.reached(t, BeforePublish, AfterPublish, BeforeAck, AfterAck, "after commit", "before clear")
}

// runOutbox sends events to toy services whose processes crash, and checks their
// state against the log.
func runOutbox(t *testing.T, url string, cfg Config, crashes *crasher, replicas, events int) {
	all := tables(5)
	state := &ledger{items: make(map[dms.TableID]ledgerItem)}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for range replicas {
		wg.Go(func() {
			supervise(ctx, t, url, cfg, crashes, func(ctx context.Context, l *Log) error {
				return (&keeper{l, state, crashes}).run(ctx)
			})
		})
	}
	l := openLog(t, url, cfg)
	for n := range events { // two inputs of different kinds tell of the same file
		e := arrived(all[n%len(all)], n)
		seq := publish(t, l, e)
		env, err := e.Envelope()
		if err != nil {
			t.Fatal(err)
		}
		publish(t, l, answer("classifier", Record{Seq: seq, Table: e.Table, Envelope: env}, classifiedMessage()))
	}
	eventually(t, "idle", func() bool {
		ok, err := l.Idle(ctx, []string{keeperName})
		return err == nil && ok && len(state.unflushed()) == 0 || t.Failed()
	})
	cancel()
	wg.Wait()
	files := 0
	for _, table := range all {
		files += checkChain(t, l, table, state.load(table))
	}
	if files != events {
		t.Errorf("%d files of %d were recognised", files, events)
	}
}

// checkChain holds the log of a table against its state: versions without a gap,
// each index once, in order.
func checkChain(t *testing.T, l *Log, table dms.TableID, it ledgerItem) (files int) {
	t.Helper()
	var version uint64
	var index uint32
	chain := collect(t, l, Filter{Table: table, Service: keeperName})
	for i, r := range chain {
		v, x := r.Envelope.GetVersion(), r.Envelope.GetIndex()
		if !(v == version && x == index+1 || v == version+1 && x == 0) {
			t.Errorf("%s: event %d is (%d,%d) after (%d,%d)", table, i, v, x, version, index)
		}
		version, index = v, x
	}
	if version != it.version || len(chain) != it.said {
		t.Errorf("%s: the log ends at version %d with %d events, the state is at %d with %d",
			table, version, len(chain), it.version, it.said)
	}
	return len(it.files)
}

func outboxOf(version uint64, n int) []*blotterv1.Envelope {
	var out []*blotterv1.Envelope
	for i := range n {
		e := arrived(reports, int(version)*10+i)
		e.Service = keeperName
		env, err := e.Envelope()
		if err != nil {
			panic(err)
		}
		env.Version, env.Index, env.Time = version, uint32(i), timestamppb.New(time.Unix(1, 0))
		out = append(out, env)
	}
	return out
}

// An outbox that was flushed long ago, by others, must not come again.
func TestAStaleOutboxPublishesNothing(t *testing.T) {
	url := startServer(t)
	a, b := openLog(t, url, testConfig()), openLog(t, url, testConfig())
	flush := func(l *Log, version uint64, n int) {
		t.Helper()
		if err := l.Flush(t.Context(), reports, keeperName, outboxOf(version, n)); err != nil {
			t.Fatal(err)
		}
	}
	flush(a, 1, 2)
	flush(b, 2, 3)
	windowPasses(t, a)
	flush(a, 1, 2) // a knows of nothing but version 1
	flush(a, 2, 3)
	flush(b, 1, 2)
	flush(a, 3, 1)
	flush(b, 4, 1) // b has not seen 3
	if n := len(collect(t, a, Filter{Service: keeperName})); n != 7 {
		t.Errorf("%d events, want 7", n)
	}
}

// A process died after it had said its outbox, and before it cleared it.
// A version that lies between was said before the next was decided: by another replica, or
// into a log that was set back since.
func TestAnOutboxJoinsItsLog(t *testing.T) {
	url := startServer(t)
	a, b := openLog(t, url, testConfig()), openLog(t, url, testConfig())
	flush := func(l *Log, version uint64) error {
		return l.Flush(t.Context(), reports, keeperName, outboxOf(version, 2))
	}
	for version := uint64(1); version <= 4; version++ {
		l := b
		if version == 1 {
			l = a
		}
		if err := flush(l, version); err != nil {
			t.Fatal(err)
		}
	}
	windowPasses(t, a)
	for _, version := range []uint64{4, 5} { // a knows of version 1 alone
		if err := flush(a, version); err != nil {
			t.Fatal(err)
		}
	}
	if err := flush(b, 8); !errors.Is(err, ErrSetBack) || !IsPermanent(err) {
		t.Errorf("what does not follow version 5 is taken: %v", err)
	}
	if n := len(collect(t, a, Filter{Service: keeperName})); n != 10 {
		t.Errorf("%d events, want 10", n)
	}
}

func TestAnOutboxThatWasSaidIsNotSaidAgain(t *testing.T) {
	url := startServer(t)
	for range 2 {
		l := openLog(t, url, testConfig())
		if err := l.Flush(t.Context(), reports, keeperName, outboxOf(1, 2)); err != nil {
			t.Fatal(err)
		}
		windowPasses(t, l)
		if n := len(collect(t, l, Filter{Service: keeperName})); n != 2 {
			t.Errorf("an outbox of two events stands in the log as %d", n)
		}
	}
}

func TestAnOutboxThatCannotBe(t *testing.T) {
	l := openLog(t, startServer(t), testConfig())
	twice := append(outboxOf(1, 2), outboxOf(1, 1)...)
	other := outboxOf(1, 1)
	other[0].Table = "rms.persons"
	for name, o := range map[string][]*blotterv1.Envelope{"no version": outboxOf(0, 1), "a place twice": twice, "another table": other} {
		if err := l.Flush(t.Context(), reports, keeperName, o); !IsPermanent(err) {
			t.Errorf("%s: got %v, want a permanent error", name, err)
		}
	}
	if err := l.Flush(t.Context(), reports, keeperName, nil); err != nil {
		t.Error(err)
	}
}

func TestReplicasFlushOneOutbox(t *testing.T) {
	url := startServer(t)
	var wg sync.WaitGroup
	for range 4 {
		l := openLog(t, url, testConfig())
		wg.Go(func() {
			for v := uint64(1); v <= 20; v++ {
				for {
					err := l.Flush(t.Context(), reports, keeperName, outboxOf(v, 3))
					if err == nil {
						break
					}
					if !errors.Is(err, ErrConflict) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	l := openLog(t, url, testConfig())
	checkChain(t, l, reports, ledgerItem{version: 20, said: 60})
}
