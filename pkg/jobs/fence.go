package jobs

import (
	"context"
	"errors"
	"sync"

	"github.com/openblotter/blotter/pkg/dms"
)

// errFenced ends the work on a grant whose token is dead.
var errFenced = errors.New("the grant is fenced")

// tokenKey names a grant.
type tokenKey struct {
	table dms.TableID
	token uint64
}

// grants knows the grants that are worked on in this process and the newest
// fenced token of each table: tokens only grow, so that all up to it are dead.
type grants struct {
	mu      sync.Mutex
	running map[tokenKey]*running
	fenced  map[dms.TableID]uint64
}

func newGrants() *grants {
	return &grants{running: map[tokenKey]*running{}, fenced: map[dms.TableID]uint64{}}
}

// running is the work on one grant, by one or more deliveries of it.
type running struct {
	cancels map[int]context.CancelCauseFunc
	next    int
	idle    chan struct{} // closed when nothing works on it any more
}

// begin has the work on a grant end when it is fenced; call end when it is over.
// It gives false if the token is dead already.
func (g *grants) begin(ctx context.Context, key tokenKey) (_ context.Context, end func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fenced[key.table] >= key.token {
		return ctx, func() {}, false
	}
	ctx, cancel := context.WithCancelCause(ctx)
	r := g.running[key]
	if r == nil {
		r = &running{cancels: map[int]context.CancelCauseFunc{}, idle: make(chan struct{})}
		g.running[key] = r
	}
	n := r.next
	r.next++
	r.cancels[n] = cancel
	return ctx, func() {
		cancel(nil)
		g.mu.Lock()
		defer g.mu.Unlock()
		if delete(r.cancels, n); len(r.cancels) == 0 {
			delete(g.running, key)
			close(r.idle)
		}
	}, true
}

// fence ends the work on a grant and waits until nothing of it runs.
func (g *grants) fence(ctx context.Context, key tokenKey) error {
	g.mu.Lock()
	g.fenced[key.table] = max(g.fenced[key.table], key.token)
	r := g.running[key]
	if r == nil {
		g.mu.Unlock()
		return nil
	}
	for _, cancel := range r.cancels {
		cancel(errFenced)
	}
	g.mu.Unlock()
	select {
	case <-r.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
