package sample

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// change is one change of one row, at its true place in the order of the table.
type change struct {
	op      byte  // I, U or D
	id      int64 // the row
	version uint32
	before  int64 // the row whose key an update replaced; 0 if it replaced none
	at      time.Time
	seq     string
}

// fold applies changes in their true order to the rows that live, by row and
// version. This is all that the expected rows rest on.
func fold(live map[int64]uint32, changes []change) {
	for _, c := range changes {
		if c.before != 0 {
			delete(live, c.before)
		}
		if c.op == 'D' {
			delete(live, c.id)
		} else {
			live[c.id] = c.version
		}
	}
}

// table is one table as it grows.
type table struct {
	schema
	seed     uint64
	rng      *rand.Rand // decides what happens
	next     int64      // the first row that never lived
	versions map[int64]uint32
	live     map[int64]uint32
	appended []int64  // rows of a table without a key, in order
	held     []change // in a file that waits
	touched  []int64  // rows changed lately
	clock    time.Time
	counter  uint64 // of the sequence
	last     []change

	fixedSource, varyingSource *rand.PCG // of a row's values
	fixedRand, varyingRand     *rand.Rand
	values                     []value // of the row made last
	files                      int     // change files so far
	deletes                    int64   // in files that are published
}

func newTable(s schema, seed uint64, start time.Time) *table {
	t := &table{
		schema: s, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), next: 1,
		versions: map[int64]uint32{}, live: map[int64]uint32{},
		// The first changes were made while the table was being loaded.
		clock:       start.Add(-time.Minute),
		fixedSource: rand.NewPCG(0, 0), varyingSource: rand.NewPCG(0, 0),
	}
	t.fixedRand, t.varyingRand = rand.New(t.fixedSource), rand.New(t.varyingSource)
	return t
}

// row gives the values of a row in a version; they are valid until the next
// call. They follow from the seed, the row and the version alone, so that no
// row needs to be kept.
func (t *table) row(id int64, version uint32) []value {
	t.fixedSource.Seed(t.seed, uint64(id))
	t.varyingSource.Seed(^t.seed, uint64(id)<<20|uint64(version))
	t.values = t.values[:0]
	for _, c := range t.columns {
		r := t.varyingRand
		if c.fixed {
			r = t.fixedRand
		}
		t.values = append(t.values, c.make(cell{r: r, id: id}))
	}
	return t.values
}

// create begins a new row.
func (t *table) create() int64 {
	id := t.next
	t.next++
	t.versions[id] = 1
	return id
}

// renew gives a row its next version.
func (t *table) renew(id int64) uint32 {
	t.versions[id]++
	return t.versions[id]
}

// existing picks a row that lives: often one that was changed lately.
func (t *table) existing() (int64, bool) {
	for range 30 {
		id := 1 + t.rng.Int64N(max(t.next-1, 1))
		if n := len(t.touched); n > 0 && t.rng.IntN(2) == 0 {
			id = t.touched[t.rng.IntN(n)]
		}
		if _, ok := t.live[id]; ok {
			return id, true
		}
	}
	return 0, false
}

// maxTouched bounds how many rows count as changed lately.
const maxTouched = 60

func (t *table) touch(id int64) {
	if len(t.touched) < maxTouched {
		t.touched = append(t.touched, id)
		return
	}
	t.touched[t.rng.IntN(maxTouched)] = id
}

// tick moves the clock to the next transaction.
func (t *table) tick() { t.clock = t.clock.Add(time.Duration(1+t.rng.IntN(40_000)) * time.Microsecond) }

// batch makes about n changes, in whole transactions, and applies them.
func (t *table) batch(n int) []change {
	var changes []change
	for len(changes) < n {
		t.tick()
		for range 1 + t.rng.IntN(3) {
			made := t.stamp(t.event())
			fold(t.live, made)
			changes = append(changes, made...)
		}
	}
	if len(t.key) == 0 {
		for _, c := range changes {
			t.appended = append(t.appended, c.id)
		}
	}
	t.last = changes
	return changes
}

// stamp gives changes their time and their sequence: 16 digits of time, 19 of a
// counter.
func (t *table) stamp(changes []change) []change {
	for i := range changes {
		t.counter++
		changes[i].at = t.clock
		changes[i].seq = fmt.Sprintf("%s%02d%019d", t.clock.Format("20060102150405"), t.clock.Nanosecond()/1e7, t.counter)
	}
	return changes
}

// restart is what a restarted task does: its counter begins again.
func (t *table) restart() {
	t.counter = 0
	t.clock = t.clock.Add(10 * time.Second)
}

// event makes the one or two changes of something that happens.
func (t *table) event() []change {
	if len(t.key) == 0 {
		return t.logged()
	}
	dice := t.rng.IntN(100)
	id, ok := t.existing()
	switch {
	case !ok || dice < 24:
		id = t.create()
		t.touch(id)
		return []change{{op: 'I', id: id, version: 1}}
	case dice < 28: // DMS repeats an insert that the load has seen
		return []change{{op: 'I', id: id, version: t.renew(id)}}
	case dice < 32 && t.settings.beforeImages:
		to := t.create()
		t.touch(to)
		return []change{{op: 'U', id: to, version: 1, before: id}}
	case dice < 84:
		t.touch(id)
		return []change{{op: 'U', id: id, version: t.renew(id), before: t.unchanged(id)}}
	case dice < 94:
		return []change{{op: 'D', id: id, version: t.versions[id]}}
	case dice < 96: // a row that nobody knows, or that is gone already
		return []change{{op: 'D', id: t.create(), version: 1}}
	}
	again := t.renew(id)
	return []change{{op: 'D', id: id, version: again - 1}, {op: 'I', id: id, version: again}}
}

// unchanged is the before-image of an update that leaves the key alone.
func (t *table) unchanged(id int64) int64 {
	if t.settings.beforeImages {
		return id
	}
	return 0
}

// logged appends a row, now and then one that equals the row before.
func (t *table) logged() []change {
	if t.next > 1 && t.rng.IntN(20) == 0 {
		return []change{{op: 'I', id: t.next - 1, version: 1}}
	}
	return []change{{op: 'I', id: t.create(), version: 1}}
}

// replaced counts the rows of a file that another row of it replaces.
func (t *table) replaced(changes []change) int64 {
	if len(t.key) == 0 {
		return 0
	}
	keys := map[int64]bool{}
	entries := int64(0)
	for _, c := range changes {
		keys[c.id] = true
		entries++
		if c.before != 0 && c.before != c.id {
			keys[c.before] = true
			entries++
		}
	}
	return entries - int64(len(keys))
}
