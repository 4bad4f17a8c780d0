package spark_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	jobslocal "github.com/openblotter/blotter/pkg/jobs/local"
	"github.com/openblotter/blotter/pkg/jobs/localspark"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
)

var loadRows = flag.Int("rows", 50_000, "the rows of the load that both engines stage; a tenth of them changes")

// evidence is a table of every type, ordered by change sequence.
func evidence(t *testing.T) registry.Table {
	t.Helper()
	tables, err := registry.Parse([]byte(`
database: rms
source: {prefix: dms/, schema: rms}
dms: {op_column: Op, timestamp_column: dms_commit_ts, change_seq_column: dms_change_seq, before_image_prefix: before_}
tables:
  - name: evidence
    flag: G
    primary_key: [id, part]
    columns:
      id: bigint not null
      part: varchar(8) not null
      seen: timestamp
      sent: timestamptz
      taken: date
      weight: "numeric(12, 3)"
      total: "numeric(30, 6)"
      ratio: double
      score: real
      sealed: boolean
      count: int
      raw: bytea
      note: text
    layouts:
      - {kind: load, columns: [dms_commit_ts, id, part, seen, sent, taken, weight, total, ratio, score, sealed, count, raw, note]}
      - {kind: cdc, columns: [Op, dms_commit_ts, id, part, seen, sent, taken, weight, total, ratio, score, sealed, count, raw, note, dms_change_seq, before_id]}
`), "tables.yaml")
	if err != nil {
		t.Fatal(err)
	}
	spec, err := registry.AssignIDs(nil, tables[0])
	if err != nil {
		t.Fatal(err)
	}
	spec.Version = 1
	return spec
}

// values writes the columns of a row behind its key.
func values(w *bufio.Writer, r *rand.Rand) {
	note := [...]string{"", `"two` + "\n" + `lines, one ""quote"""`, "plain", "ünïcode", `""`}[r.IntN(5)]
	if r.IntN(5000) == 0 {
		note = strings.Repeat("a long statement; ", 4000)
	}
	day := time.Unix(r.Int64N(4e9)-1e9, 0).UTC()
	fmt.Fprintf(w, "%s.%06d,%s+05:30,%s,%d.%03d,-%d.5,%g,%+e,%t,%d,%08x,%s",
		day.Format("2006-01-02 15:04:05"), r.IntN(1e6), day.Format("2006-01-02T15:04:05"), day.Format(time.DateOnly),
		r.IntN(1e9), r.IntN(1000), r.Int64(), r.NormFloat64(), float32(r.NormFloat64()), r.IntN(2) == 0, r.Int32()-1<<30,
		r.Uint32(), note)
}

// writeLoad writes a load whose keys come in order, but for some that come twice.
func writeLoad(w *bufio.Writer, rows int) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range rows {
		key := i
		if i%500 == 499 {
			key = r.IntN(i)
		}
		fmt.Fprintf(w, "2024-01-15 07:00:00,%d,%c,", key, 'a'+rune(key%3))
		values(w, r)
		w.WriteByte('\n')
	}
}

// writeChanges writes changes in no order of keys: of some keys many, with ties,
// deletes and moved keys.
func writeChanges(w *bufio.Writer, changes, keys int) {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range changes {
		key := r.IntN(keys * 2)
		if i%3 == 0 {
			key = r.IntN(50) // hot
		}
		op, before := "IUD"[r.IntN(3)], ""
		if op == 'U' && r.IntN(4) == 0 {
			before = fmt.Sprint(r.IntN(keys))
		}
		fmt.Fprintf(w, "%c,2024-01-15 08:00:00,%d,%c,", op, key, 'a'+rune(key%3))
		values(w, r)
		fmt.Fprintf(w, ",%035d,%s\n", 100+i-r.IntN(20)*(i%2), before)
	}
}

// put writes a file into the raw folder and makes a job of it.
func put(t *testing.T, raw *local.Bucket, spec registry.Table, key string, write func(*bufio.Writer)) jobs.Job {
	t.Helper()
	f, err := raw.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	write(w)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	info, err := raw.Stat(context.WithoutCancel(t.Context()), key)
	if err != nil {
		t.Fatal(err)
	}
	name, why := dms.ParseName(path.Base(key), dms.NameRules{})
	if why != nil {
		t.Fatal(why.Detail)
	}
	o := dms.Object{Bucket: raw.Name(), Key: key, ETag: info.ETag, Size: info.Size, LastModified: info.LastModified.UTC()}
	id := dms.NewFileID(o, name.Kind)
	file := dms.File{ID: id, Object: o, Kind: name.Kind, Order: dms.NewFileOrder(name, o.LastModified, id)}
	return jobs.Job{Table: spec, File: wire.FileRef(file), Token: 3}
}

// TestSameRowsAsGo: a large load and a large change file are staged by both engines
// as the same rows, provenance included, whether Spark spreads them or not.
func TestSameRowsAsGo(t *testing.T) {
	for way, name := range ways {
		t.Run(name, func(t *testing.T) {
			session := open(t, way)
			raw, _ := jobstest.Buckets(t)
			folder := raw.(*local.Bucket)
			spec := evidence(t)
			for _, job := range []jobs.Job{
				put(t, folder, spec, "dms/rms/evidence/LOAD00000001.csv", func(w *bufio.Writer) { writeLoad(w, *loadRows) }),
				put(t, folder, spec, "dms/rms/evidence/20240115-080000000.csv", func(w *bufio.Writer) { writeChanges(w, *loadRows/10, *loadRows) }),
			} {
				_, here := jobstest.Buckets(t)
				_, there := jobstest.Buckets(t)
				cfg := transform.DefaultConfig()
				cfg.ScratchDir = t.TempDir()
				want := stage(t, jobslocal.New(raw, here, nil, cfg), here, job)
				got := stage(t, localspark.New(session.Session, folder, there.(*local.Bucket), folder, plan.Tables{}), there, job)
				sameStaged(t, here, there, want, got)
			}
		})
	}
}

func stage(t *testing.T, runner jobs.Runner, staging objects.Bucket, job jobs.Job) transform.Manifest {
	t.Helper()
	began := time.Now()
	staged, err := runner.Run(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	m, err := transform.ReadManifest(t.Context(), staging, staged.GetManifestKey(), staged.GetManifestSha256())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %s in %.1fs: %+v, %d files of rows, %d of deletes", runner.Name(), path.Base(job.File.GetObject().GetKey()),
		time.Since(began).Seconds(), m.Counts, len(m.Rows), len(m.Deletes))
	return m
}

// sameStaged compares manifests but for how they cut their files, and all rows.
func sameStaged(t *testing.T, here, there objects.Bucket, want, got transform.Manifest) {
	t.Helper()
	if got.Counts != want.Counts || got.MinPosition != want.MinPosition || got.MaxPosition != want.MaxPosition ||
		got.Input != want.Input || !slices.Equal(got.Schema, want.Schema) {
		t.Errorf("Spark staged %+v, Go %+v", got, want)
	}
	if len(got.Rows) < 2 {
		t.Errorf("Spark staged the rows as %d files: no key ranges were tried", len(got.Rows))
	}
	for what, files := range map[string][2][]transform.StagedParquet{"rows": {want.Rows, got.Rows}, "deletes": {want.Deletes, got.Deletes}} {
		next, stop := iter.Pull2(stagedRows(t, there, files[1]))
		n := 0
		for row := range stagedRows(t, here, files[0]) {
			n++
			other, _, ok := next()
			if !ok || !row.Equal(other) {
				t.Errorf("%s, row %d: Spark has %v, Go %v", what, n, other, row)
				break
			}
		}
		if extra, _, ok := next(); ok && !t.Failed() {
			t.Errorf("%s: Spark has more, first %v", what, extra)
		}
		stop()
	}
}

// stagedRows gives the rows of files one after the other.
func stagedRows(t *testing.T, staging objects.Bucket, files []transform.StagedParquet) iter.Seq2[parquet.Row, struct{}] {
	return func(yield func(parquet.Row, struct{}) bool) {
		for _, file := range files {
			r, err := transform.OpenStaged(t.Context(), staging, file)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = r.Close() }()
			if err := r.VerifySHA256(t.Context()); err != nil {
				t.Error(err)
			}
			for row, err := range r.Rows(t.Context()) {
				if err != nil {
					t.Error(err)
					return
				}
				if !yield(row, struct{}{}) {
					return
				}
			}
		}
	}
}

// copyRaw puts the same files, with the same times, into another folder.
func copyRaw(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2024, 1, 15, 9, 0, 0, 0, time.UTC)
	err := filepath.WalkDir(to, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chtimes(name, at, at)
	})
	if err != nil {
		t.Fatal(err)
	}
}
