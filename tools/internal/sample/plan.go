package sample

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// The waves of a drop.
const (
	firstWave  = iota + 1 // the loads, and most changes
	lateWave              // late and repeated files, a second load
	brokenWave            // the broken file, and a file of a replaced generation
	heldWave              // what waits behind the broken file
)

// loadShare is the part of all rows that the loads hold.
const loadShare = 0.75

// secondLoad is how long after the first one the second load begins.
const secondLoad = 24 * time.Hour

// table makes all files of a table, in the true order of their changes.
func (w *writer) table(t *table, start time.Time) error {
	rows := max(int(float64(w.cfg.Rows)*loadShare*t.share), 12)
	per := max(int(float64(w.cfg.Rows)*(1-loadShare)*t.share)/(t.changes+1), 4)
	if err := w.load(t, start, rows); err != nil {
		return err
	}
	t.clock = start.Add(-time.Minute)
	for i := range t.changes {
		wave := firstWave
		why := ""
		switch {
		case t.late && i == t.changes/2:
			wave, why = lateWave, "late: files with newer changes came before it"
		case t.shuffled && i == 1:
			why = "its rows do not stand in the order of their sequence"
		}
		if i == t.changes-1 {
			t.restart()
		}
		changes := t.batch(per)
		f, err := w.changes(t, File{Wave: wave, Why: why}, changes, t.shuffled && i == 1)
		if err != nil {
			return err
		}
		if t.again && i == 0 {
			if err := w.again(f, lateWave); err != nil {
				return err
			}
		}
	}
	if t.rewritten {
		if err := w.rewritten(t, per); err != nil {
			return err
		}
	}
	if t.reloaded && w.cfg.Reload {
		return w.reload(t, start.Add(secondLoad), per)
	}
	if t.broken && w.cfg.Broken {
		return w.broken(t, per)
	}
	return nil
}

// loadFile is the part of a load that one file holds.
type loadFile struct {
	name string
	rows []change
}

// load makes the first load: rows from 1, some of them twice.
func (w *writer) load(t *table, start time.Time, rows int) error {
	segments := max(t.segments, 1)
	files := make([]loadFile, 0, segments*t.loads)
	total := segments * t.loads
	for i := range total {
		f := loadFile{name: loadName(t, i)}
		for range (i+1)*rows/total - i*rows/total {
			f.rows = append(f.rows, change{op: 'I', id: t.create(), version: 1})
			if len(t.key) > 0 && t.rng.IntN(60) == 0 { // the row comes again, changed meanwhile
				id := f.rows[t.rng.IntN(len(f.rows))].id
				f.rows = append(f.rows, change{op: 'I', id: id, version: t.renew(id)})
			}
		}
		if i > 0 && t.segments == 0 && len(t.key) > 0 { // rows that the file before holds too
			for range 1 + len(f.rows)/100 {
				before := files[i-1].rows
				id := before[t.rng.IntN(len(before))].id
				f.rows = append(f.rows, change{op: 'I', id: id, version: t.renew(id)})
			}
		}
		if len(t.key) == 0 && t.rng.IntN(2) == 0 {
			f.rows = append(f.rows, f.rows[len(f.rows)-1])
		}
		files = append(files, f)
	}
	for i, f := range files {
		fold(t.live, f.rows)
		if len(t.key) == 0 {
			for _, c := range f.rows {
				t.appended = append(t.appended, c.id)
			}
		}
		at := start.Add(time.Duration(i) * 11 * time.Second)
		written, err := w.loaded(t, File{Wave: firstWave}, f, at)
		if err != nil {
			return err
		}
		if t.again && i == 0 {
			if err := w.again(written, lateWave); err != nil {
				return err
			}
		}
	}
	return nil
}

// loadName names the load file at place i: DMS counts in hexadecimal, and for
// each segment anew.
func loadName(t *table, i int) string {
	name := fmt.Sprintf("LOAD%08X.csv", i+1)
	if t.segments > 0 {
		name = fmt.Sprintf("SEGMENT%d_LOAD%08X.csv", i/t.loads+1, i%t.loads+1)
	}
	if t.gzip {
		name += ".gz"
	}
	return name
}

// loaded writes a load file.
func (w *writer) loaded(t *table, f File, l loadFile, at time.Time) (File, error) {
	f.LastModified = at
	f.Duplicates = t.replaced(l.rows)
	return w.file(t, f, l.name, func(rw *rowWriter) {
		for _, c := range l.rows {
			t.loadRow(rw, c.id, c.version, at)
		}
	})
}

// changes writes a change file. Its name tells when its last change was made;
// some files are dated long after, so that dates and names disagree.
func (w *writer) changes(t *table, f File, changes []change, shuffle bool) (File, error) {
	t.clock = t.clock.Add(3 * time.Minute)
	t.files++
	if f.LastModified.IsZero() {
		f.LastModified = t.clock.Add(time.Duration(2+t.rng.IntN(40)) * time.Second).Truncate(time.Second)
		if t.files%3 == 1 {
			f.LastModified = f.LastModified.Add(25 * time.Minute)
		}
	}
	f.Duplicates = t.replaced(changes)
	if f.Expect == "" || f.Expect == Published {
		t.countDeletes(changes)
	}
	written := slices.Clone(changes)
	if shuffle {
		t.rng.Shuffle(len(written), func(i, j int) { written[i], written[j] = written[j], written[i] })
	}
	surplus := -1
	if f.Expect == Quarantined {
		surplus = len(written) / 2
	}
	return w.file(t, f, t.clock.Format("20060102-150405")+fmt.Sprintf("%03d.csv", t.clock.Nanosecond()/1e6), func(rw *rowWriter) {
		for i, c := range written {
			t.changeRow(rw, c, i == surplus)
		}
	})
}

func (t *table) countDeletes(changes []change) {
	for _, c := range changes {
		if c.op == 'D' {
			t.deletes++
		}
	}
}

// rewritten makes a file that holds the end of the file before again, and goes
// on from there: what DMS writes when a task resumes.
func (w *writer) rewritten(t *table, per int) error {
	from := len(t.last) / 2
	for from > 0 && t.last[from].at.Equal(t.last[from-1].at) { // transactions stay whole
		from--
	}
	repeated := slices.Clone(t.last[from:])
	changes := append(repeated, t.batch(per)...)
	_, err := w.changes(t, File{Wave: lateWave, Why: fmt.Sprintf("DMS resumed: its first %d rows were written before", len(repeated))}, changes, false)
	return err
}

// reload makes the second load of a table, under the same keys, with fewer
// rows; a change of the first generation that comes too late; and one of the
// second.
func (w *writer) reload(t *table, start time.Time, per int) error {
	saved := maps.Clone(t.live)
	stale := t.batch(per)
	t.live = saved
	f := File{Wave: brokenWave, Expect: Superseded, LastModified: start.Add(-12 * time.Hour), Why: "it changes a generation that the second load has replaced"}
	if _, err := w.changes(t, f, stale, false); err != nil {
		return err
	}
	var rows []change
	for id := int64(1); id < t.next; id++ {
		if version, ok := t.live[id]; ok && id%7 != 0 {
			if id%3 == 0 {
				version = t.renew(id)
			}
			rows = append(rows, change{op: 'I', id: id, version: version})
		}
	}
	t.live = map[int64]uint32{}
	fold(t.live, rows)
	for i := range t.loads {
		part := rows[i*len(rows)/t.loads : (i+1)*len(rows)/t.loads]
		at := start.Add(time.Duration(i) * 11 * time.Second)
		if _, err := w.loaded(t, File{Wave: lateWave, Why: "loaded again, with fewer rows"}, loadFile{loadName(t, i), part}, at); err != nil {
			return err
		}
	}
	t.touched, t.clock = nil, start.Add(time.Hour)
	t.restart()
	_, err := w.changes(t, File{Wave: lateWave, Why: "changes the second generation"}, t.batch(per), false)
	return err
}

// broken makes a file with a row of too many columns, and one that must wait
// behind it.
func (w *writer) broken(t *table, per int) error {
	saved := maps.Clone(t.live)
	lost := t.batch(per)
	t.live = maps.Clone(saved)
	f := File{Wave: brokenWave, Expect: Quarantined, Why: fmt.Sprintf("row %d has one column too many", len(lost)/2+1)}
	if _, err := w.changes(t, f, lost, false); err != nil {
		return err
	}
	t.held = t.batch(per)
	t.live = saved
	_, err := w.changes(t, File{Wave: heldWave, Expect: Held, Why: "it waits until its table is resumed"}, t.held, false)
	return err
}
