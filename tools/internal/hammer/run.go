package hammer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/registry"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

const actor = "operator:hammer"

// Run plays the history of a seed and checks it. What it finds wrong stands in the
// report; the error tells why it could not play or look.
func Run(ctx context.Context, cfg Config) (report Report, err error) {
	if err := cfg.Validate(); err != nil {
		return report, fmt.Errorf("hammer: %w", err)
	}
	started := time.Now()
	w, err := newWorld(ctx, cfg)
	if err != nil {
		return report, err
	}
	err = w.play()
	if err != nil && errors.Is(w.ctx.Err(), context.DeadlineExceeded) && ctx.Err() == nil {
		w.violate("the system did not come to rest within %s: %v", cfg.Timeout, err)
		err = w.keepStacks()
	}
	if w.violated() && errors.Is(w.ctx.Err(), context.Canceled) && ctx.Err() == nil {
		err = nil // it was broken off for what the report holds
	}
	err = errors.Join(err, w.close())
	w.report.Took = time.Since(started)
	w.report.count(w.plan)
	return w.report, err
}

// health tells whether the NATS servers are what they should be: a process that ends by
// itself while they are not ends rightly.
type health struct {
	unsettled atomic.Int64  // restarts from which the servers have not recovered yet
	restarts  atomic.Uint64 // begun
}

// since gives a function that tells whether the servers were well from now on.
func (h *health) since() (well func() bool) {
	before, ill := h.restarts.Load(), h.unsettled.Load() > 0
	return func() bool { return !ill && h.unsettled.Load() == 0 && h.restarts.Load() == before }
}

// world runs one history.
type world struct {
	site    *site
	history *history
	plan    *plan
	rng     *rand.Rand
	specs   []registry.Table
	report  Report
	told    sync.Mutex // guards what supervise writes to the report

	servers  servers
	restarts int // left
	health   health
	nodes    []atomic.Pointer[node]
	lives    sync.WaitGroup

	// Where the roles are processes:
	crew   *crew
	nc     *nats.Conn
	chaos  *rand.Rand
	stalls int // left

	ctx      context.Context
	stop     context.CancelFunc
	commands int
}

func newWorld(ctx context.Context, cfg Config) (w *world, err error) {
	soon := 1 + 3*int(cfg.Seed%2)
	clock := &clock{}
	if cfg.Processes {
		if clock, err = openClock(cfg.Dir); err != nil {
			return nil, err
		}
	}
	w = &world{
		site: &site{cfg: cfg, clock: clock}, history: newHistory(cfg), plan: newPlan(cfg.Seed, soon, 400, cfg.Stalls),
		rng: rand.New(rand.NewPCG(cfg.Seed, 5)), report: newReport(cfg), restarts: cfg.Restarts,
		nodes: make([]atomic.Pointer[node], cfg.Replicas), chaos: rand.New(rand.NewPCG(cfg.Seed, 6)), stalls: cfg.Stalls,
	}
	w.ctx, w.stop = context.WithTimeout(ctx, cfg.Timeout)
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.specs, err = registry.Parse([]byte(w.history.registration()), "tables.yaml"); err != nil {
		return w, err
	}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, "raw"), 0o755); err != nil {
		return w, fmt.Errorf("make the raw folder: %w", err)
	}
	if err := w.serve(); err != nil {
		return w, err
	}
	// Makes all files, which two processes at once cannot.
	if err := w.look(func(*node) error { return nil }); err != nil {
		return w, err
	}
	return w, w.populate()
}

// serve starts the NATS servers.
func (w *world) serve() (err error) {
	if w.site.cfg.Processes {
		w.servers, err = serveApart(w.ctx, w.site.cfg)
	} else {
		w.servers, err = serveEmbedded(w.ctx, w.site)
	}
	if err != nil {
		w.servers = nil
		return err
	}
	w.site.url = w.servers.url()
	return nil
}

// populate starts the services.
func (w *world) populate() (err error) {
	if !w.site.cfg.Processes {
		for r := range w.nodes {
			w.lives.Go(func() { w.supervise(r) })
		}
		return nil
	}
	if w.nc, err = eventlog.Connect(w.site.url, "hammer", w.site.cfg.Logger); err != nil {
		return err
	}
	w.crew = newCrew(w.site.cfg, w.site.url)
	for at := range w.crew.workers {
		w.lives.Go(func() { w.superviseWorker(at) })
	}
	return nil
}

// keepStacks writes down where everything stands that did not come to rest.
func (w *world) keepStacks() error {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if err := os.WriteFile(filepath.Join(w.site.cfg.Dir, "stacks.txt"), stacks, 0o644); err != nil {
		return fmt.Errorf("keep the stacks: %w", err)
	}
	return nil
}

func (w *world) close() error {
	w.stop()
	w.lives.Wait()
	if w.nc != nil {
		w.nc.Close()
	}
	if w.servers != nil {
		w.servers.close()
	}
	if w.site.clock.shared != nil {
		return w.site.clock.shared.Close()
	}
	return nil
}

// restart has a NATS server end and come back under its address.
func (w *world) restart() error {
	w.health.restarts.Add(1)
	w.health.unsettled.Add(1)
	w.report.Restarts++
	w.restarts--
	if err := w.servers.restart(w.ctx); err != nil {
		return err
	}
	w.lives.Go(func() { // the history goes on while a cluster elects its leaders
		if w.servers.settle(w.ctx) == nil {
			w.health.unsettled.Add(-1)
		}
	})
	return nil
}

// restartOnce has a server restart where a history has restarts and chance gave it none
// so far.
func (w *world) restartOnce() error {
	if w.restarts == 0 || w.restarts < w.site.cfg.Restarts {
		return nil
	}
	return w.restart()
}

func (w *world) violate(format string, args ...any) {
	w.told.Lock()
	defer w.told.Unlock()
	w.report.Violations = append(w.report.Violations, fmt.Sprintf(format, args...))
}

func (w *world) violated() bool {
	w.told.Lock()
	defer w.told.Unlock()
	return len(w.report.Violations) > 0
}

func (w *world) violateAll(found []string) {
	for _, f := range found {
		w.violate("%s", f)
	}
}

// supervise runs one process after the other, nothing remembered. One that ends by
// itself although nothing was done to it is a violation.
func (w *world) supervise(replica int) {
	for w.ctx.Err() == nil {
		well := w.health.since()
		n, err := openNode(w.ctx, w.site, w.plan)
		if err == nil {
			w.nodes[replica].Store(n)
			err = errors.Join(n.live(w.ctx), n.close())
		}
		if err == nil || errors.Is(err, errCrash) || w.ctx.Err() != nil {
			continue
		}
		w.told.Lock()
		w.report.Exits++
		w.told.Unlock()
		if !errors.Is(err, errInjected) && well() {
			w.violate("a process ended by itself: %v", err)
			w.stop()
		}
		wait(w.ctx, startAgain) // as whatever runs processes would
	}
}

// wait waits for a while, unless ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// poll asks until the answer is yes.
func (w *world) poll(every time.Duration, done func() (bool, error)) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-w.ctx.Done():
			return w.ctx.Err()
		}
	}
}

// try has some process do something, again and again until it has succeeded.
func (w *world) try(what string, do func(door) error) error {
	var last error
	err := w.poll(2*time.Millisecond, func() (bool, error) {
		if w.crew != nil {
			last = do(natsDoor{w.nc})
			return last == nil, nil
		}
		n := w.nodes[w.rng.IntN(len(w.nodes))].Load()
		if n == nil {
			return false, nil
		}
		last = do(n)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%s: no success before the end: %w", what, errors.Join(err, last))
	}
	return nil
}

// command gives an operator's command; what is refused is told.
func (w *world) command(name, table string, fill func(*lockmanager.CommandRequest)) (refused string, err error) {
	w.commands++
	r := lockmanager.CommandRequest{ID: fmt.Sprintf("%s-%d", name, w.commands), Actor: actor, Reason: "hammer", Table: table}
	if fill != nil {
		fill(&r)
	}
	err = w.try(name+" "+table, func(d door) error {
		reply, err := d.command(w.ctx, name, r)
		refused = reply.Refused
		return err
	})
	return refused, err
}

// play has all generations of all tables come and be published.
func (w *world) play() error {
	for _, spec := range w.specs {
		refused, err := w.command("apply", spec.ID.String(), func(r *lockmanager.CommandRequest) { r.Spec = &spec })
		if err != nil {
			return err
		}
		if refused != "" {
			return fmt.Errorf("register %s: %s", spec.ID, refused)
		}
	}
	var withheld []*file
	for generation := range 2 {
		files := w.history.generation(generation)
		again := withheld
		withheld = nil
		var late []*file
		now := slices.DeleteFunc(slices.Clone(files), func(f *file) bool {
			switch {
			case f.late:
				late = append(late, f)
			case generation == 0 && !f.load && w.returns(f) && w.rng.IntN(4) == 0:
				withheld = append(withheld, f) // comes when its generation is replaced, or about to be
			default:
				return false
			}
			return true
		})
		for _, step := range []func() error{
			func() error { return w.deliver(append(again, now...)) },
			w.restartOnce,
			func() error { return w.seal(generation) },
			func() error { return w.deliver(late) },
			func() error { return w.calm() },
		} {
			if err := step(); err != nil {
				return err
			}
		}
		if generation == 0 {
			if err := w.mend(); err != nil {
				return err
			}
		}
	}
	if err := w.pacify(); err != nil {
		return err
	}
	if err := w.calm(); err != nil {
		return err
	}
	return w.look(w.check)
}

// returns reports whether a file's table has a second generation.
func (w *world) returns(f *file) bool {
	for _, t := range w.history.tables {
		if _, ok := f.rows[t.name]; ok && t.generations > 1 {
			return true
		}
	}
	return false
}

// seal has the loads sealed: by a complete listing, or by commands. Across
// replicas the end of a listing may overtake the files before it, so that it
// seals nothing; calm gives a command for each load that is still open.
func (w *world) seal(generation int) error {
	err := w.try("list", func(d door) error {
		return d.list(w.ctx, ingestrouter.ListRequest{
			ID: fmt.Sprintf("list-%d", generation), Actor: actor, Complete: w.site.cfg.Replicas == 1,
		})
	})
	if err != nil {
		return err
	}
	return w.calm()
}

// deliver puts files and tells of them in any order, some of them again, and has
// something else happen now and then.
func (w *world) deliver(files []*file) error {
	for _, f := range files {
		if err := f.put(filepath.Join(w.site.cfg.Dir, "raw")); err != nil {
			return err
		}
	}
	w.report.Files += len(files)
	var events []*file
	for _, f := range files {
		for range 1 + w.rng.IntN(2) {
			events = append(events, f)
		}
	}
	w.rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	var group errgroup.Group
	group.SetLimit(4) // at once, where replicas of ingest-router are processes
	for _, f := range events {
		if err := w.disturb(); err != nil {
			return errors.Join(err, group.Wait())
		}
		w.report.Deliveries++
		offer := func() error {
			return w.try("offer "+f.key, func(d door) error { return d.offer(w.ctx, f.key) })
		}
		if w.crew != nil {
			group.Go(offer)
		} else if err := offer(); err != nil {
			return err
		}
	}
	return group.Wait()
}

// disturb has the server restart, or an operator act on any table, now and then.
func (w *world) disturb() error {
	if w.crew != nil {
		if err := w.disturbCrew(); err != nil {
			return err
		}
	}
	table := w.specs[w.rng.IntN(len(w.specs))].ID.String()
	switch n := w.rng.IntN(120); {
	case n < 4 && w.restarts > 0:
		return w.restart()
	case n < 8:
		_, err := w.command("pause", table, func(r *lockmanager.CommandRequest) { r.Force = n < 6 })
		return err
	case n < 12:
		_, err := w.command("flag", table, func(r *lockmanager.CommandRequest) { r.Flag = []string{"L", "G"}[n%2] })
		return err
	case n < 15:
		_, err := w.command("resume", table, nil)
		return err
	}
	return nil
}

// put lays the file into the raw folder, all at once.
func (f *file) put(raw string) error {
	path := filepath.Join(raw, filepath.FromSlash(f.key))
	part := filepath.Join(filepath.Dir(raw), "putting")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("put a file: %w", err)
	}
	if err := os.WriteFile(part, []byte(f.content), 0o644); err != nil {
		return fmt.Errorf("put a file: %w", err)
	}
	if err := os.Chtimes(part, f.modified, f.modified); err != nil {
		return fmt.Errorf("put a file: %w", err)
	}
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("put a file: %w", err)
	}
	return nil
}
