package glue

import "sync"

// wakes holds who waits for news of which run.
type wakes struct {
	mu      sync.Mutex
	waiting map[string]map[chan struct{}]struct{}
}

// wait gives a channel that is sent to when there is news of the run; call end
// when nobody listens any more.
func (w *wakes) wait(run string) (news <-chan struct{}, end func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ch := make(chan struct{}, 1)
	if w.waiting == nil {
		w.waiting = map[string]map[chan struct{}]struct{}{}
	}
	if w.waiting[run] == nil {
		w.waiting[run] = map[chan struct{}]struct{}{}
	}
	w.waiting[run][ch] = struct{}{}
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.waiting[run], ch); len(w.waiting[run]) == 0 {
			delete(w.waiting, run)
		}
	}
}

// wake tells all that wait; it never blocks.
func (w *wakes) wake(run string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.waiting[run] {
		select {
		case ch <- struct{}{}:
		default: // it has news already
		}
	}
}
