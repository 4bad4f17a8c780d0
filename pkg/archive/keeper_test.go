package archive

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// keeping is a keeper that runs, with a clock of its own.
type keeping struct {
	t     *testing.T
	b     *memBucket
	now   atomic.Int64 // nanoseconds since start
	tries atomic.Int64 // that failed
	stop  func()
}

// startKeepers has some keepers look every millisecond.
func startKeepers(t *testing.T, n int, b *memBucket, l *memLog, secret string) *keeping {
	t.Helper()
	k := &keeping{t: t, b: b}
	b.wrote = make(chan string, 100)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	k.stop = func() { cancel(); all.Wait() }
	for range n {
		keeper := &Keeper{
			Writer: newTestWriter(t, smallSpans(), b, l, secret), Interval: time.Millisecond,
			Now: func() time.Time { return start.Add(time.Duration(k.now.Load())) }, Logger: slog.New(counting{slog.DiscardHandler, &k.tries}),
		}
		all.Go(func() {
			if err := keeper.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("a keeper ends with %v", err)
			}
		})
	}
	t.Cleanup(k.stop)
	return k
}

// counting counts the errors that are told.
type counting struct {
	slog.Handler
	errors *atomic.Int64
}

func (c counting) Enabled(context.Context, slog.Level) bool { return true }

func (c counting) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		c.errors.Add(1)
	}
	return nil
}

// until waits for the checkpoint of a span.
func (k *keeping) until(span uint64) {
	k.t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case key := <-k.b.wrote:
			if key == keyOfCheckpoint(span) {
				return
			}
		case <-deadline:
			k.t.Fatalf("span %d is not archived", span)
		}
	}
}

func (l *memLog) addMany(t *testing.T, n int) {
	t.Helper()
	for range n {
		l.add(t)
	}
}

// TestKeeper: while a process runs the archive grows by itself, when a span is full and
// when it is old; a bucket that cannot be reached is told, and tried again.
func TestKeeper(t *testing.T) {
	secret, keys := testKey(t)
	b, l := newMem(), newLog(t, 25)
	k := startKeepers(t, 1, b, l, secret)
	k.until(1)
	if r, err := verify(t, b.copyOf(), keys); err != nil || r.Size != 20 {
		t.Errorf("of 25 young events: %+v, %v", r, err)
	}
	k.now.Store(int64(2 * time.Hour))
	k.until(2)
	failed := make(chan struct{})
	var once sync.Once
	b.failWith(func(int) error {
		once.Do(func() { close(failed) })
		return errors.New("the bucket is away")
	})
	l.addMany(t, 10)
	<-failed
	if r, err := verify(t, b.copyOf(), keys); err != nil || r.Size != 25 {
		t.Errorf("while nothing can be written: %+v, %v", r, err)
	}
	b.failWith(nil)
	k.until(3)
	k.stop()
	if r, err := verify(t, b, keys); err != nil || r.Size != 35 || k.tries.Load() == 0 {
		t.Errorf("at the end, after %d failures: %+v, %v", k.tries.Load(), r, err)
	}
}

// TestKeepersOfReplicas: of those that look at the same time one writes, all go on, and
// nothing fails.
func TestKeepersOfReplicas(t *testing.T) {
	secret, keys := testKey(t)
	b, l := newMem(), newLog(t, 0)
	k := startKeepers(t, 3, b, l, secret)
	for n := range uint64(6) {
		l.addMany(t, 10)
		k.until(n)
	}
	k.stop()
	if r, err := verify(t, b, keys); err != nil || r.Size != 60 || r.Spans != 6 || r.Unsigned != "" {
		t.Errorf("%+v, %v", r, err)
	}
	if n := k.tries.Load(); n > 0 {
		t.Errorf("%d failures are told", n)
	}
	if n := len(b.data); n != 6*2+1 {
		t.Errorf("there are %d objects", n)
	}
}
