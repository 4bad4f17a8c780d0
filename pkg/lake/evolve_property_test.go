package lake_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// family is what a column of the source may hold over time: types of which each
// reads as the next. The texts fit them all, from the width on.
type family struct {
	types []string
	nodes []parquet.Node
	cell  func(width int, n int64) (any, string)
}

func fixedDecimal(precision, width int) parquet.Node {
	return parquet.Decimal(2, precision, parquet.FixedLenByteArrayType(width))
}

var families = map[string]family{
	"whole": {types: []string{"int", "long"}, nodes: []parquet.Node{parquet.Int(32), parquet.Int(64)}, cell: func(width int, n int64) (any, string) {
		if width == 0 {
			return int32(n), fmt.Sprint(n)
		}
		return n << 33, fmt.Sprint(n << 33)
	}},
	"real": {types: []string{"float", "double"}, nodes: []parquet.Node{parquet.Leaf(parquet.FloatType), parquet.Leaf(parquet.DoubleType)}, cell: func(width int, n int64) (any, string) {
		if width == 0 {
			return float32(n) + 0.5, fmt.Sprint(float32(n) + 0.5)
		}
		return float64(n) + 0.1, fmt.Sprint(float64(n) + 0.1)
	}},
	"money": {types: []string{"decimal(8,2)", "decimal(16,2)", "decimal(30,2)"}, nodes: []parquet.Node{fixedDecimal(8, 4), fixedDecimal(16, 7), fixedDecimal(30, 13)}, cell: func(width int, n int64) (any, string) {
		b := make([]byte, []int{4, 7, 13}[width])
		if n < 0 {
			for i := range b {
				b[i] = 0xff
			}
		}
		b[len(b)-1] = byte(n)
		sign := ""
		if n < 0 {
			sign, n = "-", -n
		}
		return b, fmt.Sprintf("%s0.%02d", sign, n)
	}},
	"text": {types: []string{"string"}, nodes: []parquet.Node{parquet.String()}, cell: func(_ int, n int64) (any, string) {
		return fmt.Sprintf("é%d", n), fmt.Sprintf("é%d", n)
	}},
}

// sourceRow is a row of the source at one time.
type sourceRow struct {
	seq     int
	deleted bool
	cells   map[string]string // by folded name; null where there is none
}

// source is a table at its source, whose columns come, go and widen.
type source struct {
	*world
	raw     *local.Bucket
	spec    registry.Table
	columns []string // that files may have, beside the key
	kinds   map[string]string
	model   map[int64]sourceRow
	seq     []int // the sequence numbers not yet taken, in random order
	files   int
}

func newSource(rt *rapid.T, w *world) *source {
	ptr := func(s string) *string { return &s }
	s := &source{world: w, kinds: map[string]string{}, model: map[int64]sourceRow{}, columns: []string{"n", "fee", "Beat", "shift", "a.b", "Çok güzel"}}
	var err error
	if s.raw, err = local.New("raw", filepath.Join(w.dir, "raw")); err != nil {
		rt.Fatal(err)
	}
	s.spec = counters()
	s.spec.ID.Table = "source"
	s.spec.Columns[1].Type = registry.Type{Kind: registry.Int}
	s.spec.DMS = registry.Settings{Format: registry.FormatCSV, Header: true, Delimiter: ",", OpColumn: ptr("Op"), ChangeSeqColumn: ptr("seq")}
	if rapid.Bool().Draw(rt, "parquet") {
		s.spec.DMS.Format = registry.FormatParquet
	}
	for _, name := range s.columns {
		s.kinds[name] = "text"
		if s.spec.DMS.Format == registry.FormatParquet {
			s.kinds[name] = rapid.SampledFrom([]string{"whole", "real", "money", "text"}).Draw(rt, name)
		}
	}
	s.kinds["id"], s.kinds["n"] = "whole", "whole"
	s.seq = rapid.Permutation(numbers(200)).Draw(rt, "sequence")
	return s
}

func numbers(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// drawColumns chooses what a file has beside the key, and how wide that is.
func (s *source) drawColumns(rt *rapid.T) (names []string, widths map[string]int) {
	widths = map[string]int{}
	for _, name := range append([]string{"id"}, s.columns...) {
		if name != "id" {
			if rapid.IntRange(0, 2).Draw(rt, "lacks "+name) > 0 {
				continue
			}
			names = append(names, name)
		}
		if s.spec.DMS.Format == registry.FormatParquet {
			widths[name] = rapid.IntRange(0, len(families[s.kinds[name]].types)-1).Draw(rt, "width of "+name)
		}
	}
	return names, widths
}

// draw makes a file, puts it into the raw bucket and into the model.
func (s *source) draw(rt *rapid.T) dms.File {
	s.files++
	names, widths := s.drawColumns(rt)
	keyWidth := widths["id"]
	table := [][]any{}
	for range rapid.IntRange(0, 5).Draw(rt, "rows") {
		id, op := rapid.Int64Range(-3, 3).Draw(rt, "id"), rapid.SampledFrom([]string{"I", "U", "D"}).Draw(rt, "op")
		row := sourceRow{seq: s.seq[0], deleted: op == "D", cells: map[string]string{}}
		s.seq = s.seq[1:]
		key := any(int32(id))
		if keyWidth == 1 {
			key = id
		}
		cells := []any{op, fmt.Sprintf("%035d", row.seq), key}
		for _, name := range names {
			n := rapid.Int64Range(-99, 99).Draw(rt, name)
			if n > 80 || row.deleted {
				cells = append(cells, nil)
				continue
			}
			v, text := families[s.kinds[name]].cell(widths[name], n)
			row.cells[registry.FoldName(name)] = text
			if s.spec.DMS.Format == registry.FormatCSV {
				v = text
			}
			cells = append(cells, v)
		}
		if old, ok := s.model[id]; !ok || old.seq < row.seq {
			s.model[id] = row
		}
		table = append(table, cells)
	}
	nodes := []parquet.Node{parquet.String(), parquet.String(), families["whole"].nodes[keyWidth]}
	for _, name := range names {
		nodes = append(nodes, families[s.kinds[name]].nodes[widths[name]])
	}
	for i, name := range names {
		if rapid.Bool().Draw(rt, "upper case") {
			names[i] = strings.ToUpper(name)
		}
	}
	names = append([]string{"Op", "seq", "id"}, names...)
	if s.spec.DMS.Format == registry.FormatCSV {
		return s.put(rt, "csv", csvFile(rt, names, table))
	}
	return s.put(rt, "parquet", parquetFile(rt, names, nodes, table))
}

func csvFile(rt *rapid.T, names []string, rows [][]any) []byte {
	order := rapid.Permutation(numbers(len(names))).Draw(rt, "order")
	var b bytes.Buffer
	line := func(cell func(i int) string) {
		for n, i := range order {
			if n > 0 {
				b.WriteByte(',')
			}
			b.WriteString(cell(i))
		}
		b.WriteByte('\n')
	}
	line(func(i int) string { return names[i] })
	for _, row := range rows {
		line(func(i int) string {
			if row[i] == nil {
				return ""
			}
			return fmt.Sprint(row[i])
		})
	}
	return b.Bytes()
}

func parquetFile(rt *rapid.T, names []string, nodes []parquet.Node, rows [][]any) []byte {
	group := parquet.Group{}
	for i, name := range names {
		group[name] = parquet.Optional(nodes[i])
	}
	place := map[string]int{}
	for i, name := range slices.Sorted(maps.Keys(group)) {
		place[name] = i
	}
	var b bytes.Buffer
	w := parquet.NewWriter(&b, parquet.NewSchema("source", group))
	for _, row := range rows {
		values := make(parquet.Row, len(row))
		for i, v := range row {
			at := place[names[i]]
			switch v := v.(type) {
			case nil:
				values[at] = parquet.NullValue().Level(0, 0, at)
			case []byte:
				values[at] = parquet.FixedLenByteArrayValue(v).Level(0, 1, at)
			default:
				values[at] = parquet.ValueOf(v).Level(0, 1, at)
			}
		}
		if _, err := w.WriteRows([]parquet.Row{values}); err != nil {
			rt.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		rt.Fatal(err)
	}
	return b.Bytes()
}

func (s *source) put(rt *rapid.T, ending string, data []byte) dms.File {
	key := fmt.Sprintf("dms/source/20250303-%09d.%s", s.files, ending)
	out, err := s.raw.Create(context.Background(), key)
	if err != nil {
		rt.Fatal(err)
	}
	if _, err := out.Write(data); err != nil {
		rt.Fatal(err)
	}
	if _, err := out.Commit(context.Background()); err != nil {
		rt.Fatal(err)
	}
	o := dms.Object{Bucket: "raw", Key: key, ETag: hashOf(data), Size: int64(len(data)), LastModified: time.Date(2025, 3, 3, 9, 0, 0, 0, time.UTC)}
	name, why := dms.ParseName(filepath.Base(key), dms.NameRules{Place: dms.Anywhere})
	if why != nil {
		rt.Fatal(why.Detail)
	}
	id := dms.NewFileID(o, name.Kind)
	return dms.File{ID: id, Object: o, Kind: name.Kind, Order: dms.NewFileOrder(name, o.LastModified, id)}
}

// transformed stages a file twice: what is staged depends on nothing else.
func (s *source) transformed(rt *rapid.T, f dms.File, token uint64) lake.Part {
	again, err := local.New("again", filepath.Join(s.dir, "again-"+rand.Text()))
	if err != nil {
		rt.Fatal(err)
	}
	cfg := transform.DefaultConfig()
	cfg.ScratchDir = s.dir
	job := transform.Job{Table: s.spec, File: f, Token: token}
	r, err := transform.Run(context.Background(), cfg, transform.Deps{Raw: s.raw, Staging: s.staging}, job)
	if err != nil {
		rt.Fatal(err)
	}
	twin, err := transform.Run(context.Background(), cfg, transform.Deps{Raw: s.raw, Staging: again}, job)
	if err != nil || twin.ManifestSHA256 != r.ManifestSHA256 {
		rt.Fatalf("staged again it is %v (%v)", twin, err)
	}
	return lake.Part{FileID: f.ID, Kind: f.Kind, ManifestKey: r.ManifestKey, ManifestSHA256: r.ManifestSHA256}
}

// lines gives the model's rows: the key, then what is not null, by name.
func (s *source) lines() []string {
	var out []string
	for id, row := range s.model {
		if !row.deleted {
			out = append(out, lineOf(fmt.Sprint(id), row.cells))
		}
	}
	slices.Sort(out)
	return out
}

func lineOf(id string, cells map[string]string) string {
	line := id
	for _, name := range slices.Sorted(maps.Keys(cells)) {
		line += "|" + name + "=" + cells[name]
	}
	return line
}

func (s *source) read(rt *rapid.T) []string {
	set, err := s.lake.Rows(context.Background(), s.spec.ID)
	if err != nil {
		rt.Fatal(err)
	}
	var out []string
	for row, err := range set.All(context.Background()) {
		if err != nil {
			rt.Fatal(err)
		}
		cells := map[string]string{}
		for i, v := range row.Values[1:] {
			if !v.IsNull() {
				cells[registry.FoldName(set.Columns[i+1].Name)] = lake.FormatValue(set.Columns[i+1].Type, v)
			}
		}
		out = append(out, lineOf(lake.FormatValue(set.Columns[0].Type, row.Values[0]), cells))
	}
	slices.Sort(out)
	return out
}

// TestEvolvingSource publishes files of a source that changes its columns, in
// CSV and in Parquet, in any grouping, and compares with a map.
func TestEvolvingSource(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := lake.DefaultConfig()
		cfg.AdoptRows = int64(rapid.IntRange(0, 3).Draw(rt, "adopt"))
		cfg.SmallTableRows = rapid.SampledFrom([]int64{0, 1000}).Draw(rt, "small")
		cfg.RewriteFraction = rapid.SampledFrom([]float64{0, 1}).Draw(rt, "fraction")
		cfg.Maintenance.MaxSmallFiles = rapid.SampledFrom([]int{1, 24}).Draw(rt, "small files")
		dir, err := os.MkdirTemp(quickDir(), "evolve") //nolint:usetesting // one for each of many runs, in memory
		if err != nil {
			rt.Fatal(err)
		}
		var ends []func()
		w := newWorldIn(rt, dir, cfg, func(f func()) { ends = append(ends, f) })
		defer func() {
			for _, f := range ends {
				f()
			}
			_ = os.RemoveAll(dir)
		}()
		s := newSource(rt, w)
		token := uint64(0)
		for n := range rapid.IntRange(1, 4).Draw(rt, "publications") {
			token++
			mode := lake.Merge
			if n == 0 || rapid.IntRange(0, 5).Draw(rt, "replace") == 0 {
				mode, s.model = lake.Replace, map[int64]sourceRow{}
			}
			var parts []lake.Part
			for range rapid.IntRange(1, 3).Draw(rt, "files") {
				parts = append(parts, s.transformed(rt, s.draw(rt), token))
			}
			w.publish(rt, s.spec, token, mode, parts...)
			for rapid.IntRange(0, 2).Draw(rt, "maintain") == 0 {
				token++
				w.maintain(rt, s.spec, token)
			}
			if got, want := s.read(rt), s.lines(); !slices.Equal(got, want) {
				rt.Fatalf("after publication %d rows are\n%v\nwant\n%v", n, got, want)
			}
		}
	})
}
