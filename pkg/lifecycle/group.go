package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Service is one member of a group.
type Service struct {
	// Name tells people which one it is.
	Name string
	// Run works until ctx ends, and calls ready once when those that start after
	// it may rely on it. Returning nil means that its work is done: the others go
	// on. Returning an error stops the group, but for one that is only ctx's own.
	Run func(ctx context.Context, ready func()) error
}

// Blocking makes a service of a function that has nothing to prepare: it is
// ready at once.
func Blocking(name string, run func(ctx context.Context) error) Service {
	return Service{Name: name, Run: func(ctx context.Context, ready func()) error {
		ready()
		return run(ctx)
	}}
}

// Group runs services. The zero value works: it stops without a deadline and
// logs nothing.
type Group struct {
	// StopTimeout bounds the stop of all services together, 0: no bound.
	StopTimeout time.Duration
	// Logger tells of starts and stops.
	Logger *slog.Logger
	// Ready is called once when all services are ready.
	Ready func()
}

// ErrStopTimeout: a service did not return in time after its context had ended.
// Its goroutine still runs; the process should end.
var ErrStopTimeout = errors.New("did not stop in time")

// running is a started service.
type running struct {
	name   string
	cancel context.CancelFunc
	ready  chan struct{}
	done   chan struct{}
	err    error // valid when done is closed
}

// Run starts the services in order, and blocks until ctx ends, one of them
// fails, or all have done their work. Then it stops those that still run, the
// last one first, each when those behind it have returned. It gives the failures,
// joined and with names, or nil.
func (g *Group) Run(ctx context.Context, services ...Service) error {
	log := g.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	failed := make(chan struct{}, len(services))
	var started []*running
	stopped := false
	for _, s := range services {
		r := start(ctx, s, failed)
		started = append(started, r)
		select {
		case <-r.ready:
			log.DebugContext(ctx, "service ready", "service", s.Name)
		case <-r.done: // its work was short, or it failed
			stopped = r.err != nil
		case <-failed:
			stopped = true
		case <-ctx.Done():
			stopped = true
		}
		if stopped {
			break
		}
	}
	if !stopped {
		if g.Ready != nil {
			g.Ready()
		}
		await(ctx, started, failed)
	}
	return g.stop(ctx, log, started)
}

// start gives the service a context of its own, which outlives ctx: services end
// in reverse order, not all at once.
func start(ctx context.Context, s Service, failed chan<- struct{}) *running {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{name: s.Name, cancel: cancel, ready: make(chan struct{}), done: make(chan struct{})}
	isReady := false
	go func() {
		err := s.Run(own, func() {
			if !isReady {
				isReady = true
				close(r.ready)
			}
		})
		if err != nil && !(own.Err() != nil && errors.Is(err, context.Canceled)) {
			r.err = fmt.Errorf("%s: %w", r.name, err)
			failed <- struct{}{}
		}
		close(r.done)
	}()
	return r
}

// await returns when there is a reason to stop.
func await(ctx context.Context, started []*running, failed <-chan struct{}) {
	for _, r := range started {
		select {
		case <-r.done:
		case <-failed:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (g *Group) stop(ctx context.Context, log *slog.Logger, started []*running) error {
	var deadline <-chan time.Time
	if g.StopTimeout > 0 {
		timer := time.NewTimer(g.StopTimeout)
		defer timer.Stop()
		deadline = timer.C
	}
	var errs []error
	for i := len(started) - 1; i >= 0; i-- {
		r := started[i]
		r.cancel()
		select {
		case <-r.done:
			if r.err != nil {
				errs = append(errs, r.err)
			}
			log.DebugContext(ctx, "service stopped", "service", r.name)
			continue
		case <-deadline:
		}
		// All that is left is told to end, but nobody waits for it any more.
		for ; i >= 0; i-- {
			started[i].cancel()
			errs = append(errs, started[i].afterDeadline(g.StopTimeout))
		}
	}
	return errors.Join(errs...)
}

func (r *running) afterDeadline(timeout time.Duration) error {
	select {
	case <-r.done:
		return r.err
	default:
		return fmt.Errorf("%s: %w (%v)", r.name, ErrStopTimeout, timeout)
	}
}
