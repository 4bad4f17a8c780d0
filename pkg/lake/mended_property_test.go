package lake_test

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// mendedWorld publishes the files of a table, some of their rows bad at first
// and mended later.
type mendedWorld struct {
	*world
	raw, failed *local.Bucket
	spec        registry.Table
	token       uint64
}

func newMendedWorld(rt *rapid.T, dir string, spec registry.Table) *mendedWorld {
	w := &mendedWorld{world: newWorldIn(rt, dir, lake.DefaultConfig(), func(f func()) { rt.Cleanup(f) }), spec: spec}
	for name, b := range map[string]**local.Bucket{"raw": &w.raw, "failed": &w.failed} {
		var err error
		if *b, err = local.New(name, filepath.Join(dir, name)); err != nil {
			rt.Fatal(err)
		}
	}
	return w
}

// mendedFile is a file of the test: its rows as they should be, and which of them
// DMS wrote so that they cannot be read.
type mendedFile struct {
	kind dms.FileKind
	rows [][]string
	bad  []int // indices, each with the batch of mended rows in which it comes in
	in   map[int]int
}

func (f mendedFile) content(broken bool) string {
	var b strings.Builder
	b.WriteString("Op,id,old_id,n,seq\n")
	for i, row := range f.rows {
		row = slices.Clone(row)
		if broken && slices.Contains(f.bad, i) {
			row[3] = "x" + row[3]
		}
		b.WriteString(strings.Join(row, ",") + "\n")
	}
	return b.String()
}

func (w *mendedWorld) put(rt *rapid.T, b *local.Bucket, key, content string) dms.Object {
	out, err := b.Create(context.Background(), key)
	if err != nil {
		rt.Fatal(err)
	}
	if _, err := out.Write([]byte(content)); err != nil {
		rt.Fatal(err)
	}
	info, err := out.Commit(context.Background())
	if err != nil {
		rt.Fatal(err)
	}
	return dms.Object{Bucket: b.Name(), Key: key, ETag: info.ETag, Size: info.Size, LastModified: time.Date(2025, 3, 3, 9, 0, 0, 0, time.UTC)}
}

// file writes file n; its identity and order do not depend on what is broken.
func (w *mendedWorld) file(rt *rapid.T, n int, f mendedFile, broken bool) dms.File {
	id := dms.FileID(fmt.Sprintf("%032d", n))
	class := map[dms.FileKind]string{dms.KindLoad: "L", dms.KindChange: "T"}[f.kind]
	return dms.File{ID: id, Kind: f.kind, Object: w.put(rt, w.raw, fmt.Sprintf("%d.csv", n), f.content(broken)),
		Order: dms.FileOrder(fmt.Sprintf("%s%d/20250303090000000000000/%s", class, n, id))}
}

// mended writes the rows of one batch of file f as an operator mends them.
func (w *mendedWorld) mended(rt *rapid.T, n int, original dms.File, f mendedFile, batch int) dms.File {
	text := registry.Type{Kind: registry.String}
	h := transform.RejectedHeader{Table: w.spec.ID, FileID: original.ID, Kind: original.Kind, Order: original.Order, Token: 1, Delimiter: ","}
	for _, name := range []string{"Op", "id", "old_id", "n", "seq"} {
		h.Columns = append(h.Columns, transform.RejectedColumn{Name: name, Type: text})
	}
	var b strings.Builder
	out, err := transform.NewMendedWriter(&b, h)
	if err != nil {
		rt.Fatal(err)
	}
	for _, i := range f.bad {
		if f.in[i] != batch {
			continue
		}
		row := transform.MendedRow{Row: int64(i) + 2}
		for _, field := range f.rows[i] {
			if field == "" {
				row.Fields = append(row.Fields, nil)
			} else {
				row.Fields = append(row.Fields, &field)
			}
		}
		if err := out.Write(row); err != nil {
			rt.Fatal(err)
		}
	}
	id := dms.FileID(fmt.Sprintf("%031d%d", n, batch+1))
	return dms.File{ID: id, Kind: dms.KindChange, Object: w.put(rt, w.failed, string(id)+".jsonl", b.String()),
		Order:   dms.MendedOrder(original.Order, id),
		Mending: h.Mending()}
}

func (w *mendedWorld) takeIn(rt *rapid.T, f dms.File) transform.Counts {
	w.token++
	cfg := transform.DefaultConfig()
	cfg.ScratchDir = w.dir
	r, err := transform.Run(context.Background(), cfg, transform.Deps{Raw: w.raw, Staging: w.staging, Failed: w.failed},
		transform.Job{Table: w.spec, File: f, Token: w.token})
	if err != nil {
		rt.Fatal(err)
	}
	mode := lake.Merge
	if f.Kind == dms.KindLoad {
		mode = lake.Replace
	}
	w.publish(rt, w.spec, w.token, mode, lake.Part{FileID: f.ID, Kind: f.Kind, ManifestKey: r.ManifestKey, ManifestSHA256: r.ManifestSHA256})
	return r.Manifest.Counts
}

// lines gives what the table holds: columns, row number and position, but not
// which file brought them.
func (w *mendedWorld) lines(rt *rapid.T) []string {
	set, err := w.lake.Rows(context.Background(), w.spec.ID)
	if err != nil {
		rt.Fatal(err)
	}
	var out []string
	for row, err := range set.All(context.Background()) {
		if err != nil {
			rt.Fatal(err)
		}
		line := fmt.Sprintf("%d|%s", row.Number, row.Position)
		for i, v := range row.Values {
			line += "|" + lake.FormatValue(set.Columns[i].Type, v)
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

func drawMendedFiles(rt *rapid.T, keyed bool, mode dms.OrderMode) []mendedFile {
	files := make([]mendedFile, rapid.IntRange(1, 3).Draw(rt, "files"))
	for n := range files {
		f := &files[n]
		f.kind, f.in = dms.KindChange, map[int]int{}
		if n == 0 && rapid.Bool().Draw(rt, "load") {
			f.kind = dms.KindLoad
		}
		for i := range rapid.IntRange(2, 7).Draw(rt, "rows") {
			op, old := "I", ""
			if keyed {
				op = rapid.SampledFrom([]string{"I", "U", "U", "D"}).Draw(rt, "op")
				if rapid.Bool().Draw(rt, "moved") {
					old = fmt.Sprint(rapid.IntRange(1, 4).Draw(rt, "old"))
				}
			}
			seq := fmt.Sprintf("%035d", rapid.IntRange(0, 9).Draw(rt, "seq"))
			if mode == dms.OrderByTimestamp {
				seq = "2025-01-01 00:00:0" + seq[34:]
			}
			f.rows = append(f.rows, []string{op, fmt.Sprint(rapid.IntRange(1, 4).Draw(rt, "id")), old, fmt.Sprint(100*n + i), seq})
			// A delete says nothing but its key, so that it is not broken here.
			if op != "D" && i > 0 && rapid.IntRange(0, 2).Draw(rt, "bad") > 0 {
				f.bad = append(f.bad, i)
				f.in[i] = rapid.IntRange(0, 1).Draw(rt, "batch")
			}
		}
	}
	return files
}

// TestMendedRowsAreAsIfNeverBad: whatever rows of whatever files are bad, and
// whenever they come in mended, the table ends as if all had been good.
func TestMendedRowsAreAsIfNeverBad(t *testing.T) {
	mended := 0
	fewerChecks(t, 30) // each makes two tables
	rapid.Check(t, func(rt *rapid.T) {
		mode := rapid.SampledFrom([]dms.OrderMode{dms.OrderByChangeSeq, dms.OrderByTimestamp, dms.OrderByFile}).Draw(rt, "mode")
		keyed := rapid.IntRange(0, 3).Draw(rt, "keyless") > 0
		files := drawMendedFiles(rt, keyed, mode)
		spec := mendedSpec(keyed, mode)
		good, bad := newMendedWorld(rt, t.TempDir(), spec), newMendedWorld(rt, t.TempDir(), spec)
		for n, f := range files {
			good.takeIn(rt, good.file(rt, n+1, f, false))
		}
		mended += takeInMended(rt, bad, files)
		if got, want := bad.lines(rt), good.lines(rt); !slices.Equal(got, want) {
			rt.Fatalf("the table holds\n%s\nif all were good\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
	if mended == 0 {
		t.Error("no row was mended")
	}
}

// fewerChecks has a test draw fewer times than others, unless more are asked for with
// -rapid.checks. No test of this package runs beside another.
func fewerChecks(t *testing.T, n int) {
	t.Helper()
	const name = "rapid.checks"
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == name })
	if asked {
		return
	}
	before := flag.Lookup(name).Value.String()
	set := func(to string) {
		if err := flag.Set(name, to); err != nil {
			t.Fatal(err)
		}
	}
	set(strconv.Itoa(n))
	t.Cleanup(func() { set(before) })
}

func mendedSpec(keyed bool, mode dms.OrderMode) registry.Table {
	ptr := func(s string) *string { return &s }
	spec := table("rms", "mended", nil, registry.Column{Name: "id", Type: registry.Type{Kind: registry.Int}},
		registry.Column{Name: "n", Type: registry.Type{Kind: registry.Int}})
	spec.OnBadRow = registry.OnBadRowQuarantine
	spec.DMS = registry.Settings{Format: registry.FormatCSV, Header: true, Delimiter: ",", OpColumn: ptr("Op"), BeforeImagePrefix: ptr("old_")}
	switch mode {
	case dms.OrderByChangeSeq:
		spec.DMS.ChangeSeqColumn = ptr("seq")
	case dms.OrderByTimestamp:
		spec.DMS.TimestampColumn = ptr("seq")
	default:
		spec.Columns = append(spec.Columns, registry.Column{ID: 9, Name: "seq", Type: registry.Type{Kind: registry.String}})
	}
	if keyed {
		spec.PrimaryKey = []string{"id"}
	}
	return spec
}

// takeInMended publishes all files and their mended rows in a random order, the
// load first, since it replaces the table, and mended rows after their file.
func takeInMended(rt *rapid.T, w *mendedWorld, files []mendedFile) (mended int) {
	type step struct{ file, batch int } // batch -1: the file itself
	var steps []step
	for n, f := range files {
		steps = append(steps, step{n, -1})
		for batch := range 2 {
			if slices.ContainsFunc(f.bad, func(i int) bool { return f.in[i] == batch }) {
				steps = append(steps, step{n, batch})
			}
		}
	}
	originals := map[int]dms.File{}
	for len(steps) > 0 {
		var may []int
		for i, s := range steps {
			_, there := originals[s.file]
			_, loaded := originals[0]
			if there != (s.batch < 0) && (loaded || s.file == 0 || files[0].kind != dms.KindLoad) {
				may = append(may, i)
			}
		}
		i := rapid.SampledFrom(may).Draw(rt, "next")
		s := steps[i]
		steps = slices.Delete(steps, i, i+1)
		f := files[s.file]
		if s.batch < 0 {
			originals[s.file] = w.file(rt, s.file+1, f, true)
			if c := w.takeIn(rt, originals[s.file]); c.Rejected != int64(len(f.bad)) {
				rt.Fatalf("%d rows are set aside, %d are bad", c.Rejected, len(f.bad))
			}
			continue
		}
		mended += int(w.takeIn(rt, w.mended(rt, s.file+1, originals[s.file], f, s.batch)).RowsRead)
	}
	return mended
}
