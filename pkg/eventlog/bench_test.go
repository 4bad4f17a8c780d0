package eventlog

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
)

// fill brings n events of ingest-router into the log, with many publishers.
func fill(b *testing.B, l *Log, all []dms.TableID, n int) {
	b.Helper()
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 64 {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if _, err := l.PublishOnce(b.Context(), arrived(all[i%len(all)], i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func benchConfig() Config {
	cfg := EmbeddedConfig()
	cfg.MaxConsumers = 1000
	return cfg
}

// BenchmarkPublishOnce is one publisher on one chain, every message fsynced.
func BenchmarkPublishOnce(b *testing.B) {
	l := openLog(b, startServer(b), benchConfig())
	n := 0
	for b.Loop() {
		if _, err := l.PublishOnce(b.Context(), arrived(reports, n)); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkPublishOnceManyTables is 64 publishers on 400 chains.
func BenchmarkPublishOnceManyTables(b *testing.B) {
	l := openLog(b, startServer(b), benchConfig())
	b.ResetTimer()
	fill(b, l, tables(400), b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkStage handles a backlog of b.N events: deliver, look behind, publish
// one answer, acknowledge.
func BenchmarkStage(b *testing.B) {
	for _, c := range []struct {
		tables int
		sync   bool
	}{{1, true}, {400, true}, {1, false}, {400, false}} {
		b.Run(fmt.Sprintf("tables=%d,sync=%v", c.tables, c.sync), func(b *testing.B) {
			url := startServerSync(b, c.sync)
			l := openLog(b, url, benchConfig())
			fill(b, l, tables(c.tables), b.N)
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			var done atomic.Int64
			worker := openLog(b, url, benchConfig())
			b.ResetTimer()
			err := worker.Consume(ctx, fromIngest, func(ctx context.Context, r Record) error {
				if _, err := worker.PublishOnce(ctx, answer("classifier", r, classifiedMessage())); err != nil {
					return err
				}
				if done.Add(1) == int64(b.N) {
					cancel()
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkRead replays a log of b.N events, decoded.
func BenchmarkRead(b *testing.B) {
	l := openLog(b, startServerSync(b, false), benchConfig())
	fill(b, l, tables(400), b.N)
	b.ResetTimer()
	n := 0
	for _, err := range l.Read(b.Context(), Filter{}) {
		if err != nil {
			b.Fatal(err)
		}
		n++
	}
	if n != b.N {
		b.Fatalf("read %d of %d", n, b.N)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkConsumeStart is the time until six services deliver: first on a new
// log, then on one that has their consumers.
func BenchmarkConsumeStart(b *testing.B) {
	start := func(l *Log) {
		ctx, cancel := context.WithCancel(b.Context())
		var wg, ready sync.WaitGroup
		for i := range 6 {
			ready.Add(1)
			cfg := ConsumerConfig{Service: fmt.Sprintf("s%d", i), From: []string{"ingest-router"}, Ready: ready.Done}
			wg.Go(func() {
				if err := l.Consume(ctx, cfg, nil); err != nil {
					b.Error(err)
				}
			})
		}
		ready.Wait()
		b.StopTimer()
		cancel()
		wg.Wait()
		b.StartTimer()
	}
	b.Run("new", func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			l := openLog(b, startServer(b), benchConfig())
			b.StartTimer()
			start(l)
		}
	})
	b.Run("again", func(b *testing.B) {
		l := openLog(b, startServer(b), benchConfig())
		start(l)
		b.ResetTimer()
		for range b.N {
			start(l)
		}
	})
}
