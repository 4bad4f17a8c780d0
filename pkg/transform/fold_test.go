package transform

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// change is one change of the model.
type change struct {
	op        string
	order     string // sequence or timestamp text; ordered as text
	a         int
	b         string
	value     string
	oldA      int // key column a before; 0: no before-image
	row       int
	isRemoval bool
}

// foldTable has a key of two columns.
func foldTable(mode dms.OrderMode) registry.Table {
	t := registry.Table{
		ID: dms.TableID{DB: "rms", Table: "attributes"}, Version: 3, PrimaryKey: []string{"b", "a"},
		DMS: registry.Settings{Format: registry.FormatCSV, Delimiter: ";", OpColumn: ptr("Op"), BeforeImagePrefix: ptr("old_")},
		Columns: []registry.Column{column(1, "a", "int"), column(2, "value", "string"),
			column(3, "b", "string")},
		Provenance: registry.Provenance{File: 4, Row: 5, Position: 6, Next: 7},
		Layouts:    []registry.Layout{{Kind: dms.KindChange, Columns: []string{"Op", "a", "value", "b", "old_a"}}},
	}
	switch mode {
	case dms.OrderByChangeSeq:
		t.DMS.ChangeSeqColumn = ptr("o")
	case dms.OrderByTimestamp:
		t.DMS.TimestampColumn = ptr("o")
	}
	if mode != dms.OrderByFile {
		t.Layouts[0].Columns = append(t.Layouts[0].Columns, "o")
	}
	return t
}

// foldModel is the plain meaning of a transform.
func foldModel(changes []change) (rows, deletes []string, counts Counts) {
	last := map[string]change{}
	all := map[string][]change{}
	apply := func(c change) {
		key := c.b + "\x00" + strconv.Itoa(c.a)
		all[key] = append(all[key], c)
		old, known := last[key]
		if known {
			counts.DuplicatesDropped++
		}
		if !known || cmp.Or(strings.Compare(c.order, old.order), cmp.Compare(c.row, old.row)) > 0 {
			last[key] = c
		}
	}
	for _, c := range changes {
		counts.RowsRead++
		switch c.op {
		case "I":
			counts.Inserts++
		case "U":
			counts.Updates++
			if c.oldA != 0 && c.oldA != c.a {
				counts.KeysMoved++
				apply(change{a: c.oldA, b: c.b, order: c.order, row: c.row, isRemoval: true})
			}
		case "D":
			counts.Deletes++
			c.isRemoval = true
		}
		apply(c)
	}
	keys := slices.SortedFunc(maps.Values(last), func(x, y change) int {
		return cmp.Or(strings.Compare(x.b, y.b), cmp.Compare(x.a, y.a))
	})
	for _, c := range keys {
		if c.isRemoval {
			deletes = append(deletes, fmt.Sprintf("%s|%d|#%d", c.b, c.a, c.row))
		} else {
			rows = append(rows, fmt.Sprintf("%d|%s|%s|#%d", c.a, c.value, c.b, c.row))
		}
		for _, other := range all[c.b+"\x00"+strconv.Itoa(c.a)] {
			if c.order != "" && other.order == c.order && other.row != c.row {
				counts.AmbiguousTies++
			}
		}
	}
	return rows, deletes, counts
}

func drawChanges(rt *rapid.T, mode dms.OrderMode) []change {
	gen := rapid.Custom(func(rt *rapid.T) change {
		c := change{
			op:    rapid.SampledFrom([]string{"I", "U", "U", "D"}).Draw(rt, "op"),
			a:     rapid.IntRange(-3, 3).Filter(func(n int) bool { return n != 0 }).Draw(rt, "a"),
			b:     rapid.SampledFrom([]string{"x", "xy", "y", "x\x00"}).Draw(rt, "b"),
			value: rapid.SampledFrom([]string{"v", "w", "a \"quoted\"; one", "two\nlines", strings.Repeat("long", 300)}).Draw(rt, "value"),
		}
		if rapid.Bool().Draw(rt, "moved") {
			c.oldA = rapid.IntRange(1, 3).Draw(rt, "old")
		}
		n := rapid.IntRange(0, 9).Draw(rt, "order")
		switch mode {
		case dms.OrderByChangeSeq:
			c.order = seqOf(n)
		case dms.OrderByTimestamp:
			c.order = fmt.Sprintf("1969-12-31 23:59:5%d", n)
		}
		return c
	})
	changes := rapid.SliceOfN(gen, 0, 60).Draw(rt, "changes")
	for i := range changes {
		changes[i].row = i + 1
	}
	return changes
}

func csvOfChanges(changes []change, mode dms.OrderMode) string {
	var buf strings.Builder
	for _, c := range changes {
		old := ""
		if c.oldA != 0 {
			old = strconv.Itoa(c.oldA)
		}
		fmt.Fprintf(&buf, `%s;%d;"%s";"%s";%s`, c.op, c.a, strings.ReplaceAll(c.value, `"`, `""`), c.b, old)
		if mode != dms.OrderByFile {
			buf.WriteString(";" + c.order)
		}
		buf.WriteByte('\n')
	}
	return buf.String()
}

// TestTransformIsAFold: whatever the changes, what is staged is what a plain
// fold leaves, and the same bytes whatever the memory, fan-in and workers.
func TestTransformIsAFold(t *testing.T) {
	spilled := 0
	for _, mode := range []dms.OrderMode{dms.OrderByChangeSeq, dms.OrderByTimestamp, dms.OrderByFile} {
		t.Run(mode.String(), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				changes := drawChanges(rt, mode)
				b := newBench(t, foldTable(mode))
				f := b.put(changeKey, csvOfChanges(changes, mode))
				r := b.mustRun(f)
				rows, deletes, counts := foldModel(changes)
				if got := b.stagedRows(r.Manifest.Rows); !slices.Equal(got, rows) {
					rt.Fatalf("rows are %q, want %q", got, rows)
				}
				if got := b.stagedRows(r.Manifest.Deletes); !slices.Equal(got, deletes) {
					rt.Fatalf("deletes are %q, want %q", got, deletes)
				}
				if r.Manifest.Counts != counts {
					rt.Fatalf("counts are %+v, want %+v", r.Manifest.Counts, counts)
				}
				small := newBench(t, b.table)
				small.raw = b.raw
				small.cfg.MemoryBytes = rapid.Int64Range(1, 6000).Draw(rt, "memory")
				small.cfg.FanIn = rapid.IntRange(2, 4).Draw(rt, "fan-in")
				small.cfg.Workers = rapid.IntRange(1, 5).Draw(rt, "workers")
				small.mustRun(f)
				if small.cfg.MemoryBytes < 1000 && len(changes) > 10 {
					spilled++
				}
				sameObjects(rt, b.staging, small.staging)
			})
		})
	}
	if spilled == 0 {
		t.Error("nothing was spilled")
	}
}

type fataler interface{ Fatalf(string, ...any) }

func sameObjects(t fataler, a, b *memBucket) {
	if x, y := a.keys(), b.keys(); !slices.Equal(x, y) {
		t.Fatalf("objects %q and %q", x, y)
	}
	for key, data := range a.objects {
		if !bytes.Equal(data, b.objects[key]) {
			t.Fatalf("%s has other bytes", key)
		}
	}
}

// TestManyFiles: row groups and files end by their limits, in the same place
// whatever the memory; columns that outgrow a dictionary, are long or null keep
// their values.
func TestManyFiles(t *testing.T) {
	table := registry.Table{
		ID: dms.TableID{DB: "rms", Table: "many"}, Version: 1, PrimaryKey: []string{"id"},
		DMS: registry.Settings{Format: registry.FormatCSV, Delimiter: ",", OpColumn: ptr("Op")},
		Columns: []registry.Column{column(1, "id", "bigint"), column(2, "few", "string"), column(3, "grows", "string"),
			column(4, "sparse", "decimal(30,4)"), column(5, "flag", "boolean"), column(6, "ratio", "real"), column(7, "long", "string")},
		Provenance: registry.Provenance{File: 8, Row: 9, Position: 10, Next: 11},
	}
	const n = 20_000
	var content strings.Builder
	var want []string
	var deleted []string
	for i := range n {
		few, grows, sparse, shown, long := fmt.Sprint("few", i%7), "same", "", `\N`, ""
		if i > 3000 {
			grows = strings.Repeat(fmt.Sprint(i), 60)
		}
		if i%10 == 0 {
			sparse, shown = "-1.25", strings.Repeat("f", 22)+"cf2c"
		}
		if i%5000 == 17 {
			long = strings.Repeat("x", 3<<20)
		}
		op := "I"
		if i%4 == 3 {
			op = "D"
			deleted = append(deleted, fmt.Sprintf("%d|#%d", i, i+1))
		} else {
			want = append(want, fmt.Sprintf("%d|%s|%s|%s|%t|%v|%s|#%d", i, few, grows, shown, i%2 == 0, float32(i)/4, orNull(long), i+1))
		}
		fmt.Fprintf(&content, "%s,%d,%s,%s,%s,%t,%v,%s\n", op, i, few, grows, sparse, i%2 == 0, float32(i)/4, long)
	}
	b := newBench(t, table)
	b.cfg.MaxGroupRows, b.cfg.MaxFileRows = 3000, 5000
	f := b.put(changeKey, content.String())
	r := b.mustRun(f)
	if len(r.Manifest.Rows) < 3 {
		t.Errorf("%d files", len(r.Manifest.Rows))
	}
	compareLines(t, b.stagedRows(r.Manifest.Rows), want)
	compareLines(t, b.stagedRows(r.Manifest.Deletes), deleted)

	small := newBench(t, table)
	small.raw, small.cfg.MaxGroupRows, small.cfg.MaxFileRows = b.raw, 3000, 5000
	small.cfg.MemoryBytes, small.cfg.FanIn, small.cfg.Workers = 1<<20, 3, 1
	small.mustRun(f)
	sameObjects(t, b.staging, small.staging)
}

func orNull(s string) string {
	if s == "" {
		return `\N`
	}
	return s
}

func compareLines(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("line %d is %.300q, want %.300q", i, got[i], want[i])
		}
	}
}
