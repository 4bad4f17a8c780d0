package e2e

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/holdqueue"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects"
)

var errCrash = errors.New("the process has died")

// plan decides where processes die: at each step once, soon after it is first
// reached, then now and then.
type plan struct {
	mu      sync.Mutex
	rng     *rand.Rand
	soon    int // one in so many visits of a step where no process has died yet
	rarely  int // one in so many visits of another
	visits  map[string]int
	crashes map[string]int
	peace   bool
}

func newPlan(seed uint64, soon, rarely int) *plan {
	return &plan{
		rng: rand.New(rand.NewPCG(seed, 3)), soon: soon, rarely: rarely,
		visits: map[string]int{}, crashes: map[string]int{},
	}
}

func (p *plan) strikes(step string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.peace {
		return false
	}
	p.visits[step]++
	oneIn := p.rarely
	if p.crashes[step] == 0 {
		oneIn = p.soon
	}
	if p.rng.IntN(oneIn) > 0 {
		return false
	}
	p.crashes[step]++
	return true
}

func (p *plan) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peace = true
}

// total counts the crashes so far.
func (p *plan) total() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, c := range p.crashes {
		n += c
	}
	return n
}

// coverage counts over all schedules where processes died.
type coverage struct {
	mu              sync.Mutex
	visits, crashes map[string]int
}

func (c *coverage) add(p *plan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.visits == nil {
		c.visits, c.crashes = map[string]int{}, map[string]int{}
	}
	for step, n := range p.visits {
		c.visits[step] += n
	}
	for step, n := range p.crashes {
		c.crashes[step] += n
	}
}

// reached fails the test unless a process died at every step that was reached
// often enough, and unless the steps named were reached.
func (c *coverage) reached(t *testing.T, steps ...string) {
	t.Helper()
	for _, step := range slices.Sorted(maps.Keys(c.visits)) {
		if c.crashes[step] == 0 && c.visits[step] > 40 {
			t.Errorf("no process died at %q in %d visits", step, c.visits[step])
		}
		t.Logf("%5d visits, %3d deaths: %s", c.visits[step], c.crashes[step], step)
	}
	for _, step := range steps {
		if c.crashes[step] == 0 {
			t.Errorf("no process died at %q: the test shows nothing of it", step)
		}
	}
}

// mortal is one process as far as dying goes: from its death on every effect
// fails, until all that it runs has ended.
type mortal struct {
	plan *plan
	once sync.Once
	died chan struct{}
}

func newMortal(p *plan) *mortal { return &mortal{plan: p, died: make(chan struct{})} }

func (m *mortal) at(step string) error {
	select {
	case <-m.died:
		return errCrash
	default:
	}
	if m.plan.strikes(step) {
		m.once.Do(func() { close(m.died) })
		return errCrash
	}
	return nil
}

// around dies before or after an effect.
func (m *mortal) around(step string, effect func() error) error {
	if err := m.at("before " + step); err != nil {
		return err
	}
	if err := effect(); err != nil {
		return err
	}
	return m.at("after " + step)
}

// At dies at the steps of the event log.
func (m *mortal) At(_ context.Context, step eventlog.Step, _ string) error {
	return m.at("log: " + string(step))
}

func (m *mortal) lakeStep(step lake.Step) error { return m.at("lake: " + string(step)) }

// stores is the control store of one process.
type stores interface {
	control.Store
	control.Objects
}

type mortalStore struct {
	stores
	m *mortal
}

func (s mortalStore) Table(ctx context.Context, id dms.TableID) (control.TableItem, error) {
	if err := s.m.at("store: read table"); err != nil {
		return control.TableItem{}, err
	}
	return s.stores.Table(ctx, id)
}

func (s mortalStore) Commit(ctx context.Context, c control.Change) error {
	return s.m.around("store: commit", func() error { return s.stores.Commit(ctx, c) })
}

func (s mortalStore) ClearOutbox(ctx context.Context, id dms.TableID, version uint64) error {
	return s.m.around("store: clear outbox", func() error { return s.stores.ClearOutbox(ctx, id, version) })
}

func (s mortalStore) PutObject(ctx context.Context, row control.ObjectRow) error {
	return s.m.around("store: put object "+string(row.State), func() error { return s.stores.PutObject(ctx, row) })
}

type mortalQueue struct {
	holdqueue.Queue
	m *mortal
}

func (q mortalQueue) Hold(ctx context.Context, table dms.TableID, item holdqueue.Item) error {
	return q.m.around("queue: hold", func() error { return q.Queue.Hold(ctx, table, item) })
}

func (q mortalQueue) Release(ctx context.Context, table dms.TableID, id dms.FileID) error {
	return q.m.around("queue: release", func() error { return q.Queue.Release(ctx, table, id) })
}

type mortalBucket struct {
	objects.Bucket
	m *mortal
}

func (b mortalBucket) Open(ctx context.Context, key string, v objects.Version) (objects.Reader, error) {
	if err := b.m.at(b.Name() + ": open"); err != nil {
		return nil, err
	}
	return b.Bucket.Open(ctx, key, v)
}

func (b mortalBucket) Create(ctx context.Context, key string) (objects.Writer, error) {
	w, err := b.Bucket.Create(ctx, key)
	if err != nil {
		return nil, err
	}
	return mortalWriter{w, b.m, b.Name()}, nil
}

func (b mortalBucket) Copy(ctx context.Context, src objects.Bucket, srcKey string, v objects.Version, dstKey string) (info objects.Info, err error) {
	if from, ok := src.(mortalBucket); ok {
		src = from.Bucket
	}
	err = b.m.around(b.Name()+": copy", func() error {
		info, err = b.Bucket.Copy(ctx, src, srcKey, v, dstKey)
		return err
	})
	return info, err
}

type mortalWriter struct {
	objects.Writer
	m    *mortal
	name string
}

func (w mortalWriter) Commit(ctx context.Context) (info objects.Info, err error) {
	err = w.m.around(w.name+": commit object", func() error {
		info, err = w.Writer.Commit(ctx)
		return err
	})
	return info, err
}
