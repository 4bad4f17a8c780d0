package transform

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
)

// wideTable is a believable table of 20 columns.
func wideTable() registry.Table {
	t := registry.Table{
		ID: dms.TableID{DB: "rms", Table: "incidents"}, Version: 1, PrimaryKey: []string{"id"},
		DMS: registry.Settings{Format: registry.FormatCSV, Delimiter: ",", OpColumn: ptr("Op"), OpInFullLoad: true, TimestampColumn: ptr("ts")},
	}
	add := func(name, typ string) { t.Columns = append(t.Columns, column(len(t.Columns)+1, name, typ)) }
	add("id", "bigint")
	for i := range 6 {
		add(fmt.Sprintf("text_%d", i), "string")
	}
	for i := range 3 {
		add(fmt.Sprintf("code_%d", i), "string")
	}
	for i := range 3 {
		add(fmt.Sprintf("n_%d", i), "bigint")
	}
	add("lat", "double")
	add("lon", "double")
	add("amount", "decimal(12,2)")
	add("born", "date")
	add("created_at", "timestamp")
	add("updated_at", "timestamp")
	add("active", "boolean")
	t.Provenance = registry.Provenance{File: 21, Row: 22, Position: 23, Next: 24}
	return t
}

// wideCSV writes rows of wideTable; one in fifty repeats an earlier key.
func wideCSV(w *bufio.Writer, rows int, shuffle bool) {
	rng := rand.New(rand.NewPCG(1, 2))
	words := []string{"ARREST", "THEFT", "ASSAULT W/DANGEROUS WEAPON", "BURGLARY", "MOTOR VEHICLE THEFT", "ROBBERY", "NOISE", "TRESPASS"}
	base := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	var buf []byte
	for i := range rows {
		buf = buf[:0]
		id := i + 1
		if shuffle {
			id = rng.IntN(rows*4) + 1
		}
		if i%50 == 49 {
			id = rng.IntN(i) + 1
		}
		ts := base.Add(time.Duration(i) * time.Second)
		buf = append(buf, "I,"...)
		buf = ts.AppendFormat(buf, "2006-01-02 15:04:05.000000,")
		buf = strconv.AppendInt(buf, int64(id), 10)
		for j := range 6 {
			buf = fmt.Appendf(buf, ",%s %06d", words[rng.IntN(len(words))][:5], rng.IntN(1000000)*(j+1))
		}
		for range 3 {
			buf = append(append(buf, ','), words[rng.IntN(len(words))]...)
		}
		for range 3 {
			buf = strconv.AppendInt(append(buf, ','), rng.Int64N(1e9), 10)
		}
		buf = strconv.AppendFloat(append(buf, ','), 38.8+rng.Float64(), 'e', 16, 64)
		buf = strconv.AppendFloat(append(buf, ','), -77-rng.Float64(), 'e', 16, 64)
		buf = fmt.Appendf(buf, ",%d.%02d", rng.IntN(100000), rng.IntN(100))
		buf = base.AddDate(0, 0, -rng.IntN(20000)).AppendFormat(buf, ",2006-01-02")
		buf = ts.AppendFormat(buf, ",2006-01-02 15:04:05")
		buf = ts.AppendFormat(buf, ",2006-01-02 15:04:05.000000")
		buf = append(buf, ",t\n"...)
		_, _ = w.Write(buf) // Flush tells of a fault
	}
}

// BenchmarkTransform stages a load file between two folders, durably.
// BLOTTER_BENCH_ROWS sets its rows (100,000), BLOTTER_BENCH_SHUFFLE=1 puts its
// keys into random order.
func BenchmarkTransform(b *testing.B) {
	rows := 100_000
	if s := os.Getenv("BLOTTER_BENCH_ROWS"); s != "" {
		rows, _ = strconv.Atoi(s)
	}
	raw, job := benchInput(b, rows)
	cfg := DefaultConfig()
	cfg.ScratchDir = b.TempDir()
	b.SetBytes(job.File.Object.Size)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		staging := openFolder(b, b.TempDir())
		b.StartTimer()
		r, err := Run(b.Context(), cfg, Deps{Raw: raw, Staging: staging}, job)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(r.Manifest.Rows[0].Bytes)/1e6, "MB-staged")
	}
}

func openFolder(b *testing.B, dir string) *local.Bucket {
	bucket, err := local.New("bench", dir)
	if err != nil {
		b.Fatal(err)
	}
	return bucket
}

func benchInput(b *testing.B, rows int) (*local.Bucket, Job) {
	const key = "LOAD00000001.csv"
	dir := b.TempDir()
	f, err := os.Create(filepath.Join(dir, key))
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(f)
	wideCSV(w, rows, os.Getenv("BLOTTER_BENCH_SHUFFLE") != "")
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		b.Fatal(err)
	}
	raw := openFolder(b, dir)
	info, err := raw.Stat(b.Context(), key)
	if err != nil {
		b.Fatal(err)
	}
	file := dms.File{ID: "bench", Kind: dms.KindLoad, Order: "bench",
		Object: dms.Object{Bucket: "bench", Key: key, ETag: info.ETag, Size: info.Size, LastModified: info.LastModified}}
	return raw, Job{Table: wideTable(), File: file, Token: 1}
}

// BenchmarkSmallFile stages a change file of few rows, of which there are many.
func BenchmarkSmallFile(b *testing.B) {
	raw, job := benchInput(b, 20)
	cfg := DefaultConfig()
	cfg.ScratchDir = b.TempDir()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Run(b.Context(), cfg, Deps{Raw: raw, Staging: newMemBucket()}, job); err != nil {
			b.Fatal(err)
		}
	}
}
