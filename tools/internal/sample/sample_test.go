package sample

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/tools/internal/cases"
)

func small(t *testing.T, change func(*Config)) *Drop {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Rows = 6000
	if change != nil {
		change(&cfg)
	}
	d, err := Write(t.Context(), t.TempDir(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// digest hashes all that a drop is.
func digest(t *testing.T, d *Drop) string {
	t.Helper()
	h := sha256.New()
	h.Write([]byte(d.Registration))
	for _, f := range d.Files {
		data, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		f.Path = ""
		fmt.Fprintf(h, "%+v %x\n", f, sha256.Sum256(data))
	}
	for _, table := range d.Tables {
		fmt.Fprintf(h, "%+v\n", table)
		if err := errors.Join(d.WriteExpected(h, table.ID), d.WriteResumed(h, table.ID)); err != nil {
			t.Fatal(err)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func TestDeterministic(t *testing.T) {
	a, b := digest(t, small(t, nil)), digest(t, small(t, nil))
	if a != b {
		t.Error("the same config gives two drops")
	}
	if a == digest(t, small(t, func(c *Config) { c.Seed = 2 })) {
		t.Error("two seeds give the same drop")
	}
}

func read(t *testing.T, f File) (records [][]string, err error) {
	t.Helper()
	data, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	var in io.Reader = bytes.NewReader(data)
	if strings.HasSuffix(f.Key, ".gz") {
		if in, err = gzip.NewReader(in); err != nil {
			t.Fatal(err)
		}
	}
	return csv.NewReader(in).ReadAll()
}

func (d *Drop) schema(t *testing.T, id dms.TableID) *table {
	t.Helper()
	for _, s := range d.states {
		if s.name == id.Table {
			return s
		}
	}
	t.Fatalf("no table %s", id)
	return nil
}

func TestFilesAreWhatTheySeem(t *testing.T) {
	d := small(t, nil)
	for _, f := range d.Files {
		s := d.schema(t, f.Table)
		records, err := read(t, f)
		if (err != nil) != (f.Expect == Quarantined) {
			t.Errorf("%s is %s: %v", f.Key, f.Expect, err)
			continue
		}
		info, err := os.Stat(f.Path)
		if err != nil || !info.ModTime().Equal(f.LastModified) || info.Size() != f.Size {
			t.Errorf("%s: %v, dated %v, expected %v", f.Key, err, info.ModTime(), f.LastModified)
		}
		if f.Expect == Quarantined {
			continue
		}
		names := s.layout(f.Kind == dms.KindLoad)
		if s.settings.header {
			if !slices.Equal(records[0], names) {
				t.Errorf("%s: header %v, expected %v", f.Key, records[0], names)
			}
			records = records[1:]
		}
		if int64(len(records)) != f.Rows || f.Rows == 0 || len(records[0]) != len(names) {
			t.Errorf("%s: %d rows of %d columns, expected %d of %d", f.Key, len(records), len(records[0]), f.Rows, len(names))
		}
	}
}

// TestExpectedRows folds the files themselves, read back by another reader and
// ordered by what stands in them, and compares with what the generator knows.
func TestExpectedRows(t *testing.T) {
	for _, cfg := range []Config{DefaultConfig(), {Seed: 7, Rows: minRows, Start: time.Date(2030, 5, 1, 0, 0, 0, 0, time.UTC)}} {
		cfg.Rows = min(cfg.Rows, 8000)
		d, err := Write(t.Context(), t.TempDir(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range d.Tables {
			for _, resumed := range []bool{false, true} {
				want, count := &bytes.Buffer{}, table.Rows
				if resumed {
					err, count = d.WriteResumed(want, table.ID), table.RowsResumed
				} else {
					err = d.WriteExpected(want, table.ID)
				}
				if err != nil {
					t.Fatal(err)
				}
				compareFold(t, d, table, want, count, resumed)
			}
		}
	}
}

func compareFold(t *testing.T, d *Drop, table Table, want io.Reader, count int64, resumed bool) {
	t.Helper()
	rows, err := cases.ReadCSV(want)
	if err != nil {
		t.Fatal(err)
	}
	got := foldFiles(t, d, table, resumed)
	if int64(len(got)) != count {
		t.Errorf("%s: %d rows by the files, %d by the drop", table.ID, len(got), count)
	}
	seq := func(yield func([]cases.Cell, error) bool) {
		for _, row := range got {
			if !yield(row, nil) {
				return
			}
		}
	}
	diff, err := cases.Compare(cases.Spec{PrimaryKey: table.PrimaryKey}, rows, cases.Rows{Columns: rows.Columns, Seq: seq})
	if err != nil || !diff.Empty() {
		t.Errorf("%s (resumed: %v): %v %v", table.ID, resumed, err, diff)
	}
}

type ordered struct {
	order string
	cells map[string]string
	load  bool
}

func foldFiles(t *testing.T, d *Drop, table Table, resumed bool) [][]cases.Cell {
	t.Helper()
	s := d.schema(t, table.ID)
	var begins time.Time // of the last generation
	for _, f := range d.Files {
		if f.Table == table.ID && strings.HasPrefix(f.Why, "loaded again") && (begins.IsZero() || f.LastModified.Before(begins)) {
			begins = f.LastModified
		}
	}
	var rows []ordered
	for _, f := range d.Files {
		counts := f.Expect == Published || resumed && f.Expect == Held
		if f.Table != table.ID || !counts || f.LastModified.Before(begins) {
			continue
		}
		records, err := read(t, f)
		if err != nil {
			t.Fatal(err)
		}
		load := f.Kind == dms.KindLoad
		if s.settings.header {
			records = records[1:]
		}
		for n, record := range records {
			row := ordered{cells: map[string]string{}, load: load}
			for i, name := range s.layout(load) {
				row.cells[name] = record[i]
			}
			class := "1" + row.cells[seqColumn]
			if s.settings.noSequence {
				class = "1" + row.cells[timeColumn]
			}
			if load {
				class = "0"
			}
			row.order = fmt.Sprintf("%s/%s/%08d", class, path.Base(f.Key), n)
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b ordered) int { return strings.Compare(a.order, b.order) })
	return last(s, rows)
}

// last keeps the last change of each key, in the spelling of expected rows.
func last(s *table, rows []ordered) (left [][]cases.Cell) {
	live := map[string][]cases.Cell{}
	for n, row := range rows {
		key, before := "", ""
		for _, k := range s.key {
			key += row.cells[k] + "|"
			before += row.cells[beforePrefix+k] + "|"
		}
		if len(s.key) == 0 {
			key = fmt.Sprint(n)
		}
		if row.cells[opColumn] == "U" {
			delete(live, before)
		}
		if row.cells[opColumn] == "D" {
			delete(live, key)
			continue
		}
		var cells []cases.Cell
		for _, c := range s.columns {
			cells = append(cells, spell(c, row.cells[c.name], s.settings.null))
		}
		live[key] = cells
	}
	for _, cells := range live {
		left = append(left, cells)
	}
	return left
}

func spell(c column, text, null string) cases.Cell {
	if text == null {
		return cases.Cell{Null: true}
	}
	switch strings.Fields(c.sql)[0] {
	case "timestamptz":
		at, err := time.Parse(withOffset, text)
		if err != nil {
			at, _ = time.Parse(microseconds, text)
		}
		text = at.UTC().Format(withOffset)
	case "double":
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			text = fmt.Sprint(f)
		}
	}
	return cases.Cell{Text: text}
}

// TestHoldsWhatItPromises: each peculiarity of the drop is really in it.
func TestHoldsWhatItPromises(t *testing.T) {
	d := small(t, func(c *Config) { c.Rows = 20_000 })
	outcomes := map[Outcome]int{}
	names := map[string]bool{}
	dated := false
	for _, f := range d.Files {
		outcomes[f.Expect]++
		names[path.Base(f.Key)] = true
		for _, g := range d.Files {
			change := f.Kind == dms.KindChange && g.Kind == dms.KindChange && f.Table == g.Table
			dated = dated || change && f.Key < g.Key && f.LastModified.After(g.LastModified)
		}
	}
	want := map[Outcome]int{Quarantined: 1, Held: 1, Superseded: 1, Duplicate: 8}
	for o, n := range want {
		if outcomes[o] != n {
			t.Errorf("%d files are %s, expected %d", outcomes[o], o, n)
		}
	}
	for _, n := range []string{"LOAD0000000C.csv", "SEGMENT3_LOAD00000002.csv", "LOAD00000001.csv.gz"} {
		if !names[n] {
			t.Errorf("no file is named %s", n)
		}
	}
	if !dated {
		t.Error("names and dates of change files never disagree")
	}
	if len(d.Tables) != 12 || d.Waves() != heldWave {
		t.Errorf("%d tables in %d waves", len(d.Tables), d.Waves())
	}
	for _, table := range d.Tables {
		keyed := len(table.PrimaryKey) > 0
		if keyed != (table.Duplicates > 0) || keyed != (table.Deletes > 0) || table.Rows == 0 || table.RowsIn <= table.Rows && keyed {
			t.Errorf("%+v has nothing to tell", table)
		}
		if broken := table.ID.Table == "citations"; broken != (table.Rows != table.RowsResumed) {
			t.Errorf("%s: %d rows, %d when resumed", table.ID, table.Rows, table.RowsResumed)
		}
	}
	plain := small(t, func(c *Config) { c.Broken, c.Reload = false, false })
	if plain.Waves() != lateWave {
		t.Errorf("%d waves without faults", plain.Waves())
	}
}

func TestPlace(t *testing.T) {
	d := small(t, nil)
	raw := t.TempDir()
	for _, f := range d.Files {
		if err := d.Place(f, raw); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(raw, f.Key))
		if err != nil || !info.ModTime().Equal(f.LastModified) {
			t.Errorf("%s: %v", f.Key, err)
		}
	}
	if err := d.Place(d.Files[0], raw); err == nil {
		t.Error("a file can be placed twice")
	}
}

func TestConfig(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	if err := (Config{}).Validate(); err == nil || !strings.Contains(err.Error(), "rows") || !strings.Contains(err.Error(), "start") {
		t.Errorf("got %v", err)
	}
	if err := new(Drop).WriteExpected(io.Discard, dms.TableID{DB: "a", Table: "b"}); err == nil {
		t.Error("an unknown table has expected rows")
	}
}

func TestWriteLoad(t *testing.T) {
	var a, b bytes.Buffer
	got, err := WriteLoad(&a, 20_000, 20, 5)
	if err != nil || got.Rows != 20_000 || got.Bytes != int64(a.Len()) {
		t.Fatalf("%+v, %v", got, err)
	}
	if share := 1 - float64(got.Keys)/float64(got.Rows); share < 0.017 || share > 0.023 {
		t.Errorf("%.3f of the rows repeat a key", share)
	}
	if size := got.Bytes / got.Rows; size < 270 || size > 290 {
		t.Errorf("%d bytes per row", size)
	}
	if _, err := WriteLoad(&b, 20_000, 20, 5); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the same seed gives two loads")
	}
	keys := map[string]bool{}
	r := csv.NewReader(bufio.NewReader(&a))
	for record, err := r.Read(); err != io.EOF; record, err = r.Read() {
		if err != nil || len(record) != 20 {
			t.Fatal(err)
		}
		keys[record[0]] = true
	}
	if int64(len(keys)) != got.Keys {
		t.Errorf("%d keys, expected %d", len(keys), got.Keys)
	}
	if strings.Count(LoadRegistration("bench", "wide", 20), "      ") != 20 {
		t.Error("the registration does not name 20 columns")
	}
}

func BenchmarkWrite(b *testing.B) {
	for b.Loop() {
		if _, err := Write(b.Context(), b.TempDir(), DefaultConfig()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteLoad(b *testing.B) {
	var done Load
	for b.Loop() {
		done, _ = WriteLoad(io.Discard, 100_000, 20, 1)
	}
	b.SetBytes(done.Bytes)
}
