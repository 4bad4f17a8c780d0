package sample

import (
	"bufio"
	"maps"
	"strings"
	"time"
)

// rowWriter writes rows as DMS does: RFC 4180, without a header unless the
// table's files have one.
type rowWriter struct {
	out   *bufio.Writer
	comma bool
	rows  int64
}

// field writes one field; quoted only where it must be.
func (w *rowWriter) field(text string) {
	if w.comma {
		w.out.WriteByte(',')
	}
	w.comma = true
	if !strings.ContainsAny(text, ",\"\n\r") {
		w.out.WriteString(text)
		return
	}
	w.out.WriteByte('"')
	for {
		before, after, more := strings.Cut(text, `"`)
		w.out.WriteString(before)
		if !more {
			break
		}
		w.out.WriteString(`""`)
		text = after
	}
	w.out.WriteByte('"')
}

func (w *rowWriter) end() {
	w.out.WriteByte('\n')
	w.comma = false
	w.rows++
}

func (w *rowWriter) header(names []string) {
	for _, n := range names {
		w.field(n)
	}
	w.end()
	w.rows--
}

// userColumns writes the user columns of a row; of a deleted one the key alone.
func (t *table) userColumns(w *rowWriter, id int64, version uint32, keyOnly bool) {
	for i, v := range t.row(id, version) {
		switch {
		case v.null, keyOnly && !t.isKey(t.columns[i].name):
			w.field(t.settings.null)
		default:
			w.field(v.dms)
		}
	}
}

// loadRow writes a row of a load file; at is when DMS transferred it.
func (t *table) loadRow(w *rowWriter, id int64, version uint32, at time.Time) {
	if t.settings.opInLoad {
		w.field("I")
	}
	if !t.settings.noTimestamp {
		w.field(at.Format(microseconds))
	}
	t.userColumns(w, id, version, false)
	if !t.settings.noSequence {
		w.field("")
	}
	w.end()
}

// changeRow writes a row of a change file.
func (t *table) changeRow(w *rowWriter, c change, surplus bool) {
	w.field(string(c.op))
	if !t.settings.noTimestamp {
		w.field(c.at.Format(microseconds))
	}
	t.userColumns(w, c.id, c.version, c.op == 'D')
	if !t.settings.noSequence {
		w.field(c.seq)
	}
	if t.settings.beforeImages {
		t.beforeImage(w, c)
	}
	if surplus {
		w.field("surplus")
	}
	w.end()
}

func (t *table) beforeImage(w *rowWriter, c change) {
	if c.before == 0 {
		for range t.key {
			w.field(t.settings.null)
		}
		return
	}
	for i, v := range t.row(c.before, 1) {
		if t.isKey(t.columns[i].name) {
			w.field(v.dms)
		}
	}
}

// writeExpected writes the rows that live, in the order in which they began.
func (t *table) writeExpected(out *bufio.Writer, resumed bool) error {
	w := &rowWriter{out: out}
	for _, c := range t.columns {
		w.field(c.name)
	}
	w.end()
	one := func(id int64, version uint32) {
		for _, v := range t.row(id, version) {
			if v.null {
				w.field(`\N`)
			} else {
				w.field(v.want)
			}
		}
		w.end()
	}
	for _, id := range t.appended {
		one(id, 1)
	}
	if len(t.key) > 0 {
		live := t.rowsLeft(resumed)
		for id := int64(1); id < t.next; id++ {
			if version, ok := live[id]; ok {
				one(id, version)
			}
		}
	}
	return out.Flush()
}

// rowsLeft gives the rows that live, with or without what waits.
func (t *table) rowsLeft(resumed bool) map[int64]uint32 {
	if !resumed || len(t.held) == 0 {
		return t.live
	}
	live := maps.Clone(t.live)
	fold(live, t.held)
	return live
}
