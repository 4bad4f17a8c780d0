package eventlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// working are the partitions that a process reads, by the names of their consumers.
type working struct {
	mu   sync.Mutex
	each map[string]*partition
}

func (w *working) add(p *partition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.each == nil {
		w.each = map[string]*partition{}
	}
	w.each[p.name] = p
}

func (w *working) remove(p *partition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.each[p.name] == p {
		delete(w.each, p.name)
	}
}

// count counts the partitions of each service that are not delivered events now, and all
// of them.
func (w *working) count() (silent, all map[string]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	silent, all = map[string]int{}, map[string]int{}
	for _, p := range w.each {
		all[p.service]++
		if !p.delivering.Load() {
			silent[p.service]++
		}
	}
	return silent, all
}

// Working reports whether this process does its part with the log: it is connected, the
// server answers for the stream within the configured time of a call, each of these
// services consumes here, and every consumer of the process is delivered what comes. The
// error says all that is not so. One that begins, or catches up with what it missed, is not
// delivered anything yet; that passes, and whoever asks should not act upon one answer.
func (l *Log) Working(ctx context.Context, services ...string) error {
	if !l.nc.IsConnected() {
		return fmt.Errorf("not connected to the NATS server (%s)", l.nc.Status())
	}
	var faults []error
	if _, err := l.Last(ctx); err != nil {
		faults = append(faults, err)
	}
	silent, all := l.working.count()
	for _, s := range services {
		if all[s] == 0 {
			faults = append(faults, fmt.Errorf("%s does not consume events", s))
		}
	}
	for _, s := range slices.Sorted(maps.Keys(silent)) {
		n := silent[s]
		faults = append(faults, fmt.Errorf("%s is not delivered the events of %d of its %d partitions", s, n, all[s]))
	}
	return errors.Join(faults...)
}
