package cases

import (
	"fmt"
	"slices"
	"strings"

	"github.com/openblotter/blotter/pkg/registry"
)

// maxExamples bounds the differences that a Diff describes; all are counted.
const maxExamples = 10

// Spec tells how the rows of a table compare: by its primary key as a set, or
// without one as a multiset. Columns gives the types by name; a column that it
// does not name compares as text.
type Spec struct {
	PrimaryKey []string
	Columns    []registry.Column
}

// Diff is how two sets of rows differ.
type Diff struct {
	Missing    int // expected rows that are not there
	Unexpected int // rows that are there and were not expected
	Changed    int // rows whose key is right and another column is not
	Repeated   int // rows whose key is there more than once
	Columns    []string
	Examples   []string // for people, the first few differences
}

// Empty reports that the rows are equal.
func (d *Diff) Empty() bool {
	return d.Missing == 0 && d.Unexpected == 0 && d.Changed == 0 && d.Repeated == 0 && len(d.Columns) == 0
}

// String tells the differences, one a line.
func (d *Diff) String() string {
	if d.Empty() {
		return "equal"
	}
	lines := slices.Clone(d.Columns)
	if n := d.Missing + d.Unexpected + d.Changed + d.Repeated; n > 0 {
		lines = append(lines, fmt.Sprintf("rows: %d missing, %d unexpected, %d changed, %d repeated", d.Missing, d.Unexpected, d.Changed, d.Repeated))
		lines = append(lines, d.Examples...)
		if n > len(d.Examples) {
			lines = append(lines, fmt.Sprintf("… and %d more", n-len(d.Examples)))
		}
	}
	return strings.Join(lines, "\n")
}

func (d *Diff) example(format string, args ...any) {
	if len(d.Examples) < maxExamples {
		d.Examples = append(d.Examples, fmt.Sprintf(format, args...))
	}
}

// Compare tells how the rows got differ from the rows want. It holds the
// wanted rows in memory and streams the others. Column names compare without
// case and in any order; provenance columns are left aside. The error tells of
// rows that cannot be read, or of wanted rows that repeat a key.
func Compare(spec Spec, want, got Rows) (*Diff, error) {
	m, err := newMatch(spec, want.Columns, got.Columns)
	if err != nil {
		return nil, err
	}
	if len(m.diff.Columns) > 0 {
		return m.diff, nil
	}
	for row, err := range want.Seq {
		if err != nil {
			return nil, fmt.Errorf("read the expected rows: %w", err)
		}
		if err := m.want(slices.Clone(row)); err != nil {
			return nil, err
		}
	}
	ordered := make([]Cell, len(m.columns))
	for row, err := range got.Seq {
		if err != nil {
			return nil, fmt.Errorf("read the table's rows: %w", err)
		}
		for i, at := range m.place {
			ordered[i] = row[at]
		}
		m.got(ordered)
	}
	m.finish()
	return m.diff, nil
}

// match holds the wanted rows until their counterparts have come.
type match struct {
	diff    *Diff
	columns []column
	key     []int // places in columns; all of them without a primary key
	keyed   bool
	place   []int // where each column stands in the rows got
	rows    map[string]*wanted
	order   []*wanted
	buf     []byte
}

type wanted struct {
	row  []Cell
	left int // how many are still to come
}

func newMatch(spec Spec, want, got []string) (*match, error) {
	m := &match{diff: &Diff{}, keyed: len(spec.PrimaryKey) > 0, rows: map[string]*wanted{}}
	find := func(names []string, name string) int {
		return slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
	}
	for i, name := range want {
		m.columns = append(m.columns, column{name: name, kind: spec.kind(name)})
		at := find(got, name)
		if at < 0 {
			m.diff.Columns = append(m.diff.Columns, fmt.Sprintf("column %s is missing", name))
		}
		m.place = append(m.place, at)
		if !m.keyed {
			m.key = append(m.key, i)
		}
	}
	for _, name := range got {
		if find(want, name) < 0 && !provenance(name) {
			m.diff.Columns = append(m.diff.Columns, fmt.Sprintf("column %s was not expected", name))
		}
	}
	for _, name := range spec.PrimaryKey {
		at := find(want, name)
		if at < 0 {
			return nil, fmt.Errorf("the expected rows lack the key column %s", name)
		}
		m.key = append(m.key, at)
	}
	return m, nil
}

func (s Spec) kind(name string) registry.Kind {
	for _, c := range s.Columns {
		if strings.EqualFold(c.Name, name) {
			return c.Type.Kind
		}
	}
	return registry.String
}

func provenance(name string) bool {
	return name == registry.ColumnFile || name == registry.ColumnRow || name == registry.ColumnPosition
}

func (m *match) id(row []Cell) string {
	m.buf = m.buf[:0]
	for _, at := range m.key {
		m.buf = m.columns[at].appendCanonical(m.buf, row[at])
	}
	return string(m.buf)
}

func (m *match) want(row []Cell) error {
	id := m.id(row)
	if w := m.rows[id]; w != nil {
		if m.keyed {
			return fmt.Errorf("the expected rows repeat the key %s", m.describe(row, m.key))
		}
		w.left++
		return nil
	}
	w := &wanted{row: row, left: 1}
	m.rows[id] = w
	m.order = append(m.order, w)
	return nil
}

func (m *match) got(row []Cell) {
	w := m.rows[m.id(row)]
	switch {
	case w == nil:
		m.diff.Unexpected++
		m.diff.example("unexpected: %s", m.describe(row, nil))
		return
	case w.left == 0 && m.keyed:
		m.diff.Repeated++
		m.diff.example("repeated: %s", m.describe(row, m.key))
		return
	case w.left == 0:
		m.diff.Unexpected++
		m.diff.example("once too often: %s", m.describe(row, nil))
		return
	}
	w.left--
	var faults []string
	for i, c := range m.columns {
		if !c.equal(w.row[i], row[i]) {
			faults = append(faults, fmt.Sprintf("%s is %s, expected %s", c.name, show(row[i]), show(w.row[i])))
		}
	}
	if len(faults) > 0 {
		m.diff.Changed++
		m.diff.example("%s: %s", m.describe(row, m.key), strings.Join(faults, "; "))
	}
}

func (m *match) finish() {
	for _, w := range m.order {
		if w.left == 0 {
			continue
		}
		m.diff.Missing += w.left
		m.diff.example("missing: %s", m.describe(w.row, nil))
	}
}

// describe shows the columns at the places given, or all of them.
func (m *match) describe(row []Cell, places []int) string {
	var parts []string
	for i, c := range m.columns {
		if places == nil || slices.Contains(places, i) {
			parts = append(parts, c.name+"="+show(row[i]))
		}
	}
	return strings.Join(parts, " ")
}

// maxShown bounds how much of a value a difference shows, in bytes.
const maxShown = 80

func show(c Cell) string {
	switch {
	case c.Null:
		return "null"
	case len(c.Text) > maxShown:
		return fmt.Sprintf("%q… (%d bytes)", c.Text[:maxShown], len(c.Text))
	}
	return fmt.Sprintf("%q", c.Text)
}
