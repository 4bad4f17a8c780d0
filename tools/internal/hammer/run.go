package hammer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/natsserver"
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
	err = errors.Join(err, w.close())
	w.report.Took = time.Since(started)
	w.report.count(w.plan)
	return w.report, err
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

	server   *natsserver.Server
	port     int
	restarts int           // left
	broken   atomic.Uint64 // grows at the beginning and at the end of a restart
	nodes    []atomic.Pointer[node]
	lives    sync.WaitGroup
	ctx      context.Context
	stop     context.CancelFunc
	commands int
}

func newWorld(ctx context.Context, cfg Config) (w *world, err error) {
	soon := 1 + 3*int(cfg.Seed%2)
	w = &world{
		site: &site{cfg: cfg, clock: &clock{}}, history: newHistory(cfg), plan: newPlan(cfg.Seed, soon, 400, cfg.Stalls),
		rng: rand.New(rand.NewPCG(cfg.Seed, 5)), report: newReport(cfg), restarts: cfg.Restarts,
		nodes: make([]atomic.Pointer[node], cfg.Replicas),
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
	if err := w.serve(0); err != nil {
		return w, err
	}
	u, err := url.Parse(w.server.URL())
	if err != nil {
		return w, fmt.Errorf("find the server's port: %w", err)
	}
	if w.port, err = strconv.Atoi(u.Port()); err != nil {
		return w, fmt.Errorf("find the server's port: %w", err)
	}
	w.site.url = w.server.URL()
	// Makes all files, which two processes at once cannot.
	if err := w.look(func(*node) error { return nil }); err != nil {
		return w, err
	}
	for r := range cfg.Replicas {
		w.lives.Go(func() { w.supervise(r) })
	}
	return w, nil
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
	if w.server != nil {
		w.server.Close()
	}
	return nil
}

func (w *world) serve(port int) error {
	cfg := natsserver.DefaultConfig()
	cfg.Dir, cfg.Port, cfg.SyncAlways = filepath.Join(w.site.cfg.Dir, "nats"), port, false // processes die here, machines do not
	var err error
	w.server, err = natsserver.Start(w.ctx, cfg, w.site.cfg.Logger)
	return err
}

// restart has the NATS server end and come back under its address.
func (w *world) restart() error {
	w.broken.Add(1)
	defer w.broken.Add(1)
	w.server.Close()
	w.report.Restarts++
	w.restarts--
	return w.serve(w.port)
}

func (w *world) violate(format string, args ...any) {
	w.told.Lock()
	defer w.told.Unlock()
	w.report.Violations = append(w.report.Violations, fmt.Sprintf(format, args...))
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
		before := w.broken.Load()
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
		if !errors.Is(err, errInjected) && before%2 == 0 && w.broken.Load() == before {
			w.violate("a process ended by itself: %v", err)
			w.stop()
		}
		select { // as whatever runs processes would wait
		case <-time.After(startAgain):
		case <-w.ctx.Done():
		}
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
func (w *world) try(what string, do func(*node) error) error {
	var last error
	err := w.poll(2*time.Millisecond, func() (bool, error) {
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
	err = w.try(name+" "+table, func(n *node) error {
		reply, err := n.command(w.ctx, name, r)
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
	w.plan.end()
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
	err := w.try("list", func(n *node) error {
		_, err := n.router.List(w.ctx, ingestrouter.ListRequest{
			ID: fmt.Sprintf("list-%d", generation), Actor: actor, Complete: w.site.cfg.Replicas == 1,
		})
		return err
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
	for _, f := range events {
		if err := w.disturb(); err != nil {
			return err
		}
		w.report.Deliveries++
		err := w.try("offer "+f.key, func(n *node) error {
			info, err := n.raw.Stat(w.ctx, f.key)
			if err != nil {
				return err
			}
			_, err = n.router.Offer(w.ctx, dms.Object{
				Bucket: n.raw.Name(), Key: info.Key, ETag: info.ETag, Size: info.Size, LastModified: info.LastModified.UTC(),
			}, ingestrouter.FromEvent)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// disturb has the server restart, or an operator act on any table, now and then.
func (w *world) disturb() error {
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
