package lake_test

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects"
)

// countedBucket knows how many of its Parquet files are open at once, at most.
type countedBucket struct {
	objects.Bucket
	open, most *atomic.Int64
}

func (b countedBucket) Open(ctx context.Context, key string, v objects.Version) (objects.Reader, error) {
	r, err := b.Bucket.Open(ctx, key, v)
	if err != nil || !strings.HasSuffix(key, ".parquet") {
		return r, err
	}
	for n := b.open.Add(1); ; {
		if most := b.most.Load(); n <= most || b.most.CompareAndSwap(most, n) {
			return countedReader{r, b.open}, nil
		}
	}
}

type countedReader struct {
	objects.Reader
	open *atomic.Int64
}

func (r countedReader) Close() error {
	r.open.Add(-1)
	return r.Reader.Close()
}

// overlappingParts stages files whose keys interleave: each key is in several of
// them, and deleted in some.
func (w *world) overlappingParts(t *testing.T, n int) []lake.Part {
	t.Helper()
	var parts []lake.Part
	for i := range n {
		var changes []change
		for id := int64(0); id < 60; id++ {
			switch pos := fmt.Sprintf("%016x/%04d", (i*7)%n/4, i); { // four parts share a time
			case (id+int64(i))%4 == 0:
				changes = append(changes, report(id, fmt.Sprint("part ", i), pos, id+1))
			case (id+int64(i))%9 == 0:
				changes = append(changes, removal(id, pos, id+1))
			}
		}
		changes = append(changes, report(int64(1000+i), "its own", fmt.Sprintf("%016x/%04d", i, i), 1000))
		parts = append(parts, w.stage(t, reports(), stagedSpec{file: fmt.Sprintf("c%04d", i), kind: dms.KindChange, token: 1, changes: changes, perFile: 11}))
	}
	return parts
}

// TestMergesInPasses: with whatever fan-in, the table and what is told of each file
// are the same, and no more files are open than it says.
func TestMergesInPasses(t *testing.T) {
	const parts = 23
	var rows []string
	var told lake.Result
	for _, fanIn := range []int{1000, 2, 5, 22} {
		t.Run(fmt.Sprint("fan-in ", fanIn), func(t *testing.T) {
			cfg := lake.DefaultConfig()
			cfg.MergeFanIn, cfg.ScratchDir = fanIn, t.TempDir()
			w := quickWorld(t, cfg)
			open, most := &atomic.Int64{}, &atomic.Int64{}
			list := w.overlappingParts(t, parts)
			w.staging = countedBucket{w.staging, open, most}
			l := w.open(t, nil)
			r, err := l.Publish(t.Context(), lake.Request{Spec: reports(), Token: 1, Mode: lake.Replace, Generation: 1, Parts: list})
			if err != nil {
				t.Fatal(err)
			}
			r.SnapshotID = 0
			got := w.rows(t, reports().ID)
			if rows == nil {
				rows, told = got, r
				if !slices.ContainsFunc(r.Files, func(f lake.FileCount) bool { return f.Ties > 0 }) {
					t.Fatal("nothing ties: the test shows nothing of it")
				}
				if most.Load() < parts {
					t.Fatalf("%d files were open at once: the test shows nothing", most.Load())
				}
			}
			expect(t, got, rows...)
			if !reflect.DeepEqual(r, told) {
				t.Errorf("it tells\n%+v, in one pass\n%+v", r, told)
			}
			if most.Load() > int64(fanIn) || open.Load() != 0 {
				t.Errorf("%d files were open at once, and %d still are", most.Load(), open.Load())
			}
			if left := filesBelow(t, cfg.ScratchDir); len(left) > 0 {
				t.Errorf("left in the scratch folder: %v", left)
			}
		})
	}
}

// TestASearchForOrphansReadsNoListTwice.
func TestASearchForOrphansReadsNoListTwice(t *testing.T) {
	w := quickWorld(t, delta())
	spec := reports()
	token := w.churn(t, spec, 30, 20)
	reads := &countedReads{Bucket: w.io.Bucket()}
	io, err := lake.NewIO(reads, w.io.Base())
	if err != nil {
		t.Fatal(err)
	}
	l, err := lake.Open(t.Context(), w.cfg, lake.Deps{Catalog: w.catalog, IO: io, Staging: w.staging})
	if err != nil {
		t.Fatal(err)
	}
	search := func() (int64, lake.Orphans) {
		reads.n.Store(0)
		c, err := l.Contents(t.Context(), spec.ID)
		if err != nil {
			t.Fatal(err)
		}
		return reads.n.Load(), c.Orphans
	}
	first, found := search()
	second, again := search()
	if first < int64(token) || second > first/2 || found.Young != again.Young || found.Old != again.Old {
		t.Errorf("%d snapshots: the first search read %d objects and found %+v, the second %d and %+v", token, first, found, second, again)
	}
	w.write(t, "rms/reports/data/another.parquet")
	if _, more := search(); more.Young != found.Young+1 {
		t.Errorf("a new orphan is not found: %+v", more)
	}
}

// countedReads counts what is opened of the metadata.
type countedReads struct {
	objects.Bucket
	n atomic.Int64
}

func (b *countedReads) Open(ctx context.Context, key string, v objects.Version) (objects.Reader, error) {
	if strings.HasSuffix(key, ".avro") {
		b.n.Add(1)
	}
	return b.Bucket.Open(ctx, key, v)
}

func filesBelow(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestTiesBetweenFiles: changes of one key with one time in several files are counted
// for the file that counts, within a commit and against the table.
func TestTiesBetweenFiles(t *testing.T) {
	w := quickWorld(t, delta())
	at := func(time int, file string) string { return fmt.Sprintf("%016x/%s", time, file) }
	stage := func(file string, token uint64, changes ...change) lake.Part {
		return w.stage(t, reports(), stagedSpec{file: file, kind: dms.KindChange, token: token, changes: changes})
	}
	ties := func(token uint64, parts ...lake.Part) (counts []int64) {
		t.Helper()
		r, err := w.open(t, nil).Publish(t.Context(), lake.Request{Spec: reports(), Token: token, Mode: lake.Merge, Parts: parts})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Files {
			counts = append(counts, f.Ties)
		}
		return counts
	}
	got := ties(1,
		stage("a", 1, report(1, "a", at(5, "a"), 1), report(2, "a", at(5, "a"), 2), report(3, "a", at(5, "a"), 3)),
		stage("b", 1, report(1, "b", at(5, "b"), 1), report(2, "b", at(6, "b"), 2), removal(3, at(5, "b"), 3)))
	if !slices.Equal(got, []int64{0, 2}) { // 1 and 3 tie, 2 is later
		t.Errorf("within a commit: %v", got)
	}
	got = ties(2, stage("c", 2,
		report(1, "c", at(5, "c"), 1), // ties with the row of b
		report(2, "c", at(7, "c"), 2),
		report(3, "c", at(5, "c"), 3), // ties with the delete of b
		report(4, "c", at(5, "c"), 4)))
	if !slices.Equal(got, []int64{2}) {
		t.Errorf("against the table: %v", got)
	}
	got = ties(3, stage("a2", 3, report(1, "late", at(5, "aa"), 1))) // loses its tie, and is told of it
	if !slices.Equal(got, []int64{1}) {
		t.Errorf("a late file: %v", got)
	}
	for n, order := range []string{"xyz", "zyx", "yzx"} { // three of one time, whichever comes first
		token := uint64(4 + n)
		var parts []lake.Part
		for i, file := range order {
			parts = append(parts, stage(fmt.Sprint(n, string(file)), token, report(int64(50+n), "x", at(5, string(file)), int64(i+1))))
		}
		got, want := ties(token, parts...), make([]int64, 3)
		want[strings.IndexByte(order, 'z')] = 2
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, expected %v", order, got, want)
		}
	}
}

// TestTiesInAnyOrder: a delete and two changes of one key with one time are two ties,
// in whatever order they are published.
func TestTiesInAnyOrder(t *testing.T) {
	at := func(file string) string { return fmt.Sprintf("%016x/%s", 5, file) }
	spec := reports()
	changes := map[string]change{"g1": removal(9, at("g1"), 1), "g2": report(9, "b", at("g2"), 1), "g3": report(9, "c", at("g3"), 1)}
	for _, order := range [][]string{{"g1", "g2", "g3"}, {"g1", "g3", "g2"}, {"g2", "g1", "g3"}, {"g2", "g3", "g1"}, {"g3", "g1", "g2"}, {"g3", "g2", "g1"}} {
		w := quickWorld(t, delta())
		ties := int64(0)
		for i, file := range order {
			token := uint64(i + 1)
			r := w.publish(t, spec, token, lake.Merge, w.stage(t, spec, stagedSpec{file: file, kind: dms.KindChange, token: token, changes: []change{changes[file]}}))
			ties += r.Files[0].Ties
		}
		if ties != 2 {
			t.Errorf("%v: %d ties", order, ties)
		}
		expect(t, w.rows(t, spec.ID), "9|c|-41.00")
	}
}
