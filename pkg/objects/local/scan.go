package local

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/openblotter/blotter/pkg/objects"
)

const (
	// maxSkips bounds the skipped files that a report names.
	maxSkips = 100
	// maxWarned bounds what is remembered so as to warn once.
	maxWarned = 10_000
)

// Report tells what a scan did besides what it yielded.
type Report struct {
	Objects     int   // whole objects found, those that Fresh has handed over before included
	Hashed      int   // objects that had to be read
	HashedBytes int64 // and how much
	// Unstable counts the files that were passed over because they have changed
	// a moment ago; in Next the first of them may be whole. A wake-up will come.
	Unstable int
	Next     time.Duration
	// Skipped counts the files that are no objects or cannot be read; Skips names
	// the first of them.
	Skipped int
	Skips   []Skip
}

// Skip names a file that a scan could not take.
type Skip struct {
	Path   string // below the folder
	Reason error
}

// Scan yields the objects whose key begins with prefix, in key order, with
// their ETags. It reads only files that it has not seen in this state. It
// passes over files that have changed within StableFor, or change while they
// are read, and over files that cannot be read: Report tells of both. It stops
// at the first error that concerns the whole folder, which it yields.
func (w *Watcher) Scan(ctx context.Context, prefix string) iter.Seq2[objects.Info, error] {
	return w.scan(ctx, prefix, false, nil)
}

// Fresh is Scan without the objects that an earlier Fresh of this bucket has
// handed over in the same state: those after which the loop went on. An object
// that is overwritten is handed over again. It may hand over twice (after a
// restart, or if there are more objects than are remembered), never not at all.
// What want does not ask for stays for a later one, and is not read; nil asks for all.
func (w *Watcher) Fresh(ctx context.Context, prefix string, want objects.Want) iter.Seq2[objects.Info, error] {
	if want == nil {
		want = func(string, bool) bool { return true }
	}
	return w.scan(ctx, prefix, true, want)
}

// Report tells of the last scan that came to its end.
func (w *Watcher) Report() Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.report
}

func (w *Watcher) scan(ctx context.Context, prefix string, fresh bool, want objects.Want) iter.Seq2[objects.Info, error] {
	return func(yield func(objects.Info, error) bool) {
		s := scan{watcher: w, bucket: w.bucket, ctx: ctx, fresh: fresh, want: want, yield: yield}
		whole, err := w.bucket.walk(ctx, span{prefix: prefix}, visitor{object: s.object, skip: s.skip})
		if err == nil {
			err = s.err
		}
		if err != nil {
			yield(objects.Info{}, fmt.Errorf("scan objects %q of bucket %s: %w", prefix, w.bucket.name, err))
			return
		}
		if whole {
			w.finish(s.report)
		}
	}
}

func (w *Watcher) finish(r Report) {
	w.mu.Lock()
	w.report = r
	w.mu.Unlock()
	if r.Unstable == 0 {
		return
	}
	select {
	case w.again <- min(r.Next, w.cfg.StableFor): // a file's clock may be far ahead
	default: // one is on its way
	}
}

// scan is one pass.
type scan struct {
	watcher *Watcher
	bucket  *Bucket
	ctx     context.Context
	fresh   bool
	want    objects.Want // of a fresh one
	yield   func(objects.Info, error) bool
	report  Report
	err     error
}

func (s *scan) object(key, name string, st stamp) bool {
	if rest := s.watcher.cfg.StableFor - st.quiet(s.bucket.now()); rest > 0 {
		s.unstable(key, rest)
		return true
	}
	id := s.bucket.identity(st)
	if s.fresh && s.bucket.etags.told(name, id) {
		s.report.Objects++
		return true
	}
	if s.fresh && !s.want(key, true) {
		return true
	}
	found, ok := s.bucket.etags.get(name, id)
	if !ok {
		var goOn bool
		if found, st, ok, goOn = s.read(key, name); !ok {
			return goOn
		}
	}
	s.report.Objects++
	if id = s.bucket.identity(st); s.fresh && s.bucket.etags.told(name, id) {
		return true // read again, but no news
	}
	if !s.yield(infoOf(key, st, found.String()), nil) {
		return false
	}
	if s.fresh {
		s.bucket.etags.tell(name, id)
	}
	return true
}

// read hashes a file. ok: it is whole and its stamp is st; goOn: the scan may go on.
func (s *scan) read(key, name string) (found sum, st stamp, ok, goOn bool) {
	f, err := s.bucket.openFile(name)
	if err == nil {
		found, st, err = s.bucket.sum(s.ctx, name, f)
		err = errors.Join(err, f.Close())
	}
	switch {
	case err == nil:
	case s.ctx.Err() != nil:
		s.err = s.ctx.Err()
		return found, st, false, false
	case errors.Is(err, objects.ErrNotFound):
		return found, st, false, true // gone meanwhile
	case errors.Is(err, objects.ErrChanged):
		s.unstable(key, s.watcher.cfg.StableFor)
		return found, st, false, true
	default:
		_ = s.skip(name, err)
		return found, st, false, true
	}
	if rest := s.watcher.cfg.StableFor - st.quiet(s.bucket.now()); rest > 0 {
		s.unstable(key, rest)
		return found, st, false, true
	}
	s.report.Hashed++
	s.report.HashedBytes += st.size
	return found, st, true, true
}

// unstable notes a file that is not whole, and may be so after a rest.
func (s *scan) unstable(key string, rest time.Duration) {
	if s.fresh {
		s.want(key, false)
	}
	if s.report.Unstable == 0 || rest < s.report.Next {
		s.report.Next = rest
	}
	s.report.Unstable++
}

// skip notes a file that cannot be taken and warns once: one bad file must not
// keep the others from being found.
func (s *scan) skip(name string, reason error) error {
	s.report.Skipped++
	if len(s.report.Skips) < maxSkips {
		s.report.Skips = append(s.report.Skips, Skip{Path: name, Reason: reason})
	}
	w := s.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.warned[name]; !ok && len(w.warned) < maxWarned {
		w.warned[name] = struct{}{}
		w.cfg.Logger.WarnContext(s.ctx, "file passed over", "bucket", w.bucket.name, "path", name, "error", reason)
	}
	return nil
}
