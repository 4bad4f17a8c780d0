package eventlog

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// chain is what this process knows of the events of one service and table.
//
// What it knows is exact or absent: if primed, ids holds every message of the
// chain whose sequence lies in (from, to], by the hash of its id, and there was
// none beyond `to` when it was last looked at, unless stale. Another replica may
// publish meanwhile; then a publish that expects `to` is refused, the chain
// becomes stale, and the part beyond `to` is read before the next attempt. So a
// message that is not known is never taken for absent.
type chain struct {
	// turn is held by whoever looks or publishes: one at a time per chain.
	turn    chan struct{}
	subject string

	primed   bool
	stale    bool
	from, to uint64
	ids      map[uint64]uint64 // hash of the id → sequence
	order    []uint64          // hashes in the order of their sequences, for pruning

	// What Flush knows: the version and index of the message at `to`; valid if
	// placed.
	placed  bool
	version uint64
	index   uint32
}

// acquire waits for the caller's turn.
func (c *chain) acquire(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *chain) release() { <-c.turn }

// chains holds the chains of a process and bounds the ids that all of them keep.
type chains struct {
	hash  func(id string) uint64
	limit int64
	known atomic.Int64

	mu sync.Mutex
	by map[string]*chain
}

func newChains(limit int) *chains {
	seed := maphash.MakeSeed()
	return &chains{
		hash:  func(id string) uint64 { return maphash.String(seed, id) },
		limit: int64(limit),
		by:    make(map[string]*chain),
	}
}

func (cs *chains) get(subject string) *chain {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.by[subject]
	if c == nil {
		c = &chain{turn: make(chan struct{}, 1), subject: subject}
		cs.by[subject] = c
	}
	return c
}

// add notes the id of the newest message of a chain.
func (cs *chains) add(c *chain, id string, seq uint64) {
	h := cs.hash(id)
	if c.ids == nil {
		c.ids = make(map[uint64]uint64)
	}
	if _, ok := c.ids[h]; !ok {
		cs.known.Add(1)
	}
	c.ids[h] = seq
	c.order = append(c.order, h)
}

// forget drops all that is known of a chain.
func (cs *chains) forget(c *chain) {
	cs.known.Add(-int64(len(c.ids)))
	c.primed, c.stale, c.placed = false, false, false
	c.from, c.to, c.ids, c.order = 0, 0, nil, nil
}

// prune drops ids at or before after, which a consumer that goes forward no
// longer asks for, once they are most of what is kept. Should one be asked for
// nevertheless, the look-behind reads the log again.
func (cs *chains) prune(c *chain, after uint64) {
	if len(c.order) < 1024 || c.ids[c.order[len(c.order)/2]] > after {
		return
	}
	before := len(c.ids)
	n := 0
	for n < len(c.order) && c.ids[c.order[n]] <= after {
		c.from = max(c.from, c.ids[c.order[n]])
		delete(c.ids, c.order[n])
		n++
	}
	cs.known.Add(int64(len(c.ids) - before))
	c.order = append([]uint64(nil), c.order[n:]...)
}

// bound forgets other chains, taken at random, while too many ids are kept. At
// random, since a backlog visits its tables in turns: to forget the oldest would
// be to forget always the next. The caller holds keep's turn.
func (cs *chains) bound(keep *chain) {
	if cs.known.Load() <= cs.limit {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.by {
		if cs.known.Load() <= cs.limit {
			return
		}
		if c == keep {
			continue
		}
		select {
		case c.turn <- struct{}{}:
			cs.forget(c)
			c.release()
		default: // in use: it will be needed at once
		}
	}
	if cs.known.Load() > cs.limit {
		cs.forget(keep)
	}
}
