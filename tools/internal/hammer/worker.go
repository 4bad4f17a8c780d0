package hammer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sync/errgroup"

	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// worker is one process with some roles, as it is told.
type worker struct {
	Name     string
	Roles    []string
	Dir, URL string
	Replicas int
	Nodes    int
	// Seed of one life of it decides where it dies and what goes wrong.
	Seed uint64
}

// oneIn is at how many visits of a step a worker's plan strikes. It remembers nothing of
// its lives before, so that each must get on for a while.
const oneIn = 300

// clockFile holds the offset of the clock that all workers go by; where there is a
// peaceFile, nothing goes wrong any more.
const (
	clockFile = "clock"
	peaceFile = "peace"
)

func openClock(dir string) (*clock, error) {
	f, err := os.OpenFile(filepath.Join(dir, clockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the clock: %w", err)
	}
	return &clock{shared: f}, nil
}

// work is the life of a worker. It prints what goes wrong in it before it does.
func work(ctx context.Context, spec string) error {
	var w worker
	if err := json.Unmarshal([]byte(spec), &w); err != nil {
		return fmt.Errorf("read what worker to be: %w", err)
	}
	go func() { // its parent is gone when its input ends
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	clock, err := openClock(w.Dir)
	if err != nil {
		return err
	}
	p := newPlan(w.Seed, oneIn, oneIn, 0)
	p.tell = func(words ...string) { _, _ = os.Stdout.WriteString(strings.Join(words, "\t") + "\n") }
	p.kill = func() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL) }
	p.ended = func() bool {
		_, err := os.Stat(filepath.Join(w.Dir, peaceFile))
		return err == nil
	}
	n, err := openNode(ctx, &site{url: w.URL, clock: clock, cfg: Config{
		Dir: w.Dir, Replicas: w.Replicas, Nodes: w.Nodes, Processes: true,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}}, p)
	if err == nil {
		err = n.workAs(ctx, w.Roles)
	}
	if errors.Is(err, errInjected) {
		p.tell(toldInjected)
	}
	return err
}

// workAs runs some of the services, and what takes requests for them.
func (n *node) workAs(ctx context.Context, roles []string) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, role := range roles {
		group.Go(func() error { return n.run[role](ctx) })
		switch role {
		case lockmanager.ServiceName:
			group.Go(func() error { return n.locks.Serve(ctx, n.nc) })
		case ingestrouter.ServiceName:
			group.Go(func() error { return n.router.Serve(ctx, n.nc) })
		}
	}
	return group.Wait()
}

// What a worker prints: the first word of a line.
const (
	toldStrike   = "strike"
	toldConflict = "conflict"
	toldInjected = "injected" // it ends over what went wrong
)

// crew are the workers of a history: the place of one holds what runs there now.
type crew struct {
	workers []worker
	running []atomic.Pointer[process]
}

// crews are how roles are put into processes: each its own, or some together.
var crews = [][][]string{
	{{"ingest-router"}, {"classifier"}, {"lock-manager"}, {"lambda-transformer"}, {"glue-dispatcher"}, {"curator"}},
	{{"ingest-router", "classifier"}, {"lock-manager"}, {"lambda-transformer", "glue-dispatcher"}, {"curator"}},
	{{"ingest-router", "lock-manager"}, {"classifier", "lambda-transformer"}, {"glue-dispatcher", "curator"}},
}

func newCrew(cfg Config, url string) *crew {
	c := &crew{}
	for replica := range cfg.Replicas {
		for _, roles := range crews[cfg.Seed%uint64(len(crews))] {
			c.workers = append(c.workers, worker{
				Name: fmt.Sprintf("%s-%d", strings.Join(roles, "+"), replica), Roles: roles,
				Dir: cfg.Dir, URL: url, Replicas: cfg.Replicas, Nodes: cfg.Nodes,
			})
		}
	}
	c.running = make([]atomic.Pointer[process], len(c.workers))
	return c
}

// superviseWorker runs one worker after the other at a place of the crew.
func (w *world) superviseWorker(at int) {
	spec := w.crew.workers[at]
	for life := 0; w.ctx.Err() == nil; life++ {
		well := w.health.since()
		spec.Seed = hash(w.site.cfg.Seed, spec.Name, uint64(life))
		injected, err := w.live(at, spec)
		if err == nil || w.ctx.Err() != nil {
			continue
		}
		w.told.Lock()
		w.report.Exits++
		w.told.Unlock()
		if !injected && well() {
			w.violate("a process ended by itself: %s: %v", spec.Name, err)
			w.stop()
		}
		wait(w.ctx, startAgain)
	}
}

// live runs a worker until it ends. There is no error if it was killed.
func (w *world) live(at int, spec worker) (injected bool, err error) {
	told, err := json.Marshal(spec)
	if err != nil {
		return false, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	log := filepath.Join(w.site.cfg.Dir, spec.Name+".log")
	p, err := startProcess(log, workerVariable+"="+string(told), func(line string) {
		if w.hear(line) {
			injected = true
		}
	})
	if err != nil {
		return false, err
	}
	w.crew.running[at].Store(p)
	select {
	case <-p.ended:
	case <-w.ctx.Done():
		p.kill()
	}
	if p.killed() {
		return false, nil
	}
	return injected, fmt.Errorf("%w; its log is %s", errors.Join(p.err, errors.New("it ended")), log)
}

// hear takes in what a worker printed.
func (w *world) hear(line string) (injected bool) {
	words := strings.Split(line, "\t")
	switch {
	case words[0] == toldStrike && len(words) == 3:
		w.plan.struck(strike{step: words[1], fault: Fault(words[2])})
	case words[0] == toldConflict && len(words) == 2:
		if code, err := strconv.Atoi(words[1]); err == nil {
			w.plan.conflict(code)
		}
	}
	return words[0] == toldInjected
}

// disturbCrew has a worker die now and then, whatever it does, or stand still past its
// deadlines.
func (w *world) disturbCrew() error {
	p := w.crew.running[w.chaos.IntN(len(w.crew.running))].Load()
	if p == nil {
		return nil
	}
	switch n := w.chaos.IntN(100); {
	case n < 15:
		p.kill()
		w.report.Kills++
	case n < 20 && w.stalls > 0:
		w.stalls--
		if err := p.pause(); err != nil {
			return nil // it is dead already
		}
		w.plan.struck(strike{step: "any", fault: Stall})
		if err := w.site.clock.jump(grantTimeout + 1); err != nil {
			return err
		}
		wait(w.ctx, stallFor)
		_ = p.goOn()
	}
	return nil
}

// pacify has nothing go wrong from now on.
func (w *world) pacify() error {
	w.plan.end()
	if w.crew == nil {
		return nil
	}
	if err := os.WriteFile(filepath.Join(w.site.cfg.Dir, peaceFile), nil, 0o600); err != nil {
		return fmt.Errorf("make peace: %w", err)
	}
	return nil
}
