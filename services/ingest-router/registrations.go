package ingestrouter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/registry"
)

const (
	// lookAgainAfter is how long after an object was held the registrations are read anew, and
	// how old what is known of them may be where one is about to be held.
	lookAgainAfter = time.Second
	// readShare is how many times as long as the registrations took to read they may be known
	// then: where there are many, objects that are held come faster than they can be read.
	readShare = 10
)

// known is what a process knows of the registrations.
type known struct {
	matcher *registry.Matcher
	digest  string // names all of them, by table and version
	asOf    time.Time
	took    time.Duration
}

// registrations follows them in one process of several: each hears of those tables alone
// whose events come to it. So they are read anew before an object is held for want of one,
// and a moment after it once more: a table may be registered in between, and whoever hears
// of that look for held objects before this one is among them.
type registrations struct {
	now   atomic.Pointer[known]
	learn sync.Mutex // the newest are not replaced by older ones

	mu     sync.Mutex
	doubts map[string]bool // by digest: objects were held by what was known then
	held   chan struct{}   // something was put into doubts; holds one
}

func newRegistrations() *registrations {
	r := &registrations{doubts: map[string]bool{}, held: make(chan struct{}, 1)}
	r.now.Store(&known{matcher: registry.NewMatcher(nil)})
	return r
}

// registered gives the registrations as they are known now.
func (s *Service) registered() *registry.Matcher { return s.regs.now.Load().matcher }

// relearn reads the registrations anew.
func (s *Service) relearn(ctx context.Context) error { return s.relearnIfOlder(ctx, 0) }

// relearnIfOlder reads the registrations anew unless that was done since a time ago, or begun
// by another one since it was asked.
func (s *Service) relearnIfOlder(ctx context.Context, age time.Duration) error {
	asked := time.Now()
	s.regs.learn.Lock()
	defer s.regs.learn.Unlock()
	if was := s.regs.now.Load(); was.asOf.After(asked) || age > 0 && !was.asOf.IsZero() && time.Since(was.asOf) < max(age, readShare*was.took) {
		return nil
	}
	began := time.Now()
	specs, err := s.deps.Specs.Newest(ctx)
	if err != nil {
		return fmt.Errorf("read the registrations: %w", err)
	}
	names := make([]string, len(specs))
	for i, spec := range specs {
		names[i] = fmt.Sprintf("%s %d", spec.ID, spec.Version)
	}
	slices.Sort(names)
	s.regs.now.Store(&known{matcher: registry.NewMatcher(specs), digest: strings.Join(names, "\n"), asOf: began, took: time.Since(began)})
	return nil
}

// decide is decideNew by what is known of registrations, which is not old where an item is
// to be held; by then names what it was decided by.
func (s *Service) decide(ctx context.Context, it item, source Source) (v verdict, by *known, err error) {
	by = s.regs.now.Load()
	if v = decideNew(by.matcher, it, source); v.state != control.ObjectHeld {
		return v, by, nil
	}
	if err := s.relearnIfOlder(ctx, s.fresh); err != nil {
		return v, by, err
	}
	by = s.regs.now.Load()
	return decideNew(by.matcher, it, source), by, nil
}

// doubt has the registrations looked at again since an object is held by what is known.
func (s *Service) doubt(by *known) {
	s.regs.mu.Lock()
	defer s.regs.mu.Unlock()
	s.regs.doubts[by.digest] = true
	select {
	case s.regs.held <- struct{}{}:
	default: // it is to be looked at already
	}
}

// doubtful takes what objects were held by, and reports whether any of it is not what is
// known now.
func (s *Service) doubtful() bool {
	s.regs.mu.Lock()
	defer s.regs.mu.Unlock()
	digest := s.regs.now.Load().digest
	delete(s.regs.doubts, digest)
	others := len(s.regs.doubts) > 0
	clear(s.regs.doubts)
	return others
}

// lookAgain takes in, until ctx ends, what this process held although its table was just
// being registered. What fails is tried again a moment later.
func (s *Service) lookAgain(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.regs.held:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.again):
		}
		err := s.relearn(ctx)
		if err == nil && s.doubtful() {
			err = s.resume(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case eventlog.IsPermanent(err):
			return err
		case err != nil:
			s.deps.Logger.WarnContext(ctx, "look again for the tables of held objects", "error", err)
			s.doubt(&known{})
		}
	}
}
