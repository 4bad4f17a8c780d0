package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// WatchConfig says how a folder is watched. Zero values are the defaults of
// DefaultWatchConfig.
type WatchConfig struct {
	// StableFor is how long a file must be left alone before it counts as whole.
	StableFor time.Duration
	// Rescan is the pause between wake-ups when nothing is noticed: the safety
	// net for what the operating system does not tell.
	Rescan time.Duration
	// Poll is that pause where the operating system tells nothing at all.
	Poll time.Duration
	// Logger gets warnings: files that cannot be read, a watch that fell back to
	// polling. The default discards them.
	Logger *slog.Logger
}

// DefaultWatchConfig holds a file for whole after two seconds of rest, looks
// every minute, and every five seconds where it has to poll.
func DefaultWatchConfig() WatchConfig {
	return WatchConfig{
		StableFor: 2 * time.Second,
		Rescan:    time.Minute,
		Poll:      5 * time.Second,
		Logger:    slog.New(slog.DiscardHandler),
	}
}

func (c WatchConfig) withDefaults() WatchConfig {
	d := DefaultWatchConfig()
	if c.StableFor == 0 {
		c.StableFor = d.StableFor
	}
	if c.Rescan == 0 {
		c.Rescan = d.Rescan
	}
	if c.Poll == 0 {
		c.Poll = d.Poll
	}
	if c.Logger == nil {
		c.Logger = d.Logger
	}
	return c
}

// Validate reports all faults together.
func (c WatchConfig) Validate() error {
	var errs []error
	for name, d := range map[string]time.Duration{"StableFor": c.StableFor, "Rescan": c.Rescan, "Poll": c.Poll} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("%s is negative: %s", name, d))
		}
	}
	return errors.Join(errs...)
}

// slack lets a wake-up come after the moment at which a file is stable.
const slack = 5 * time.Millisecond

// Watcher tells when it is worth to look into a folder again, and looks. Its
// user scans, handles what the scan gives, waits for Changes, and scans again.
// It keeps no queue: a change that is missed is found by the next scan.
type Watcher struct {
	bucket  *Bucket
	cfg     WatchConfig
	changes chan struct{}
	again   chan time.Duration // from a scan: come back then
	events  *fsnotify.Watcher  // nil: polling
	cancel  context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex
	report Report
	warned map[string]struct{} // skipped files that were told of already
}

// Watch begins to watch the bucket's folder until ctx ends or the watcher is
// closed. Where the operating system cannot watch it (too many folders, a
// network file system) the watcher polls and warns once.
func (b *Bucket) Watch(ctx context.Context, cfg WatchConfig) (*Watcher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("watch bucket %s: %w", b.name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &Watcher{
		bucket: b, cfg: cfg.withDefaults(), cancel: cancel,
		changes: make(chan struct{}, 1),
		again:   make(chan time.Duration, 1),
		done:    make(chan struct{}),
		warned:  make(map[string]struct{}),
	}
	events, err := fsnotify.NewWatcher()
	if err == nil {
		w.events = events
		err = w.addFolders(b.dir)
	}
	if err != nil {
		w.poll(ctx, err)
	}
	go w.run(ctx)
	return w, nil
}

// Changes gives a value when something has changed and had time to become
// stable, when a file that was not stable at the last scan may be so now, and
// at least at every interval. Values are not queued.
func (w *Watcher) Changes() <-chan struct{} { return w.changes }

// Close ends the watch.
func (w *Watcher) Close() error {
	w.cancel()
	<-w.done
	return nil
}

// poll gives up on events.
func (w *Watcher) poll(ctx context.Context, reason error) {
	w.cfg.Logger.WarnContext(ctx, "folder cannot be watched, looking into it at intervals instead",
		"bucket", w.bucket.name, "interval", w.cfg.Poll, "error", reason)
	w.closeEvents()
}

func (w *Watcher) closeEvents() {
	if w.events != nil {
		_ = w.events.Close()
		w.events = nil
	}
}

// addFolders watches a folder and those below it. Files that appear before
// their folder is watched are found by the scan that the folder's own event
// brings about.
func (w *Watcher) addFolders(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if d != nil && d.IsDir() && path != w.bucket.dir {
				return fs.SkipDir // gone or closed to us: the scan tells of it
			}
			return err
		}
		if !d.IsDir() {
			return nil
		}
		if path == filepath.Join(w.bucket.dir, tempFolder) {
			return fs.SkipDir
		}
		if err := w.events.Add(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// run turns events into wake-ups: at most one per StableFor, since nothing is
// worth looking at before.
func (w *Watcher) run(ctx context.Context) {
	defer close(w.done)
	defer w.closeEvents()
	polling := w.events == nil
	interval := time.NewTicker(w.interval())
	defer interval.Stop()
	wake := time.NewTimer(0)
	defer wake.Stop()
	<-wake.C
	armed := false
	arm := func(d time.Duration) {
		if !armed {
			wake.Reset(d + slack)
			armed = true
		}
	}
	for {
		var events chan fsnotify.Event
		var faults chan error
		if w.events != nil {
			events, faults = w.events.Events, w.events.Errors
		} else if !polling {
			polling = true
			interval.Reset(w.interval())
		}
		select {
		case <-ctx.Done():
			return
		case e := <-events:
			if w.notice(ctx, e) {
				arm(w.cfg.StableFor)
			}
		case err := <-faults:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				w.poll(ctx, err)
			}
			arm(w.cfg.StableFor)
		case d := <-w.again:
			arm(d)
		case <-wake.C:
			armed = false
			w.signal()
		case <-interval.C:
			w.signal()
		}
	}
}

func (w *Watcher) interval() time.Duration {
	if w.events == nil {
		return w.cfg.Poll
	}
	return w.cfg.Rescan
}

func (w *Watcher) signal() {
	select {
	case w.changes <- struct{}{}:
	default:
	}
}

// notice reports whether an event is worth a scan, and watches new folders.
func (w *Watcher) notice(ctx context.Context, e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod || e.Name == filepath.Join(w.bucket.dir, tempFolder) {
		return false
	}
	if e.Has(fsnotify.Create) {
		if info, err := os.Lstat(e.Name); err == nil && info.IsDir() {
			if err := w.addFolders(e.Name); err != nil {
				w.poll(ctx, err)
			}
		}
	}
	return true
}
