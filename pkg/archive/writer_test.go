package archive

import (
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

	"github.com/openblotter/blotter/pkg/eventlog"
)

func TestArchiveProvesItself(t *testing.T) {
	b, l, secret, keys := archiveOf(t, 34)
	l.remove(l.last) // what is archived need not be there
	r, err := verify(t, b, keys)
	if err != nil {
		t.Fatal(err)
	}
	if r.Spans != 4 || r.Size != 34 || r.Events != 34 || r.Gaps != 0 || r.Origin != "test.example/log" || r.Unsigned != "" {
		t.Errorf("the report is %+v", r)
	}
	if want := start.Add(34 * time.Second); !r.Newest.Equal(want) || !r.Oldest.Equal(start.Add(time.Second)) {
		t.Errorf("its events are of %v to %v", r.Oldest, r.Newest)
	}
	before := len(b.data)
	write(t, b, l, secret)
	if len(b.data) != before {
		t.Error("an archive that had all was written to")
	}
}

// TestGapsAreLeaves: what the log does not hold is told for each sequence, in it, and at
// its end.
func TestGapsAreLeaves(t *testing.T) {
	secret, keys := testKey(t)
	b, l := newMem(), newLog(t, 25)
	l.remove(2, 3, 10, 11, 12, 25)
	write(t, b, l, secret)
	r, err := verify(t, b, keys)
	if err != nil {
		t.Fatal(err)
	}
	if r.Size != 25 || r.Events != 19 || r.Gaps != 6 || r.FirstGap != 2 {
		t.Errorf("the report is %+v", r)
	}
}

// TestNoGapIsSignedUnasked: the archive ends before an event that the log lost, until that
// comes back or an operator has the gap signed.
func TestNoGapIsSignedUnasked(t *testing.T) {
	secret, keys := testKey(t)
	asked := smallSpans()
	unasked := asked
	unasked.SignGaps = false
	for name, c := range map[string]struct {
		cfg  Config
		log  func() *memLog
		gaps uint64
	}{
		"it comes back": {unasked, func() *memLog { return newLog(t, 25) }, 0},
		"it is signed": {asked, func() *memLog {
			l := newLog(t, 25)
			l.remove(14)
			return l
		}, 1},
	} {
		b, l := newMem(), newLog(t, 25)
		l.remove(14)
		for range 2 {
			err := newTestWriter(t, unasked, b, l, secret).Rest(t.Context(), func(Checkpoint) {})
			if r, wrong := verify(t, b, keys); !errors.Is(err, ErrLacks) || wrong != nil || r.Size != 13 || r.Gaps != 0 {
				t.Fatalf("%s: at first %v, and %+v (%v)", name, err, r, wrong)
			}
		}
		if err := newTestWriter(t, c.cfg, b, c.log(), secret).Rest(t.Context(), func(Checkpoint) {}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if r, err := verify(t, b, keys); err != nil || r.Size != 25 || r.Gaps != c.gaps {
			t.Errorf("%s: in the end %+v, %v", name, r, err)
		}
	}
}

// TestNoArchiveBeginsOfATrimmedLog: what was before is signed elsewhere, and would be
// signed as a gap here.
func TestNoArchiveBeginsOfATrimmedLog(t *testing.T) {
	secret, _ := testKey(t)
	b, l := newMem(), newLog(t, 5)
	l.remove(1, 2)
	l.first = 3
	w, err := NewWriter(DefaultConfig(), b, l, secret, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Next(t.Context()); !errors.Is(err, ErrNoPast) || len(b.data) > 0 {
		t.Errorf("it wrote %d objects (%v)", len(b.data), err)
	}
}

// forgetfulLog gives not all events when it is read.
type forgetfulLog struct {
	*memLog
	forgets uint64
}

func (l forgetfulLog) ReadRaw(ctx context.Context, from, until uint64) iter.Seq2[eventlog.Raw, error] {
	return func(yield func(eventlog.Raw, error) bool) {
		for r, err := range l.memLog.ReadRaw(ctx, from, until) {
			if r.Seq != l.forgets && !yield(r, err) {
				return
			}
		}
	}
}

// TestAGapIsAskedForOnceMore: an event that a read has passed over is no gap.
func TestAGapIsAskedForOnceMore(t *testing.T) {
	secret, keys := testKey(t)
	for _, seq := range []uint64{1, 5, 10} {
		b, l := newMem(), newLog(t, 12)
		if c, err := newTestWriter(t, smallSpans(), b, forgetfulLog{l, seq}, secret).Next(t.Context()); err == nil {
			t.Errorf("sequence %d is archived as a gap: %+v", seq, c)
		}
		write(t, b, l, secret)
		if r, err := verify(t, b, keys); err != nil || r.Gaps > 0 || r.Size != 12 {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

// TestCrashesLeaveTheSame: a writer that dies at any step of a write, before or after
// its effect, is followed by one that ends with the same archive.
func TestCrashesLeaveTheSame(t *testing.T) {
	secret, keys := testKey(t)
	l := newLog(t, 34)
	want := newMem()
	write(t, want, l, secret)
	for step := 0; ; step++ {
		b := newMem()
		b.fail = func(at int) error {
			if at == step {
				return errors.New("crash")
			}
			return nil
		}
		err := newTestWriter(t, smallSpans(), b, l, secret).Rest(t.Context(), func(Checkpoint) {})
		if err == nil {
			if step < 2*(2*4+1) {
				t.Fatalf("only %d steps could fail", step)
			}
			return
		}
		// What is there is an archive, if only a shorter one.
		if r, err := verify(t, b, keys); err != nil && !errors.Is(err, ErrEmpty) {
			t.Errorf("after a crash at step %d: %v (%+v)", step, err, r)
		}
		write(t, b, l, secret)
		if !maps.EqualFunc(b.data, want.data, slices.Equal) {
			t.Fatalf("after a crash at step %d the archive is another one", step)
		}
	}
}

// TestOneWriterGoesOnAfterAFailure: the same process tries again.
func TestOneWriterGoesOnAfterAFailure(t *testing.T) {
	secret, keys := testKey(t)
	b, l := newMem(), newLog(t, 34)
	b.fail = func(at int) error {
		if at%3 == 1 {
			return errors.New("unreachable")
		}
		return nil
	}
	w := newTestWriter(t, smallSpans(), b, l, secret)
	for range 40 {
		if err := w.Rest(t.Context(), func(Checkpoint) {}); err == nil {
			break
		}
	}
	b.fail = nil
	if r, err := verify(t, b, keys); err != nil || r.Size != 34 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestWritersAtOnce: several with the same key write one archive, whatever the log
// held when each of them looked.
func TestWritersAtOnce(t *testing.T) {
	secret, keys := testKey(t)
	b, l := newMem(), newLog(t, 95)
	var wg sync.WaitGroup
	for i := range 6 {
		cfg := smallSpans()
		cfg.MaxEvents = 5 + i
		w := newTestWriter(t, cfg, b, l, secret)
		wg.Go(func() {
			if err := w.Rest(t.Context(), func(Checkpoint) {}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if r, err := verify(t, b, keys); err != nil || r.Size != 95 || r.Unsigned != "" {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestAnotherKey: who has another key neither goes on with an archive nor forks it.
func TestAnotherKey(t *testing.T) {
	b, l, secret, keys := archiveOf(t, 20)
	other, otherKeys := testKey(t)
	for range 10 {
		l.add(t)
	}
	before := b.copyOf()
	w := newTestWriter(t, smallSpans(), b, l, other)
	if _, err := w.Next(t.Context()); !errors.Is(err, ErrOtherKey) {
		t.Errorf("another key: %v", err)
	}
	if !maps.EqualFunc(b.data, before.data, slices.Equal) {
		t.Error("it has written")
	}
	// Told of the older key it goes on.
	w, err := NewWriter(smallSpans(), b, l, other, keys.texts[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Rest(t.Context(), func(Checkpoint) {}); err != nil {
		t.Fatal(err)
	}
	both, err := ParseKeys(keys.texts[0] + "\n" + otherKeys.texts[0])
	if err != nil {
		t.Fatal(err)
	}
	if r, err := verify(t, b, both); err != nil || r.Size != 30 {
		t.Errorf("with both keys: %+v, %v", r, err)
	}
	for _, one := range []Keys{keys, otherKeys} {
		if _, err := verify(t, b, one); !isWrong(err) {
			t.Errorf("with one key: %v", err)
		}
	}
	// The old one cannot go on any more.
	if _, err := newTestWriter(t, smallSpans(), b, l, secret).Next(t.Context()); !errors.Is(err, ErrOtherKey) {
		t.Errorf("the key of before: %v", err)
	}
}

func isWrong(err error) bool {
	var w *Wrong
	return errors.As(err, &w)
}

// TestAnotherLog: an archive is not continued with a log that it is not of.
func TestAnotherLog(t *testing.T) {
	b, l, secret, _ := archiveOf(t, 20)
	shorter := newLog(t, 19)
	changed := newLog(t, 30)
	e := changed.events[20]
	e.Stored = e.Stored.Add(1)
	changed.events[20] = e
	for name, other := range map[string]*memLog{"shorter": shorter, "changed": changed} {
		if _, err := newTestWriter(t, smallSpans(), b, other, secret).Next(t.Context()); !errors.Is(err, ErrOtherLog) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l.first, l.last = 21, 20 // trimmed
	if c, err := newTestWriter(t, smallSpans(), b, l, secret).Next(t.Context()); c != nil || err != nil {
		t.Errorf("a trimmed log: %v, %v", c, err)
	}
}

// TestForeignSpanIsRefused: a file without checkpoint that the log does not give is
// neither signed nor overwritten.
func TestForeignSpanIsRefused(t *testing.T) {
	b, l, secret, keys := archiveOf(t, 20)
	for range 10 {
		l.add(t)
	}
	good := b.copyOf()
	write(t, good, l, secret)
	forged := newLog(t, 30)
	e := forged.events[25]
	e.Data = append(e.Data[:len(e.Data):len(e.Data)], 0x50, 1)
	forged.events[25] = e
	bad := b.copyOf()
	write(t, bad, forged, secret)
	key := keyOfSpan(2)
	for name, content := range map[string][]byte{
		"forged": bad.data[key], "cut": good.data[key][:100], "nothing": {}, "another": good.data[keyOfSpan(1)],
		"no Parquet":     []byte(strings.Repeat("PAR1", 9)),
		"forged columns": rewrite(t, good.data[key], func(r *row) { r.Table = "rms.other" }),
	} {
		c := b.copyOf()
		c.data[key] = content
		if _, err := newTestWriter(t, smallSpans(), c, l, secret).Next(t.Context()); err == nil || !strings.Contains(err.Error(), "somebody else") {
			t.Errorf("%s: %v", name, err)
		}
		if r, err := verify(t, c, keys); err != nil || r.Unsigned != key || r.Size != 20 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestDue(t *testing.T) {
	secret, _ := testKey(t)
	b, l := newMem(), newLog(t, 0)
	w := newTestWriter(t, smallSpans(), b, l, secret)
	due := func(after time.Duration) bool {
		t.Helper()
		ok, err := w.Due(t.Context(), start.Add(after))
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if due(time.Hour) {
		t.Error("an empty log is due")
	}
	for range 9 {
		l.add(t)
	}
	if due(time.Hour) {
		t.Error("nine events that are younger than an hour are due")
	}
	if !due(time.Hour + time.Second) {
		t.Error("an event an hour old is not due")
	}
	l.add(t)
	if !due(time.Minute) {
		t.Error("ten events are not due")
	}
	if c, err := w.Next(t.Context()); err != nil || c.Size != 10 {
		t.Fatalf("%v, %v", c, err)
	}
	if due(24 * time.Hour) {
		t.Error("it is due although all is archived")
	}
	cfg := smallSpans()
	cfg.MaxBytes = 1
	if c, err := newTestWriter(t, cfg, newMem(), l, secret).Next(t.Context()); err != nil || c.Size != 1 {
		t.Errorf("a span of at most a byte ends with its first event: %v, %v", c, err)
	}
}

func ExampleNewKey() {
	_, public, err := NewKey("rms.police.example/blotter")
	fmt.Println(strings.HasPrefix(public, "rms.police.example/blotter+"), err)
	// Output: true <nil>
}
