package s3

import (
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/openblotter/blotter/pkg/objects"
)

// toldKept is how many objects a Watcher remembers to have handed over, some 100
// bytes for each. Of more than these the oldest are handed over again, which costs
// whoever takes them a look.
const toldKept = 1 << 18

// Watcher looks into a bucket at intervals: S3 tells nothing to those who listen,
// only to queues. Its user scans, handles what the scan gives, waits for Changes, and
// scans again.
type Watcher struct {
	bucket  *Bucket
	below   string
	changes chan struct{}
	told    *lru.Cache[[16]byte, struct{}]
	cancel  context.CancelFunc
	done    chan struct{}
}

// Watch has the objects of the bucket whose keys begin with below looked for, until
// ctx ends or the watcher is closed. interval must be positive.
func (b *Bucket) Watch(ctx context.Context, below string, interval time.Duration) (*Watcher, error) {
	if interval <= 0 {
		return nil, fmt.Errorf("watch S3 bucket %s: an interval of %s", b.cfg.Bucket, interval)
	}
	told, err := lru.New[[16]byte, struct{}](toldKept)
	if err != nil {
		panic(err) // only a size below one is refused
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &Watcher{
		bucket: b, below: below, changes: make(chan struct{}, 1), told: told, cancel: cancel, done: make(chan struct{}),
	}
	go w.tick(ctx, interval)
	return w, nil
}

func (w *Watcher) tick(ctx context.Context, interval time.Duration) {
	defer close(w.done)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		select {
		case w.changes <- struct{}{}:
		default: // one is waiting
		}
	}
}

// Changes gives a value at every interval. Values are not queued.
func (w *Watcher) Changes() <-chan struct{} { return w.changes }

// Close ends the watch.
func (w *Watcher) Close() error {
	w.cancel()
	<-w.done
	return nil
}

// Scan yields the newest version of each object whose key begins with prefix, in key
// order: in S3 every object is whole. It stops at the first error, which it yields.
func (w *Watcher) Scan(ctx context.Context, prefix string) iter.Seq2[objects.Info, error] {
	return w.scan(ctx, prefix, nil)
}

// Fresh is Scan without the versions that an earlier Fresh has handed over: those
// after which the loop went on. It may hand over twice, never not at all. What want
// does not ask for stays for a later one; nil asks for all.
func (w *Watcher) Fresh(ctx context.Context, prefix string, want objects.Want) iter.Seq2[objects.Info, error] {
	if want == nil {
		want = func(string, bool) bool { return true }
	}
	return w.scan(ctx, prefix, want)
}

// Missed is nothing: a listing passes over no object.
func (*Watcher) Missed() error { return nil }

// scan yields all objects, or, where there is a want, those of it that are fresh.
func (w *Watcher) scan(ctx context.Context, prefix string, want objects.Want) iter.Seq2[objects.Info, error] {
	return func(yield func(objects.Info, error) bool) {
		for info, err := range w.bucket.List(ctx, w.below+prefix) {
			if err != nil {
				yield(info, err)
				return
			}
			name := nameOf(info)
			if want != nil && (w.told.Contains(name) || !want(info.Key, true)) {
				continue
			}
			if !yield(info, nil) {
				return
			}
			if want != nil {
				w.told.Add(name, struct{}{})
			}
		}
	}
}

// ScanAfter implements objects.Scanner. It asks S3 for pages of 1000 objects, or of
// versions of them, from the key on.
func (w *Watcher) ScanAfter(ctx context.Context, prefix, after string, want objects.Want) iter.Seq2[objects.Sighting, error] {
	if want == nil {
		want = func(string, bool) bool { return true }
	}
	return func(yield func(objects.Sighting, error) bool) {
		switch {
		case strings.HasPrefix(w.below, prefix):
			prefix = w.below
		case !strings.HasPrefix(prefix, w.below):
			return // the watcher sees none of these
		}
		for p, err := range w.bucket.pages(ctx, prefix, after) {
			if err != nil {
				yield(objects.Sighting{}, err)
				return
			}
			at := ""
			for _, info := range p.infos {
				s := objects.Sighting{Info: info}
				if !want(info.Key, true) {
					s = objects.Sighting{Info: objects.Info{Key: info.Key}, Seen: objects.SeenOther}
				}
				if at = info.Key; !yield(s, nil) {
					return
				}
			}
			if p.upTo > max(at, after) && !yield(objects.Sighting{Info: objects.Info{Key: p.upTo}, Seen: objects.SeenNothing}, nil) {
				return
			}
		}
	}
}

var _ objects.Scanner = (*Watcher)(nil)

// nameOf tells one version of one object from any other. A key that is written again
// with the same content is another version by its time where the bucket keeps none.
func nameOf(info objects.Info) (name [16]byte) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00%s\x00%d", info.Key, info.VersionID, info.ETag, info.LastModified.UnixNano())
	copy(name[:], h.Sum(nil))
	return name
}
