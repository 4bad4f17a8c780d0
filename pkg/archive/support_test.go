package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/objects"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// memBucket is a bucket in memory whose writes can be made to fail.
type memBucket struct {
	mu   sync.Mutex
	data map[string][]byte
	// fail is asked at each step of a write with how many there were before; may be nil.
	fail  func(step int) error
	steps int
	// wrote is told the key of each object that is written, if it is not nil.
	wrote chan string
}

func newMem() *memBucket { return &memBucket{data: map[string][]byte{}} }

func (m *memBucket) copyOf() *memBucket {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memBucket{data: maps.Clone(m.data)}
}

// failWith sets fail while others write.
func (m *memBucket) failWith(fail func(int) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = fail
}

func (m *memBucket) step() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.steps++
	if m.fail != nil {
		return m.fail(m.steps - 1)
	}
	return nil
}

func (m *memBucket) Name() string { return "audit" }

func (m *memBucket) Stat(_ context.Context, key string) (objects.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.data[key]
	if !ok {
		return objects.Info{}, objects.ErrNotFound
	}
	return objects.Info{Key: key, Size: int64(len(b))}, nil
}

type memReader struct {
	*bytes.Reader
	info objects.Info
}

func (r memReader) Close() error       { return nil }
func (r memReader) Info() objects.Info { return r.info }

func (m *memBucket) Open(ctx context.Context, key string, _ objects.Version) (objects.Reader, error) {
	info, err := m.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return memReader{bytes.NewReader(m.data[key]), info}, nil
}

type memWriter struct {
	bytes.Buffer
	m   *memBucket
	key string
}

func (m *memBucket) Create(_ context.Context, key string) (objects.Writer, error) {
	return &memWriter{m: m, key: key}, nil
}

// Commit may fail before it has written, or after.
func (w *memWriter) Commit(context.Context) (objects.Info, error) {
	if err := w.m.step(); err != nil {
		return objects.Info{}, err
	}
	w.m.mu.Lock()
	_, there := w.m.data[w.key]
	if !there {
		w.m.data[w.key] = bytes.Clone(w.Bytes())
		if w.m.wrote != nil {
			w.m.wrote <- w.key
		}
	}
	w.m.mu.Unlock()
	if there {
		return objects.Info{}, objects.ErrExists
	}
	return objects.Info{Key: w.key}, w.m.step()
}

func (w *memWriter) Abort() error { return nil }

func (m *memBucket) List(_ context.Context, prefix string) iter.Seq2[objects.Info, error] {
	return func(yield func(objects.Info, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(m.copyOf().data)) {
			if strings.HasPrefix(key, prefix) && !yield(objects.Info{Key: key}, nil) {
				return
			}
		}
	}
}

func (m *memBucket) Copy(context.Context, objects.Bucket, string, objects.Version, string) (objects.Info, error) {
	return objects.Info{}, errors.ErrUnsupported
}

func (m *memBucket) Remove(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.data, key)
	return nil
}

var _ objects.Bucket = (*memBucket)(nil)

// memLog is a log in memory; a sequence that is not in it is a gap.
type memLog struct {
	mu     sync.Mutex // one test adds while others read
	events map[uint64]eventlog.Raw
	first  uint64
	last   uint64
}

var start = time.Date(2024, 3, 4, 6, 0, 0, 123456789, time.UTC)

// newLog holds n events of three files and two tables, a second apart.
func newLog(tb testing.TB, n int) *memLog {
	tb.Helper()
	l := &memLog{events: map[uint64]eventlog.Raw{}, first: 1}
	for range n {
		l.add(tb)
	}
	return l
}

func (l *memLog) add(tb testing.TB) {
	tb.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	l.events[l.last] = event(tb, l.last)
}

func (l *memLog) remove(seqs ...uint64) {
	for _, s := range seqs {
		delete(l.events, s)
	}
}

// event is what stands at a sequence.
func event(tb testing.TB, seq uint64) eventlog.Raw {
	tb.Helper()
	table := []string{"reports", "people"}[seq%2]
	file := fmt.Sprintf("%032x", seq%3+1)
	body, err := anypb.New(&blotterv1.FileHeld{Reason: "loading"})
	if err != nil {
		tb.Fatal(err)
	}
	data, err := eventlog.Encode(&blotterv1.Envelope{
		Id: fmt.Sprintf("lock-manager/rms.%s/FileHeld/%d", table, seq), Table: "rms." + table, Time: timestamppb.New(start),
		Correlation: file, Actor: "lock-manager", Event: body,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return eventlog.Raw{
		Seq: seq, Stored: start.Add(time.Duration(seq) * time.Second), Data: data,
		Subject: "blotter.0.rms." + table + ".lock-manager.FileHeld",
		Header:  map[string][]string{"Nats-Msg-Id": {fmt.Sprint(seq)}, "Blotter-Event": {"blotter.v1.FileHeld"}, "many": {"b", "a"}},
	}
}

func (l *memLog) Bounds(context.Context) (first, last uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first, l.last, nil
}

func (l *memLog) ReadRaw(ctx context.Context, from, until uint64) iter.Seq2[eventlog.Raw, error] {
	return func(yield func(eventlog.Raw, error) bool) {
		first, last, _ := l.Bounds(ctx)
		for seq := max(from, first); seq <= min(until, last); seq++ {
			if r, err := l.At(ctx, seq); err == nil && !yield(r, nil) {
				return
			}
		}
	}
}

func (l *memLog) At(_ context.Context, seq uint64) (eventlog.Raw, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r, ok := l.events[seq]; ok && seq >= l.first {
		return r, nil
	}
	return eventlog.Raw{}, eventlog.ErrNoEvent
}

// testKey is a pair of keys for one test.
func testKey(tb testing.TB) (secret string, keys Keys) {
	tb.Helper()
	secret, public, err := NewKey("test.example/log")
	if err != nil {
		tb.Fatal(err)
	}
	if got, err := PublicOf(secret + "\n"); err != nil || got != public {
		tb.Fatalf("the verifier key of the pair is %s, made of the signing key it is %s (%v)", public, got, err)
	}
	if keys, err = ParseKeys("# of a test\n" + public + "\n"); err != nil {
		tb.Fatal(err)
	}
	return secret, keys
}

// smallSpans has ten events in a span.
func smallSpans() Config {
	c := DefaultConfig()
	c.MaxEvents, c.SignGaps = 10, true
	return c
}

func newTestWriter(tb testing.TB, cfg Config, b objects.Bucket, l Source, secret string) *Writer {
	tb.Helper()
	w, err := NewWriter(cfg, b, l, secret, "")
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// write archives the whole log.
func write(tb testing.TB, b objects.Bucket, l Source, secret string) {
	tb.Helper()
	if err := newTestWriter(tb, smallSpans(), b, l, secret).Rest(tb.Context(), func(Checkpoint) {}); err != nil {
		tb.Fatal(err)
	}
}

// archiveOf gives an archive of n events in spans of ten, and what it is signed with.
func archiveOf(tb testing.TB, n int) (*memBucket, *memLog, string, Keys) {
	tb.Helper()
	secret, keys := testKey(tb)
	b, l := newMem(), newLog(tb, n)
	write(tb, b, l, secret)
	return b, l, secret, keys
}

func verify(tb testing.TB, b objects.Bucket, keys Keys) (*Report, error) {
	tb.Helper()
	return Verify{Bucket: b, Keys: keys}.Run(tb.Context())
}
