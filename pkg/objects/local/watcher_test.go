//go:build unix

package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/objects"
)

// quick is the rest that makes a file stable in these tests.
const quick = 30 * time.Millisecond

func watch(t *testing.T, b *Bucket, cfg WatchConfig) *Watcher {
	t.Helper()
	if cfg.StableFor == 0 {
		cfg.StableFor = quick
	}
	w, err := b.Watch(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// fresh gives the keys that a scan hands over for the first time.
func fresh(t *testing.T, w *Watcher) []string {
	t.Helper()
	var keys []string
	for info, err := range w.Fresh(t.Context(), "", nil) {
		if err != nil {
			t.Fatal(err)
		}
		if len(info.ETag) != 64 {
			t.Errorf("%s comes with the ETag %q", info.Key, info.ETag)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// await scans at each wake-up until all wanted keys have come.
func await(t *testing.T, w *Watcher, want ...string) {
	t.Helper()
	missing := map[string]bool{}
	for _, key := range want {
		missing[key] = true
	}
	deadline := time.After(20 * time.Second)
	for {
		for _, key := range fresh(t, w) {
			delete(missing, key)
		}
		if len(missing) == 0 {
			return
		}
		select {
		case <-w.Changes():
		case <-deadline:
			t.Fatalf("never came: %v", missing)
		}
	}
}

func TestWatch(t *testing.T) {
	b := newBucket(t)
	writeFile(t, b, "rms/old.csv", "x")
	w := watch(t, b, WatchConfig{Rescan: time.Hour})
	await(t, w, "rms/old.csv")
	writeFile(t, b, "rms/new.csv", "x")
	await(t, w, "rms/new.csv")
	writeFile(t, b, "rms/a/new/folder/x.csv", "x")
	await(t, w, "rms/a/new/folder/x.csv")
	writeFile(t, b, "rms/a/new/folder/y.csv", "x")
	await(t, w, "rms/a/new/folder/y.csv")
	writeFile(t, b, "rms/old.csv", "written again")
	await(t, w, "rms/old.csv")
	// From beside the folder, by a rename, as careful programs do.
	outside := filepath.Join(t.TempDir(), "moved.csv")
	if err := os.WriteFile(outside, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(outside, old, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(outside, filepath.Join(b.dir, "rms/moved.csv")); err != nil {
		t.Skip(err)
	}
	await(t, w, "rms/moved.csv")
}

func TestWatchByPolling(t *testing.T) {
	b := newBucket(t)
	var log lockedBuffer
	w := watch(t, b, WatchConfig{Rescan: time.Hour, Poll: 10 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(&log, nil))})
	w.events.Errors <- errors.New("the system has no more watches")
	<-w.Changes()
	writeFile(t, b, "a/b", "x")
	await(t, w, "a/b")
	if !strings.Contains(log.String(), "at intervals") {
		t.Errorf("no warning: %s", log.String())
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func TestUnstableFilesWait(t *testing.T) {
	b := newBucket(t)
	w := watch(t, b, WatchConfig{StableFor: time.Minute})
	writeFile(t, b, "a", "x")
	if got := fresh(t, w); len(got) > 0 {
		t.Errorf("a file that was written a moment ago is handed over: %q", got)
	}
	if r := w.Report(); r.Unstable != 1 || r.Next <= 0 || r.Next > time.Minute || r.Objects != 0 {
		t.Errorf("reported %+v", r)
	}
	later(b, time.Minute)
	if got := fresh(t, w); !slices.Equal(got, []string{"a"}) {
		t.Errorf("after a minute of rest: %q", got)
	}
	if r := w.Report(); r.Unstable != 0 || r.Objects != 1 || r.Hashed != 1 || r.HashedBytes != 1 {
		t.Errorf("reported %+v", r)
	}
}

// TestFreshHandsOverWhatIsWanted: the rest stays, unread, for a later scan, and of what
// is still being written it is told.
func TestFreshHandsOverWhatIsWanted(t *testing.T) {
	b := newBucket(t)
	for _, name := range []string{"a", "b", "c"} {
		writeFile(t, b, name, "x")
	}
	var whole, unwhole []string
	want := func(wanted string) objects.Want {
		return func(key string, isWhole bool) bool {
			if isWhole {
				whole = append(whole, key)
			} else {
				unwhole = append(unwhole, key)
			}
			return key == wanted
		}
	}
	w := watch(t, b, WatchConfig{StableFor: time.Minute})
	for info, err := range w.Fresh(t.Context(), "", want("b")) {
		t.Errorf("not whole, and handed over: %+v, %v", info, err)
	}
	later(b, time.Hour)
	var handed []string
	for info, err := range w.Fresh(t.Context(), "", want("b")) {
		if err != nil {
			t.Fatal(err)
		}
		handed = append(handed, info.Key)
	}
	all := []string{"a", "b", "c"}
	if !slices.Equal(handed, all[1:2]) || !slices.Equal(whole, all) || !slices.Equal(unwhole, all) {
		t.Errorf("handed over %q; told of %q as whole, of %q as not", handed, whole, unwhole)
	}
	if r := w.Report(); r.Hashed != 1 {
		t.Errorf("%d files were read", r.Hashed)
	}
	if got := fresh(t, w); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("then: %q", got)
	}
}

func TestScanIsCheapAndFreshIsOnce(t *testing.T) {
	b := newBucket(t)
	for n := range 20 {
		writeFile(t, b, fmt.Sprintf("t%d/x.csv", n), "x")
	}
	later(b, time.Minute)
	w := watch(t, b, WatchConfig{})
	scan := func() (n int) {
		for _, err := range w.Scan(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	for round, hashed := range []int{20, 0, 0} {
		if n, r := scan(), w.Report(); n != 20 || r.Hashed != hashed || r.Objects != 20 {
			t.Errorf("round %d: %d objects, %+v", round, n, r)
		}
	}
	// A loop that stops has not handled the object it stopped at.
	for info, err := range w.Fresh(t.Context(), "", nil) {
		if err != nil {
			t.Fatal(err)
		}
		if info.Key == "t11/x.csv" {
			break
		}
	}
	got := fresh(t, w)
	if len(got) != 17 || got[0] != "t11/x.csv" {
		t.Errorf("after a loop that stopped: %q", got)
	}
	if got := fresh(t, w); len(got) != 0 {
		t.Errorf("handed over twice: %q", got)
	}
	// A new mode is no news, new content is.
	if err := os.Chmod(filepath.Join(b.dir, "t1/x.csv"), 0o600); err != nil {
		t.Fatal(err)
	}
	writeFile(t, b, "t2/x.csv", "y")
	if got := fresh(t, w); !slices.Equal(got, []string{"t2/x.csv"}) {
		t.Errorf("after one was changed: %q", got)
	}
	if n := scan(); n != 20 {
		t.Errorf("Scan yields %d objects after Fresh", n)
	}
}

func TestScanPassesOverBadFiles(t *testing.T) {
	b := newBucket(t)
	writeFile(t, b, "good", "x")
	symlink(t, b, "/etc/passwd", "link")
	writeFile(t, b, ".blotter-key-plain", "x")
	want := 2
	if os.Geteuid() != 0 { // root may read everything
		writeFile(t, b, "locked/x", "x")
		writeFile(t, b, "unreadable", "x")
		for _, name := range []string{"locked", "unreadable"} {
			path := filepath.Join(b.dir, name)
			if err := os.Chmod(path, 0); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(path, 0o755) })
		}
		want = 4
	}
	later(b, time.Minute)
	var log lockedBuffer
	w := watch(t, b, WatchConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for range 2 {
		var got []string
		for info, err := range w.Scan(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, info.Key)
		}
		if !slices.Equal(got, []string{"good"}) {
			t.Errorf("scanned %q", got)
		}
		if r := w.Report(); r.Skipped != want || len(r.Skips) != want {
			t.Errorf("reported %+v", r)
		}
	}
	if n := strings.Count(log.String(), "passed over"); n != want {
		t.Errorf("%d warnings for %d files in two scans:\n%s", n, want, log.String())
	}
}

func TestScanCanceled(t *testing.T) {
	b := newBucket(t)
	writeFile(t, b, "a", "x")
	later(b, time.Minute)
	w := watch(t, b, WatchConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for _, err := range w.Scan(ctx, "") {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("Scan: %v", last)
	}
}

func TestWatchConfig(t *testing.T) {
	b := newBucket(t)
	_, err := b.Watch(t.Context(), WatchConfig{StableFor: -1, Poll: -1})
	if err == nil || !strings.Contains(err.Error(), "StableFor") || !strings.Contains(err.Error(), "Poll") {
		t.Errorf("got %v", err)
	}
}

// TestSlowWriter: a file that is written for long comes once, whole.
func TestSlowWriter(t *testing.T) {
	b := newBucket(t)
	w := watch(t, b, WatchConfig{StableFor: time.Hour})
	f, err := os.Create(filepath.Join(b.dir, "slow"))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		if _, err := f.WriteString("line\n"); err != nil {
			t.Fatal(err)
		}
		later(b, time.Duration(n)*time.Minute)
		if got := fresh(t, w); len(got) > 0 {
			t.Fatalf("handed over while it is written: %q", got)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	later(b, 61*time.Minute)
	for info, err := range w.Fresh(t.Context(), "", nil) {
		if err != nil || info.Size != 100 {
			t.Errorf("handed over %+v, %v", info, err)
		}
	}
	if got := w.Report().Objects; got != 1 {
		t.Errorf("%d objects", got)
	}
}
