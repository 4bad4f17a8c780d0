package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/natsserver"
)

// tables gives names of tables, in several partitions.
func tables(n int) []dms.TableID {
	out := make([]dms.TableID, n)
	for i := range out {
		out[i] = dms.TableID{DB: "rms", Table: fmt.Sprintf("t%d", i)}
	}
	return out
}

var fromIngest = ConsumerConfig{Service: "classifier", From: []string{"ingest-router"}}

// seen keeps what a handler got, by table.
type seen struct {
	mu sync.Mutex
	by map[dms.TableID][]uint64
	n  int
}

func (s *seen) add(r Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = make(map[dms.TableID][]uint64)
	}
	s.by[r.Table] = append(s.by[r.Table], r.Seq)
	s.n++
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

func (s *seen) of(table dms.TableID) []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.by[table])
}

func TestOneAtATimeAndInOrderPerTable(t *testing.T) {
	l := openLog(t, startServer(t), testConfig())
	all := tables(9)
	for n := range 270 {
		publish(t, l, arrived(all[n%len(all)], n))
	}
	var got seen
	var busy, overlaps, parallel, most int
	in := make(map[dms.TableID]bool)
	var mu sync.Mutex
	stop := consumeInBackground(t, l, fromIngest, func(_ context.Context, r Record) error {
		mu.Lock()
		if in[r.Table] {
			overlaps++
		}
		in[r.Table] = true
		parallel++
		busy++
		most = max(most, parallel)
		fail := busy%5 == 0
		mu.Unlock()
		defer func() {
			mu.Lock()
			in[r.Table] = false
			parallel--
			mu.Unlock()
		}()
		if fail {
			return errors.New("passing")
		}
		got.add(r)
		return nil
	})
	eventually(t, "all events", func() bool { return got.count() == 270 })
	stop()
	for _, table := range all {
		if s := got.of(table); len(s) != 30 || !slices.IsSorted(s) {
			t.Errorf("%s: %v", table, s)
		}
	}
	if overlaps > 0 {
		t.Errorf("%d times two handlers were in one table", overlaps)
	}
	if most > 32 {
		t.Errorf("%d handlers at once", most)
	}
}

// A table whose event fails waits; others go on.
func TestAFailingTableHoldsOnlyItself(t *testing.T) {
	l := openLog(t, startServer(t), testConfig())
	all := tables(4)
	for n := range 40 {
		publish(t, l, arrived(all[n%4], n))
	}
	var got seen
	var mu sync.Mutex
	healed := false
	stop := consumeInBackground(t, l, fromIngest, func(_ context.Context, r Record) error {
		mu.Lock()
		defer mu.Unlock()
		if r.Table == all[2] && !healed {
			return fmt.Errorf("not yet: %w", ErrConflict)
		}
		got.add(r)
		return nil
	})
	defer stop()
	eventually(t, "the other tables", func() bool { return got.count() == 30 })
	if len(got.of(all[2])) != 0 {
		t.Error("a later event overtook a failing one")
	}
	mu.Lock()
	healed = true
	mu.Unlock()
	eventually(t, "the healed table", func() bool { return got.count() == 40 })
	if !slices.IsSorted(got.of(all[2])) {
		t.Error("out of order after a failure")
	}
}

func TestAPermanentErrorEndsTheConsumer(t *testing.T) {
	l := openLog(t, startServer(t), testConfig())
	publish(t, l, arrived(reports, 0))
	broken := errors.New("broken")
	err := l.Consume(t.Context(), fromIngest, func(context.Context, Record) error { return Permanent(broken) })
	if !errors.Is(err, broken) || !IsPermanent(err) {
		t.Errorf("got %v", err)
	}
	if err := l.Consume(t.Context(), ConsumerConfig{Service: "a.b", Partitions: []int{99}}, nil); !IsPermanent(err) {
		t.Errorf("a consumer that cannot be: got %v", err)
	}
}

// Whoever removes a consumer ends its service, at once: AckWait is far longer than the
// test.
func TestARemovedConsumerEndsAtOnce(t *testing.T) {
	cfg := testConfig()
	cfg.AckWait = time.Hour
	l := openLog(t, startServer(t), cfg)
	ready := make(chan struct{})
	consumer := fromIngest
	consumer.Ready = func() { close(ready) }
	ended := make(chan error, 1)
	go func() {
		ended <- l.Consume(t.Context(), consumer, func(context.Context, Record) error { return nil })
	}()
	<-ready
	asked(t, l, ConsumerName("classifier", 0))
	if err := l.stream.DeleteConsumer(t.Context(), ConsumerName("classifier", 0)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !IsPermanent(err) || !strings.Contains(err.Error(), "the server has ended it") {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it goes on without its consumer")
	}
}

// asked waits until the server holds a request for events of a consumer.
func asked(t *testing.T, l *Log, consumer string) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for range 6000 {
		c, err := l.stream.Consumer(t.Context(), consumer)
		if err != nil {
			t.Fatal(err)
		}
		if c.CachedInfo().NumWaiting > 0 {
			return
		}
		<-look.C
	}
	t.Fatal("nobody asks for events")
}

// A consumer that was removed while no request of this process lay on the server, which
// then tells nobody, is missed with the heartbeats.
func TestARemovedConsumerIsMissed(t *testing.T) {
	l := openLog(t, startServer(t), testConfig())
	p := newPartition(l, fromIngest, 0, make(chan struct{}, 1), nil)
	p.ctx, p.fail = context.WithCancelCause(t.Context())
	if _, _, err := p.open(p.ctx); err != nil {
		t.Fatal(err)
	}
	p.disturbed(nil, jetstream.ErrNoHeartbeat)
	if err := p.ctx.Err(); err != nil {
		t.Fatalf("with its consumer it ends: %v", context.Cause(p.ctx))
	}
	if err := l.stream.DeleteConsumer(t.Context(), p.name); err != nil {
		t.Fatal(err)
	}
	p.disturbed(nil, jetstream.ErrNoHeartbeat)
	if err := context.Cause(p.ctx); !IsPermanent(err) || !errors.Is(err, jetstream.ErrConsumerDeleted) {
		t.Errorf("without it: %v", err)
	}
}

// What mends itself after a start is no warning; later it is, and whatever else is always.
func TestADisturbanceThatPasses(t *testing.T) {
	t.Parallel()
	now, earlier := time.Now(), time.Now().Add(-settling)
	for _, c := range []struct {
		began time.Time
		err   error
		want  slog.Level
	}{
		{now, nats.ErrNoResponders, slog.LevelDebug},
		{now, jetstream.ErrNoHeartbeat, slog.LevelDebug},
		{now, jetstream.ErrConsumerLeadershipChanged, slog.LevelWarn},
		{earlier, nats.ErrNoResponders, slog.LevelWarn},
		{earlier, jetstream.ErrNoHeartbeat, slog.LevelWarn},
	} {
		if got := (&partition{began: c.began}).severity(c.err); got != c.want {
			t.Errorf("%v, %v after the start, is %v, expected %v", c.err, time.Since(c.began), got, c.want)
		}
	}
}

// What a process has left unacknowledged comes first after a restart, at once
// and in order, although newer events wait: AckWait is far longer than the test.
func TestARestartGoesOnInOrder(t *testing.T) {
	cfg := testConfig()
	cfg.AckWait = time.Hour
	url := startServer(t)
	l, end, err := process(t.Context(), url, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		publish(t, l, arrived(reports, n))
	}
	crash := errors.New("crash")
	var first seen
	err = l.Consume(t.Context(), fromIngest, func(_ context.Context, r Record) error {
		if r.Seq == 6 {
			return Permanent(crash)
		}
		first.add(r)
		return nil
	})
	end()
	if !errors.Is(err, crash) {
		t.Fatalf("ended with %v", err)
	}
	l = openLog(t, url, cfg)
	for n := 20; n < 40; n++ {
		publish(t, l, arrived(reports, n))
	}
	var second seen
	stop := consumeInBackground(t, l, fromIngest, func(_ context.Context, r Record) error { second.add(r); return nil })
	defer stop()
	eventually(t, "the rest", func() bool { return second.count() == 35 })
	if s := append(first.of(reports), second.of(reports)...); !slices.IsSorted(s) || len(s) != 40 {
		t.Errorf("order over the restart: %v", s)
	}
}

// The server may learn late that a process is gone. Nothing is sent to it meanwhile:
// all comes at once and in order once it is known, although AckWait is far longer than
// the test.
func TestARestartOutlivesTheFormerProcess(t *testing.T) {
	cfg := testConfig()
	cfg.AckWait = time.Hour
	url := startServer(t)
	l, end, err := process(t.Context(), url, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	former := newPartition(l, fromIngest, l.partitions.Of(reports), nil, nil)
	cons, _, err := former.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan struct{}, 40)
	if _, err := cons.Consume(func(jetstream.Msg) { got <- struct{}{} },
		jetstream.PullMaxMessages(maxAckPending), jetstream.PullPriorityGroup(ownerGroup)); err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		publish(t, l, arrived(reports, n))
	}
	for range 20 {
		<-got // it handles none of them
	}
	met := make(chan struct{}, 1)
	next := openLog(t, url, cfg, WithLogger(slog.New(told{formerProcessMessage, met})))
	var second seen
	stop := consumeInBackground(t, next, fromIngest, func(_ context.Context, r Record) error { second.add(r); return nil })
	defer stop()
	eventually(t, "a start that knows of the former process", func() bool { return len(met) > 0 })
	end()
	for n := 20; n < 40; n++ {
		publish(t, next, arrived(reports, n))
	}
	eventually(t, "all events", func() bool { return second.count() == 40 })
	if s := second.of(reports); !slices.IsSorted(s) {
		t.Errorf("order over the restart: %v", s)
	}
}

// told is a log handler that signals one message.
type told struct {
	message string
	met     chan<- struct{}
}

func (h told) Enabled(context.Context, slog.Level) bool { return true }
func (h told) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h told) WithGroup(string) slog.Handler            { return h }

func (h told) Handle(_ context.Context, r slog.Record) error {
	if r.Message == h.message {
		select {
		case h.met <- struct{}{}:
		default:
		}
	}
	return nil
}

// A handler may take longer than AckWait: the event stays its own.
func TestHeartbeatsKeepALongHandlersEvent(t *testing.T) {
	cfg := testConfig()
	cfg.AckWait = 400 * time.Millisecond
	l := openLog(t, startServer(t), cfg)
	publish(t, l, arrived(reports, 0))
	publish(t, l, arrived(reports, 1))
	began := time.Now()
	var got seen
	stop := consumeInBackground(t, l, fromIngest, func(ctx context.Context, r Record) error {
		if r.Seq == 1 {
			<-time.After(3 * cfg.AckWait)
		}
		got.add(r)
		return nil
	})
	defer stop()
	eventually(t, "both events", func() bool { return got.count() == 2 })
	if d := time.Since(began); d < 3*cfg.AckWait {
		t.Fatalf("the handler took %v only", d)
	}
	cons, err := l.stream.Consumer(t.Context(), ConsumerName("classifier", l.partitions.Of(reports)))
	if err != nil {
		t.Fatal(err)
	}
	if info := cons.CachedInfo(); info.Delivered.Consumer != 2 || info.NumRedelivered != 0 {
		t.Errorf("delivered %d times, %d redelivered", info.Delivered.Consumer, info.NumRedelivered)
	}
}

func TestEventsAreFiltered(t *testing.T) {
	l := openLog(t, startServer(t), testConfig())
	publish(t, l, arrived(reports, 0))
	in := collect(t, l, Filter{})[0]
	publish(t, l, answer("lock-manager", in, classifiedMessage()))
	publish(t, l, answer("lock-manager", in, in.Event))
	publish(t, l, answer("curator", in, classifiedMessage()))
	var got seen
	stop := consumeInBackground(t, l, ConsumerConfig{Service: "x", From: []string{"lock-manager", "ingest-router"}, Events: []string{"FileClassified"}},
		func(_ context.Context, r Record) error { got.add(r); return nil })
	defer stop()
	eventually(t, "idle", func() bool { ok, err := l.Idle(t.Context(), []string{"x"}); return ok && err == nil })
	if s := got.of(reports); !slices.Equal(s, []uint64{2}) {
		t.Errorf("got %v, want the second event", s)
	}
}

// The server may go and come back: nothing is lost, and order holds.
func TestTheServerRestarts(t *testing.T) {
	scfg := natsserver.DefaultConfig()
	scfg.Dir = t.TempDir()
	server, err := natsserver.Start(t.Context(), scfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	url := server.URL()
	if _, err := fmt.Sscanf(url, "nats://127.0.0.1:%d", &scfg.Port); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	cfg.CallTimeout, cfg.AckWait = time.Second, time.Second
	l := openLog(t, url, cfg)
	var in, out seen
	stop := consumeInBackground(t, l, fromIngest, func(ctx context.Context, r Record) error {
		in.add(r)
		_, err := l.PublishOnce(ctx, answer("classifier", r, classifiedMessage()))
		return err
	})
	want := make(map[string]bool)
	for n := range 60 {
		e := arrived(reports, n)
		want[e.ID] = true
		if n == 30 {
			server.Close()
			if server, err = natsserver.Start(t.Context(), scfg, slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
			defer func() { server.Close() }()
		}
		eventually(t, "a publish", func() bool { _, err := l.PublishOnce(t.Context(), e); return err == nil })
	}
	eventually(t, "idle", func() bool { ok, err := l.Idle(t.Context(), []string{"classifier"}); return ok && err == nil })
	stop()
	checkOnce(t, l, reports, "ingest-router", want)
	for _, r := range collect(t, l, Filter{Service: "classifier"}) {
		out.add(r)
	}
	if out.count() != 60 {
		t.Errorf("%d answers to 60 events", out.count())
	}
}

// A server that is gone answers nothing. No call waits for it longer than a call
// may take, however far away the deadline of its caller is.
func TestNoCallWaitsForAServerThatIsGone(t *testing.T) {
	scfg := natsserver.DefaultConfig()
	scfg.Dir = t.TempDir()
	server, err := natsserver.Start(t.Context(), scfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	cfg.CallTimeout = 20 * time.Millisecond
	l := openLog(t, server.URL(), cfg)
	if _, err := l.PublishOnce(t.Context(), arrived(reports, 1)); err != nil {
		t.Fatal(err)
	}
	server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	for name, call := range map[string]func() error{
		"Last":        func() error { _, err := l.Last(ctx); return err },
		"Idle":        func() error { _, err := l.resting(ctx, []string{"classifier"}); return err },
		"PublishOnce": func() error { _, err := l.PublishOnce(ctx, arrived(reports, 2)); return err },
		"lastOf":      func() error { _, err := l.lastOf(ctx, "blotter.>"); return err },
		"scan":        func() error { return l.scan(ctx, "blotter.>", 0, 9, func(scanned) {}) },
		"Read": func() error {
			for _, err := range l.Read(ctx, Filter{}) {
				return err
			}
			return nil
		},
	} {
		if err := call(); !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			t.Errorf("%s: %v, expected that it gives up", name, err)
		}
	}
}

// An event whose handler a crash has ended counts as unhandled, and comes again.
func TestWhatWasNotHandledIsNotAcknowledged(t *testing.T) {
	l := openLog(t, startServer(t), testConfig())
	publish(t, l, arrived(reports, 0))
	crash := errors.New("crash")
	err := l.Consume(t.Context(), fromIngest, func(context.Context, Record) error { return Permanent(crash) })
	if !errors.Is(err, crash) {
		t.Fatalf("ended with %v", err)
	}
	consumer, err := l.js.Consumer(t.Context(), l.cfg.Stream, ConsumerName(fromIngest.Service, l.partitions.Of(reports)))
	if err != nil {
		t.Fatal(err)
	}
	if info := consumer.CachedInfo(); info.AckFloor.Stream != 0 || info.Delivered.Stream != 1 {
		t.Errorf("an event that was not handled counts as handled: acknowledged up to %d, delivered up to %d",
			info.AckFloor.Stream, info.Delivered.Stream)
	}
}
