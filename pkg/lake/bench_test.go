package lake_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
)

// wide has twenty columns.
func wide() registry.Table {
	cols := []registry.Column{{Name: "id", Type: registry.Type{Kind: registry.Long}, Required: true}}
	for i := range 19 {
		kind := []registry.Kind{registry.String, registry.Long, registry.Timestamp, registry.String, registry.Double}[i%5]
		cols = append(cols, registry.Column{Name: fmt.Sprintf("c%02d", i), Type: registry.Type{Kind: kind}})
	}
	return table("rms", "wide", []string{"id"}, cols...)
}

func wideRow(id int64, pos string, row int64) change {
	c := change{values: []parquet.Value{parquet.Int64Value(id)}, pos: pos, row: row}
	for i := range int64(19) {
		switch i % 5 {
		case 0:
			c.values = append(c.values, parquet.ByteArrayValue(fmt.Appendf(nil, "street %d, block %d", id*7919%100_000, i)))
		case 3:
			c.values = append(c.values, parquet.ByteArrayValue([]byte([]string{"open", "closed", "void", "pending"}[(id+i)%4])))
		case 4:
			c.values = append(c.values, parquet.DoubleValue(float64(id*i)/1000))
		default:
			c.values = append(c.values, parquet.Int64Value(id*104729+i))
		}
	}
	return c
}

func wideRows(from, to, step int64, pos string) []change {
	out := make([]change, 0, (to-from)/step)
	for id := from; id < to; id += step {
		out = append(out, wideRow(id, pos, id+1))
	}
	return out
}

const benchRows = 1_000_000

// benchLoad stages the million rows in four files; interleaved ones must be
// merged, others can be adopted.
func benchLoad(b *testing.B, w *world, token uint64, interleaved bool) []lake.Part {
	b.Helper()
	var parts []lake.Part
	for i := range int64(4) {
		rows := wideRows(i*benchRows/4, (i+1)*benchRows/4, 1, fmt.Sprint("/", i))
		if interleaved {
			rows = wideRows(i, benchRows, 4, fmt.Sprint("/", i))
		}
		parts = append(parts, w.stage(b, wide(), stagedSpec{file: fmt.Sprintf("load%d-%d", i, token), kind: dms.KindLoad, token: token, changes: rows}))
	}
	return parts
}

func BenchmarkReplace(b *testing.B) {
	for _, interleaved := range []bool{false, true} {
		name := map[bool]string{false: "adopt", true: "merge"}[interleaved]
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, lake.DefaultConfig())
			parts := benchLoad(b, w, 1, interleaved)
			token := uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				token++
				w.publish(b, wide(), token, lake.Replace, parts...)
			}
		})
	}
}

func BenchmarkMerge(b *testing.B) {
	rewrite := lake.DefaultConfig()
	rewrite.RewriteFraction = 0
	for name, cfg := range map[string]lake.Config{"row-delta": lake.DefaultConfig(), "copy-on-write": rewrite} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, cfg)
			w.publish(b, wide(), 1, lake.Replace, benchLoad(b, w, 1, false)...)
			token := uint64(1)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				token++
				part := w.stage(b, wide(), stagedSpec{file: fmt.Sprint("c", token), kind: dms.KindChange, token: token, changes: wideRows(int64(token), benchRows, 100, fmt.Sprintf("%04d", token))})
				b.StartTimer()
				if r := w.publish(b, wide(), token, lake.Merge, part); r.Strategy != name {
					b.Fatalf("strategy is %s", r.Strategy)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	w := newWorld(b, lake.DefaultConfig())
	w.publish(b, wide(), 1, lake.Replace, benchLoad(b, w, 1, false)...)
	for b.Loop() {
		set, err := w.lake.Rows(context.Background(), wide().ID)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for _, err := range set.All(context.Background()) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != benchRows {
			b.Fatal(n)
		}
	}
}
