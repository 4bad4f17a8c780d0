package local

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkCreate commits small objects, one after the other: each is fsynced,
// and so is its folder.
func BenchmarkCreate(b *testing.B) {
	bucket := newBucket(b)
	content := strings.Repeat("x", 4<<10)
	n := 0
	for b.Loop() {
		n++
		createObject(b, bucket, fmt.Sprintf("folder/%d", n), content)
	}
}

// BenchmarkCreateParallel shows what writers at the same time share.
func BenchmarkCreateParallel(b *testing.B) {
	bucket := newBucket(b)
	content := strings.Repeat("x", 4<<10)
	var n atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			createObject(b, bucket, fmt.Sprintf("folder/%d", n.Add(1)), content)
		}
	})
}

func createObject(b *testing.B, bucket *Bucket, key, content string) {
	w, err := bucket.Create(context.Background(), key)
	if err != nil {
		b.Error(err)
		return
	}
	if _, err := io.WriteString(w, content); err != nil {
		b.Error(err)
	}
	if _, err := w.Commit(context.Background()); err != nil {
		b.Error(err)
	}
}

// BenchmarkScan looks through 10,000 files in 100 folders that have not changed.
func BenchmarkScan(b *testing.B) {
	bucket := newBucket(b)
	for n := range 10_000 {
		writeFile(b, bucket, fmt.Sprintf("rms/table_%02d/%05d.csv", n%100, n), "x")
	}
	later(bucket, time.Minute)
	w, err := bucket.Watch(b.Context(), WatchConfig{})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	scan := func() {
		n := 0
		for _, err := range w.Scan(context.Background(), "") {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 10_000 {
			b.Fatalf("%d objects", n)
		}
	}
	began := time.Now()
	scan()
	b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms/first")
	b.ReportAllocs()
	for b.Loop() {
		scan()
	}
}

// BenchmarkHash reads an object for its ETag.
func BenchmarkHash(b *testing.B) {
	bucket := newBucket(b)
	const size = 64 << 20
	writeFile(b, bucket, "big", strings.Repeat("0123456789abcdef", size/16))
	b.SetBytes(size)
	for b.Loop() {
		bucket.etags.drop("big")
		etagOf(b, bucket, "big")
	}
}
