package hammer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// kind is what makes a table different from others.
type kind struct {
	name        string
	settings    string // beyond those of all tables
	keyless     bool
	timed       bool // ordered by commit timestamps, which tie
	together    bool // changed by transaction files
	broken      bool // one of its change files, or its part of one, cannot be read
	rejects     bool // bad rows are set aside one by one, and mended
	lateLoad    bool // a file of its load comes after the load was sealed
	generations int
}

// kinds are given to the tables in turn. The first two are changed together.
var kinds = []kind{
	{name: "moves", together: true, broken: true, generations: 1},
	{name: "tallies", together: true, rejects: true, settings: ", on_bad_row: quarantine", generations: 1},
	{name: "reports", generations: 2},
	{name: "timed", timed: true, settings: ", dms: {timestamp_column: ts, change_seq_column: null}", generations: 2},
	{name: "broken", broken: true, generations: 1},
	{name: "audit", keyless: true, generations: 1},
	{name: "late", lateLoad: true, generations: 1},
	{name: "persons", generations: 1},
}

// hammered is one table of a history.
type hammered struct {
	kind
	name string
	// files that were made so far, in the order of their names; those of the
	// generations before are gone.
	files []*file
	// reopen: an operator takes the late load file in, else it is refused.
	reopen bool
}

// history makes the files of some tables, and knows what must come of them.
type history struct {
	rng     *rand.Rand
	tables  []*hammered
	changes int // change files of a generation
	seq     int
	byKey   map[string][]*file // the versions of each object, oldest first
}

// begun is when the first load began; generationEvery apart the others begin.
var begun = time.Date(2024, 3, 4, 6, 0, 0, 0, time.UTC)

const generationEvery = 12 * time.Hour

func newHistory(cfg Config) *history {
	h := &history{rng: rand.New(rand.NewPCG(cfg.Seed, 4)), changes: cfg.Files, byKey: map[string][]*file{}}
	for i := range cfg.Tables {
		k := kinds[i%len(kinds)]
		if i >= 2 && cfg.Tables < len(kinds) { // some of them: others with the next seed
			k = kinds[2+(i+int(cfg.Seed%1000))%(len(kinds)-2)]
		}
		t := &hammered{kind: k, name: k.name, reopen: h.rng.IntN(2) == 0}
		if i >= len(kinds) {
			t.name = fmt.Sprintf("%s_%d", k.name, i)
			t.together = false // a transaction file names the first two
		}
		h.tables = append(h.tables, t)
	}
	return h
}

// registration registers all tables, with either engine in turn.
func (h *history) registration() string {
	var b strings.Builder
	b.WriteString(`database: rms
source: {prefix: dms/, schema: rms}
dms: {op_column: Op, change_seq_column: seq, null: "", op_in_full_load: false, cdc_path: cdc}
tables:
`)
	for i, t := range h.tables {
		key := "id"
		if t.keyless {
			key = ""
		}
		fmt.Fprintf(&b, "  - {name: %s, flag: %s, primary_key: [%s], columns: {id: int not null, note: string}%s}\n",
			t.name, []string{"L", "G"}[i%2], key, t.settings)
	}
	return b.String()
}

// generation makes the n-th load of every table that has one, and the changes that
// follow it.
func (h *history) generation(n int) []*file {
	var out []*file
	var together []*hammered
	for _, t := range h.tables {
		if n >= t.generations {
			continue
		}
		for _, f := range t.files {
			f.gone = true
		}
		t.files = nil
		out = append(out, h.load(t, n)...)
		if t.together {
			together = append(together, t)
			continue
		}
		out = append(out, h.changeFiles(t, n)...)
	}
	if len(together) > 0 {
		out = append(out, h.transactions(together)...)
	}
	return out
}

func (h *history) add(t *hammered, f *file) *file {
	f.key = "dms/" + f.key
	h.byKey[f.key] = append(h.byKey[f.key], f)
	for name, rows := range f.rows {
		for i := range rows {
			rows[i].key = f.key
		}
		if t == nil {
			of := h.table(name)
			of.files = append(of.files, f)
		}
	}
	if t != nil {
		t.files = append(t.files, f)
	}
	return f
}

// load makes a load of two files, three with one that is late.
func (h *history) load(t *hammered, n int) []*file {
	parts := 2
	if t.lateLoad {
		parts = 3
	}
	start := begun.Add(time.Duration(n) * generationEvery)
	var out []*file
	for part := 1; part <= parts; part++ {
		f := &file{
			key:  fmt.Sprintf("rms/%s/LOAD%08X.csv", t.name, part),
			load: true, late: part == 3, modified: start.Add(time.Duration(part) * time.Second), rows: map[string][]row{},
		}
		var b strings.Builder
		for i := range 4 {
			id, note := fmt.Sprint(part*10+i), fmt.Sprintf("load %d of %d", part, n)
			if t.timed {
				fmt.Fprintf(&b, "%s,%s,%s\n", start.Format(stampLayout), id, note)
			} else {
				fmt.Fprintf(&b, "%s,%s,\n", id, note)
			}
			f.rows[t.name] = append(f.rows[t.name], row{number: i + 1, op: 'I', id: id, note: note})
		}
		f.content = b.String()
		out = append(out, h.add(t, f))
	}
	return out
}

// stampLayout is how DMS writes a commit timestamp.
const stampLayout = "2006-01-02 15:04:05.000000"

// change is one change of a table, before it is put into a file.
type change struct {
	op       byte
	id, note string
	stamp    string // commit timestamp or change sequence
}

// draw makes changes of a table in the order in which they were committed.
func (h *history) draw(t *hammered, count int, at time.Time) []change {
	var out []change
	for range count {
		h.seq++
		c := change{op: "IUUD"[h.rng.IntN(4)], id: fmt.Sprint(10 + h.rng.IntN(25)), note: fmt.Sprintf("change %d", h.seq)}
		if t.keyless {
			c.op = 'I'
		}
		c.stamp = fmt.Sprintf("%035d", h.seq)
		if t.timed {
			// Every third has the time of the one before, as the rows of a transaction.
			if h.rng.IntN(3) > 0 {
				at = at.Add(time.Duration(1+h.rng.IntN(900)) * time.Millisecond)
			}
			c.stamp = at.Format(stampLayout)
		}
		out = append(out, c)
	}
	return out
}

// changeFiles makes the change files of a generation. A change lies in the file of
// its time, or in one after it.
func (h *history) changeFiles(t *hammered, n int) []*file {
	start := begun.Add(time.Duration(n) * generationEvery)
	const perFile = 4
	bins := make([][]change, h.changes)
	for i, c := range h.draw(t, perFile*h.changes, start) {
		at := i / perFile
		if h.rng.IntN(3) == 0 {
			at = min(at+h.rng.IntN(3), h.changes-1)
		}
		bins[at] = append(bins[at], c)
	}
	bad := h.changes / 2
	var out []*file
	for i, changes := range bins {
		at := start.Add(time.Duration(i+1) * time.Minute)
		f := &file{
			key: fmt.Sprintf("rms/%s/%s000.csv", t.name, at.Format("20060102-150405")), modified: at,
			rows: map[string][]row{t.name: nil}, bad: map[string]bool{}, // none is a file, too
		}
		if t.broken && i == bad {
			f.content, f.bad[t.name] = "I,not a number,x,1\n", true
			out = append(out, h.add(t, f))
			continue
		}
		var b strings.Builder
		for k, c := range changes {
			order := c.stamp
			if t.timed {
				fmt.Fprintf(&b, "%c,%s,%s,%s\n", c.op, c.stamp, c.id, c.note)
				order = fmt.Sprintf("%s %06d %06d", c.stamp, i, k)
			} else {
				fmt.Fprintf(&b, "%c,%s,%s,%s\n", c.op, c.id, c.note, c.stamp)
			}
			f.rows[t.name] = append(f.rows[t.name], row{number: k + 1, op: c.op, id: c.id, note: c.note, order: order})
		}
		f.content = b.String()
		out = append(out, h.add(t, f))
	}
	return out
}

// transactions makes the files that change several tables at once. In the middle
// one the part of a broken table cannot be read, and rows are set aside of the one
// that rejects rows; what they say comes in mended.
func (h *history) transactions(tables []*hammered) []*file {
	var out []*file
	for i := range h.changes {
		at := begun.Add(time.Duration(i+1) * time.Minute)
		f := &file{
			key: at.Format("cdc/CDC_TXN-20060102150405") + "000.csv", modified: at,
			rows: map[string][]row{}, bad: map[string]bool{},
		}
		w := transactionWriter{f: f}
		for range 3 {
			for _, t := range tables {
				if t.broken && i == h.changes/2 {
					w.write(t.name, "not a number", change{op: 'I', note: "x", stamp: "1"})
					f.bad[t.name] = true
					continue
				}
				for _, c := range h.draw(t, 2, at) {
					w.write(t.name, c.id, c)
				}
			}
		}
		for _, t := range tables {
			if !t.rejects || i != h.changes/2 {
				continue
			}
			for _, id := range mendedIDs {
				h.seq++
				w.write(t.name, "number "+id, change{op: 'I', note: "mended", stamp: fmt.Sprintf("%035d", h.seq)})
			}
			// The first of them was changed again, before it is mended.
			h.seq++
			w.write(t.name, mendedIDs[0], change{op: 'U', id: mendedIDs[0], note: "later", stamp: fmt.Sprintf("%035d", h.seq)})
		}
		f.content = w.b.String()
		out = append(out, h.add(nil, f))
	}
	return out
}

// mendedIDs are the ids of the rows that are mended; no other row has them.
var mendedIDs = []string{"98", "99"}

// transactionWriter writes rows of several tables.
type transactionWriter struct {
	f      *file
	b      strings.Builder
	number int
}

// write writes a change with an id as the file has it. A row without an id of its
// own in the change is one that cannot be read.
func (w *transactionWriter) write(table, id string, c change) {
	w.number++
	fmt.Fprintf(&w.b, "%c,%s,rms,%s,%s,%s\n", c.op, table, id, c.note, c.stamp)
	if c.id != "" {
		w.f.rows[table] = append(w.f.rows[table], row{number: w.number, op: c.op, id: c.id, note: c.note, order: c.stamp})
	}
}

// mend notes that the rejected rows of a table were mended and lie under key:
// they keep their numbers and their place.
func (h *history) mend(table, key string) {
	t := h.table(table)
	for _, f := range t.files {
		lines := strings.Split(f.content, "\n")
		var rows []row
		for n, line := range lines {
			fields := strings.Split(line, ",")
			if len(fields) == 6 && fields[1] == table && strings.HasPrefix(fields[3], "number ") {
				rows = append(rows, row{key: key, number: n + 1, op: 'I', id: strings.TrimPrefix(fields[3], "number "), note: "mended", order: fields[5]})
			}
		}
		if len(rows) > 0 {
			mended := &file{key: key, rows: map[string][]row{table: rows}}
			h.byKey[key] = []*file{mended}
			t.files = append(t.files, mended)
			return
		}
	}
}

// expected gives the rows that a table must have in the end.
func (h *history) expected(t *hammered) []string {
	files := slices.DeleteFunc(slices.Clone(t.files), func(f *file) bool { return f.late && !t.reopen })
	return fold(t.name, !t.keyless, files)
}

// table finds a table by its name.
func (h *history) table(name string) *hammered {
	for _, t := range h.tables {
		if t.name == name {
			return t
		}
	}
	return nil
}

// files yields all raw files that were made, the versions of one key apart.
func (h *history) files() iter.Seq[*file] {
	return func(yield func(*file) bool) {
		for _, versions := range h.byKey {
			for _, f := range versions {
				if !f.modified.IsZero() && !yield(f) {
					return
				}
			}
		}
	}
}

// find gives the file that an object is; nil if there is none.
func (h *history) find(o dms.Object) *file {
	versions := h.byKey[o.Key]
	for _, f := range versions {
		if f.modified.IsZero() || hashOf(f.content) == o.ETag {
			return f
		}
	}
	return nil
}

func hashOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// end tells how a file must have ended for a table, and whether it is one of its.
func (h *history) end(f *file, table dms.TableID) (want []string, mine bool) {
	transactions := strings.HasPrefix(f.key, "dms/cdc/")
	if table.IsTransactions() {
		return []string{string(lockmanager.Split)}, transactions
	}
	t := h.table(table.Table)
	_, rows := f.rows[t.name]
	switch {
	case f.bad[t.name]:
		return []string{string(lockmanager.Skipped)}, true
	case !rows:
		return nil, false
	case f.late && !t.reopen:
		return []string{string(lockmanager.Ignored)}, true
	case f.gone && !f.load: // published before its generation was replaced, or not at all
		return []string{string(lockmanager.Published), string(lockmanager.Ignored)}, true
	}
	return []string{string(lockmanager.Published)}, true
}
