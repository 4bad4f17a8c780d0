package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
)

// crashRegistration has a table for each engine, one with a broken file, one
// without a key, and two that are changed by transaction files: a part of one of
// moves is broken, and of tallies bad rows are set aside one by one, and mended.
const crashRegistration = `database: rms
source: {prefix: dms/, schema: rms}
dms: {op_column: Op, change_seq_column: seq, null: "", op_in_full_load: false, cdc_path: cdc}
tables:
  - {name: reports, flag: L, primary_key: [id], columns: {id: int not null, note: string}}
  - {name: persons, flag: G, primary_key: [id], columns: {id: int not null, note: string}}
  - {name: broken, flag: L, primary_key: [id], columns: {id: int not null, note: string}}
  - {name: audit, flag: G, primary_key: [], columns: {id: int not null, note: string}}
  - {name: moves, flag: L, primary_key: [id], columns: {id: int not null, note: string}}
  - {name: tallies, flag: G, on_bad_row: quarantine, primary_key: [id], columns: {id: int not null, note: string}}
`

// crashFile is one object that is delivered.
type crashFile struct {
	folder   string // below the prefix
	name     string
	content  string
	modified time.Time
}

func (f crashFile) key() string { return "dms/" + f.folder + "/" + f.name }

// crashData makes files, and knows what must come of them.
type crashData struct {
	rng  *rand.Rand
	seq  int
	rows map[string]map[string]string // table, key, note
	all  map[string][]string          // of a table without a key: its rows
}

func newCrashData(seed uint64) *crashData {
	return &crashData{
		rng: rand.New(rand.NewPCG(seed, 4)), rows: map[string]map[string]string{}, all: map[string][]string{},
	}
}

// crashStart is when the first load began.
var crashStart = time.Date(2024, 3, 4, 6, 0, 0, 0, time.UTC)

// generation makes a load of two files and some change files after it. The
// changes of a table are in order by name and by sequence.
func (d *crashData) generation(table string, n int) []crashFile {
	begun := crashStart.Add(time.Duration(n) * time.Hour)
	files := d.load(table, n, begun)
	for change := 1; change <= crashChanges; change++ {
		at := begun.Add(time.Duration(change) * time.Minute)
		f := crashFile{folder: "rms/" + table, name: at.Format("20060102-150405") + "000.csv", modified: at}
		if table == "broken" && change == crashBroken {
			f.content = "I,not a number,x,1\n"
		} else {
			f.content = strings.Join(d.changes(table, 4), "")
		}
		files = append(files, f)
	}
	return files
}

// transactions loads the tables that are changed together, and changes them by
// transaction files.
func (d *crashData) transactions() []crashFile {
	var files []crashFile
	for _, table := range crashTogether {
		files = append(files, d.load(table, 0, crashStart)...)
	}
	for change := 1; change <= crashChanges; change++ {
		var b strings.Builder
		for range 3 {
			for _, table := range crashTogether {
				if table == "moves" && change == crashBroken {
					b.WriteString("I,moves,rms,not a number,x,1\n")
					continue
				}
				for _, line := range d.changes(table, 2) {
					op, rest, _ := strings.Cut(line, ",")
					fmt.Fprintf(&b, "%s,%s,rms,%s", op, table, rest)
				}
			}
		}
		switch change {
		case crashBroken:
			b.WriteString(d.badRows())
		case crashChanges:
			b.WriteString(d.afterBadRows())
		}
		at := crashStart.Add(time.Duration(change) * time.Minute)
		files = append(files, crashFile{
			folder: "cdc", name: at.Format("CDC_TXN-20060102150405") + "000.csv", content: b.String(), modified: at,
		})
	}
	return files
}

// load makes a load of two files; what the table held before is gone with it.
func (d *crashData) load(table string, n int, begun time.Time) []crashFile {
	d.rows[table] = map[string]string{}
	d.all[table] = nil
	var files []crashFile
	for part := 1; part <= 2; part++ {
		var b strings.Builder
		for id := part * 10; id < part*10+4; id++ {
			note := fmt.Sprintf("load %d of %d", part, n)
			fmt.Fprintf(&b, "%d,%s,\n", id, note)
			d.keep(table, fmt.Sprint(id), note)
		}
		files = append(files, crashFile{
			folder: "rms/" + table, name: fmt.Sprintf("LOAD%08X.csv", part), content: b.String(),
			modified: begun.Add(time.Duration(part) * time.Second),
		})
	}
	return files
}

func (d *crashData) keep(table, id, note string) {
	d.rows[table][id] = note
	d.all[table] = append(d.all[table], id+","+note)
}

// changes makes lines that change a table, and remembers what they make of it.
func (d *crashData) changes(table string, lines int) []string {
	var out []string
	for range lines {
		d.seq++
		id, op := fmt.Sprint(10+d.rng.IntN(20)), "IUUD"[d.rng.IntN(4)]
		if table == "audit" {
			op = 'I'
		}
		note := fmt.Sprintf("change %d", d.seq)
		out = append(out, fmt.Sprintf("%c,%s,%s,%035d\n", op, id, note, d.seq))
		if op == 'D' {
			delete(d.rows[table], id)
		} else {
			d.keep(table, id, note)
		}
	}
	return out
}

// badRows are two rows of tallies with ids that are no numbers: mended they are
// those of mendedIDs.
func (d *crashData) badRows() string {
	var b strings.Builder
	for _, id := range mendedIDs {
		d.seq++
		fmt.Fprintf(&b, "I,tallies,rms,number %s,mended,%035d\n", id, d.seq)
		d.keep("tallies", id, "mended")
	}
	return b.String()
}

// afterBadRows changes the row of the first of them, before it is mended.
func (d *crashData) afterBadRows() string {
	d.seq++
	d.keep("tallies", mendedIDs[0], "later")
	return fmt.Sprintf("U,tallies,rms,%s,later,%035d\n", mendedIDs[0], d.seq)
}

// mendedIDs are the ids of the rows that are mended; no other row has them.
var mendedIDs = []string{"98", "99"}

// expected gives the rows of a table as CSV.
func (d *crashData) expected(table string) string {
	var b strings.Builder
	b.WriteString("id,note\n")
	if table == "audit" {
		for _, row := range d.all[table] {
			b.WriteString(row + "\n")
		}
		return b.String()
	}
	for id, note := range d.rows[table] {
		fmt.Fprintf(&b, "%s,%s\n", id, note)
	}
	return b.String()
}

// put lays a file into the raw folder and names it as an event would.
func (f crashFile) put(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "raw", filepath.FromSlash(f.key()))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(f.content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, f.modified, f.modified); err != nil {
		t.Fatal(err)
	}
}

// Each load is followed by so many change files; this one of them is broken in
// the tables that have a broken one.
const crashChanges, crashBroken = 5, 3

// crashTogether are the tables that are changed by transaction files.
var crashTogether = []string{"moves", "tallies"}

// crashTables are those that have files of their own.
var crashTables = []dms.TableID{
	{DB: "rms", Table: "audit"}, {DB: "rms", Table: "broken"}, {DB: "rms", Table: "persons"}, {DB: "rms", Table: "reports"},
	{DB: "rms", Table: "moves"}, {DB: "rms", Table: "tallies"},
}
