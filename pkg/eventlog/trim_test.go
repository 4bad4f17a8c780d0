package eventlog

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// kept is an archive of what was read of a log, up to a sequence.
type kept struct {
	events []Raw
	last   uint64
}

func (k *kept) Last(context.Context) (uint64, error) { return k.last, nil }

func (k *kept) Read(_ context.Context, f ArchiveFilter) iter.Seq2[Raw, error] {
	return func(yield func(Raw, error) bool) {
		for _, r := range k.events {
			if r.Seq >= f.First && r.Seq <= f.Last && (f.Wants == nil || f.Wants(r.Subject)) && !yield(r, nil) {
				return
			}
		}
	}
}

func seqs(records []Record) []uint64 {
	var out []uint64
	for _, r := range records {
		out = append(out, r.Seq)
	}
	return out
}

// TestTrim removes what every service has handled, and reads on from an archive.
func TestTrim(t *testing.T) {
	url, archive := startServer(t), &kept{}
	l := openLog(t, url, testConfig(), WithArchive(func(context.Context) (Archive, error) { return archive, nil }))
	for n := range 20 {
		if _, err := l.PublishOnce(t.Context(), arrived(reports, n)); err != nil {
			t.Fatal(err)
		}
	}
	for r, err := range l.ReadRaw(t.Context(), 1, 20) {
		if err != nil {
			t.Fatal(err)
		}
		archive.events = append(archive.events, r)
	}
	archive.last = 20
	if err := l.Trim(t.Context(), 12, []string{"classifier"}); !errors.Is(err, ErrNoTrim) {
		t.Errorf("a service that never ran: %v", err)
	}
	p := l.partitions.Of(reports)
	for other := range int(l.partitions) {
		if _, err := l.stream.CreateOrUpdateConsumer(t.Context(), jetstream.ConsumerConfig{
			Durable: ConsumerName("classifier", other), AckPolicy: jetstream.AckExplicitPolicy,
			FilterSubjects: partitionSubjects(other, []string{"ingest-router"}, nil, nil),
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Trim(t.Context(), 12, []string{"classifier"}); !errors.Is(err, ErrNoTrim) {
		t.Fatalf("events that were not seen: %v", err)
	}
	consumer, err := l.stream.Consumer(t.Context(), ConsumerName("classifier", p))
	if err != nil {
		t.Fatal(err)
	}
	batch, err := consumer.Fetch(12)
	if err != nil {
		t.Fatal(err)
	}
	var got []jetstream.Msg
	for m := range batch.Messages() {
		got = append(got, m)
	}
	if err := l.Trim(t.Context(), 12, []string{"classifier"}); !errors.Is(err, ErrNoTrim) {
		t.Errorf("events that are not handled: %v", err)
	}
	for _, m := range got {
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Trim(t.Context(), 13, []string{"classifier"}); !errors.Is(err, ErrNoTrim) {
		t.Errorf("one that was not seen: %v", err)
	}
	before := seqs(collect(t, l, Filter{}))
	if err := l.Trim(t.Context(), 12, []string{"classifier"}); err != nil {
		t.Fatal(err)
	}
	if first, last, err := l.Bounds(t.Context()); err != nil || first != 13 || last != 20 {
		t.Errorf("the stream holds %d to %d, %v", first, last, err)
	}
	checkTrimmed(t, l, archive, before)
}

// checkTrimmed reads a log whose first twelve events are archived alone.
func checkTrimmed(t *testing.T, l *Log, archive *kept, before []uint64) {
	t.Helper()
	for name, c := range map[string]struct {
		f    Filter
		n    int
		from uint64
	}{
		"all":           {Filter{}, 20, 1},
		"a table":       {Filter{Table: reports}, 20, 1},
		"another event": {Filter{Event: "FileHeld"}, 0, 0},
		"from within":   {Filter{FromSeq: 5, UntilSeq: 14}, 10, 5},
		"archived":      {Filter{UntilSeq: 4}, 4, 1},
		"not archived":  {Filter{FromSeq: 13}, 8, 13},
		"from a time":   {Filter{From: archive.events[9].Stored}, 11, 10},
		"until a time":  {Filter{Until: archive.events[9].Stored}, 10, 1},
	} {
		got := seqs(collect(t, l, c.f))
		if len(got) != c.n || c.n > 0 && got[0] != c.from {
			t.Errorf("%s: %v (all are %v)", name, got, before)
		}
	}
	// A repeated publish of what was trimmed is known by its input, which came after.
	if seq, err := l.PublishOnce(t.Context(), arrived(reports, 20)); err != nil || seq != 21 {
		t.Errorf("the next event stands at %d, %v", seq, err)
	}
	archive.last = 11
	for _, err := range l.Read(t.Context(), Filter{}) {
		if err != nil && !errors.Is(err, ErrGone) {
			t.Error(err)
		}
		if err == nil {
			t.Error("an event is read although one before it is nowhere")
		}
	}
}
