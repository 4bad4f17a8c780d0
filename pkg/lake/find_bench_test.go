package lake_test

import (
	"flag"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
)

var (
	namedRows    = flag.Int64("named-rows", 1_000_000, "rows of the table of BenchmarkPositionDeletes, in files of a million")
	namedChanges = flag.Int64("named-changes", 200_000, "changes that it publishes")
)

// BenchmarkPositionDeletes publishes changes of rows all over a table, and of its
// newest rows alone, to a table that the curator searches, and to one whose rows an
// engine has named.
func BenchmarkPositionDeletes(b *testing.B) {
	const file = 1_000_000
	spec := reports()
	for _, where := range []string{"all over", "the newest"} {
		for _, how := range []string{"searched", "named"} {
			b.Run(where+"/"+how, func(b *testing.B) {
				cfg := lake.DefaultConfig()
				cfg.PositionDeleteRows = 1
				w := newWorld(b, cfg)
				var parts []lake.Part
				for n := range max(*namedRows/file, 1) {
					rows := make([]change, 0, min(file, *namedRows))
					for id := n * file; id < min((n+1)*file, *namedRows); id++ {
						rows = append(rows, report(id, "open", fmt.Sprintf("/%03d", n), id%file+1))
					}
					parts = append(parts, w.stage(b, spec, stagedSpec{file: fmt.Sprint("load", n), kind: dms.KindLoad, token: 1, changes: rows}))
				}
				w.publish(b, spec, 1, lake.Replace, parts...)
				step, first := *namedRows / *namedChanges, int64(0)
				if where == "the newest" {
					step, first = 1, *namedRows-*namedChanges
				}
				token := uint64(1)
				var peak uint64
				b.ReportAllocs()
				for b.Loop() {
					b.StopTimer()
					token++
					s := stagedSpec{file: fmt.Sprint("c", token), kind: dms.KindChange, token: token}
					for id := first; id < *namedRows; id += step {
						s.changes = append(s.changes, report(id, "shut", fmt.Sprintf("%04d", token), id+1))
					}
					if how == "named" {
						s.tamper = w.findPositions(b, spec, 1)
					}
					part := w.stage(b, spec, s)
					s.changes = nil
					runtime.GC()
					heap := watchHeap()
					b.StartTimer()
					if r := w.publish(b, spec, token, lake.Merge, part); r.Named != (how == "named") {
						b.Fatalf("%+v", r)
					}
					b.StopTimer()
					peak = max(peak, heap())
					b.StartTimer()
				}
				b.ReportMetric(float64(peak)/(1<<20), "peak-MB")
			})
		}
	}
}

// watchHeap gives by how much the live heap has grown at its highest.
func watchHeap() (peak func() uint64) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, highest := heap(), uint64(0)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			highest = max(highest, heap())
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-ended
		return highest - min(highest, before)
	}
}
