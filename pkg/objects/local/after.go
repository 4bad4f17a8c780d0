package local

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/openblotter/blotter/pkg/objects"
)

var _ objects.Scanner = (*Watcher)(nil)

// ScanAfter implements objects.Scanner. Like Scan it hands over what is whole, with its
// ETag, and reads only what is asked for and was not seen in this state. Each call reads
// the names in the folders on the way to where it is. Report does not tell of it.
func (w *Watcher) ScanAfter(ctx context.Context, prefix, after string, want objects.Want) iter.Seq2[objects.Sighting, error] {
	if want == nil {
		want = func(string, bool) bool { return true }
	}
	return func(yield func(objects.Sighting, error) bool) {
		l := looker{scan: scan{watcher: w, bucket: w.bucket, ctx: ctx, want: want}, see: func(s objects.Sighting) bool { return yield(s, nil) }}
		_, err := w.bucket.walk(ctx, span{prefix, after}, visitor{object: l.object, skip: l.skip})
		if errors.Is(err, errStopped) {
			return
		}
		if err == nil {
			err = l.scan.err
		}
		if err != nil {
			yield(objects.Sighting{}, fmt.Errorf("scan objects %q of bucket %s behind %q: %w", prefix, w.bucket.name, after, err))
		}
	}
}

var (
	// errStopped ends a walk in which nobody is interested any more.
	errStopped = errors.New("stopped")
	// errUnwhole is why a file is passed over that others write to.
	errUnwhole = errors.New("it is still being written")
)

// looker is one pass that tells of all that it comes to.
type looker struct {
	scan scan
	see  func(objects.Sighting) bool
}

func (l *looker) object(key, name string, st stamp) bool {
	s := &l.scan
	if s.watcher.cfg.StableFor-st.quiet(s.bucket.now()) > 0 {
		s.want(key, false)
		return l.see(objects.Sighting{Info: objects.Info{Key: key}, Seen: objects.SeenUnwhole, Reason: errUnwhole})
	}
	if !s.want(key, true) {
		return l.see(objects.Sighting{Info: objects.Info{Key: key}, Seen: objects.SeenOther})
	}
	found, ok := s.bucket.etags.get(name, s.bucket.identity(st))
	if !ok {
		s.report = Report{}
		var goOn bool
		if found, st, ok, goOn = s.read(key, name); !ok {
			switch {
			case s.report.Unstable > 0:
				s.want(key, false)
				return l.see(objects.Sighting{Info: objects.Info{Key: key}, Seen: objects.SeenUnwhole, Reason: errUnwhole})
			case s.report.Skipped > 0:
				return l.see(objects.Sighting{Info: objects.Info{Key: key}, Seen: objects.SeenUnreadable, Reason: s.report.Skips[0].Reason})
			}
			return goOn // it is gone
		}
	}
	return l.see(objects.Sighting{Info: infoOf(key, st, found.String())})
}

// skip tells of what may hold objects, and not of what is none. It has no place in the
// order: a folder is read before what lies in it is put in order.
func (l *looker) skip(name string, reason error) error {
	if err := l.scan.skip(name, reason); err != nil || errors.Is(reason, errNoObject) {
		return err
	}
	if !l.see(objects.Sighting{Seen: objects.SeenUnreadable, Reason: fmt.Errorf("%s: %w", name, reason)}) {
		return errStopped
	}
	return nil
}
