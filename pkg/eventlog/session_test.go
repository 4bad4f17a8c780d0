package eventlog

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Deliveries may be lost with a connection, or go to somebody else. They are had again
// at once, and no later event is handled before them.
func TestMissedDeliveriesAreHadAgain(t *testing.T) {
	cfg := testConfig()
	cfg.AckWait = time.Hour
	url := startServer(t)
	l := openLog(t, url, cfg)
	var got seen
	stop := consumeInBackground(t, l, fromIngest, func(_ context.Context, r Record) error { got.add(r); return nil })
	defer stop()
	publish(t, l, arrived(reports, 0))
	eventually(t, "the first event", func() bool { return got.count() == 1 })

	other := openLog(t, url, cfg)
	cons, err := other.stream.Consumer(t.Context(), ConsumerName("classifier", l.partitions.Of(reports)))
	if err != nil {
		t.Fatal(err)
	}
	batch, err := cons.Fetch(3, jetstream.FetchPriorityGroup(ownerGroup), jetstream.FetchMaxWait(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	stolen := make(chan int)
	go func() {
		n := 0
		for range batch.Messages() {
			n++
		}
		stolen <- n
	}()
	sent := 1
	for n := 0; n == 0 && sent < 1000; {
		publish(t, l, arrived(reports, sent))
		sent++
		select {
		case n = <-stolen:
		default:
		}
	}
	publish(t, l, arrived(reports, sent))
	eventually(t, "all events", func() bool { return len(slices.Compact(slices.Sorted(slices.Values(got.of(reports))))) == sent+1 })
	first := make(map[uint64]bool)
	highest := uint64(0)
	for _, seq := range got.of(reports) {
		if !first[seq] && seq < highest {
			t.Fatalf("event %d was handled behind a later one: %v", seq, got.of(reports))
		}
		first[seq], highest = true, max(highest, seq)
	}
}

// A session takes deliveries by number. Once one is missing it takes none at all, not
// even one that would follow: after a reset the same numbers mean other events.
func TestASessionEndsWhereADeliveryIsMissed(t *testing.T) {
	for _, tt := range []struct {
		name       string
		next       uint64
		deliveries []uint64
		taken      int // the first of them
	}{
		{"in order", 4, []uint64{4, 5, 6}, 3},
		{"one is missing", 4, []uint64{4, 6, 7}, 1},
		{"the missing one comes late", 4, []uint64{4, 6, 5, 6}, 1},
		{"another has reset", 4, []uint64{4, 1, 2, 5}, 1},
		{"the first after a reset", firstDelivery, []uint64{1, 2}, 2},
		{"the first after a reset is missing", firstDelivery, []uint64{4, 1, 2}, 0},
		{"replicas share", anyDelivery, []uint64{9, 4, 7}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &session{next: tt.next, missed: make(chan struct{})}
			for i, d := range tt.deliveries {
				if got, want := s.follows(d), i < tt.taken; got != want {
					t.Errorf("delivery %d: taken %t, expected %t", d, got, want)
				}
			}
			select {
			case <-s.missed:
				if tt.taken == len(tt.deliveries) {
					t.Error("the session is over although nothing is missing")
				}
			default:
				if tt.taken < len(tt.deliveries) {
					t.Error("the session goes on although a delivery is missing")
				}
			}
		})
	}
}
