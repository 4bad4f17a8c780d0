package hammer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// row is one row of a file, as the model knows it.
type row struct {
	key    string // of the object that it came with: a raw file, or mended rows
	number int
	op     byte
	id     string
	note   string
	// order is the row's place among all changes of its table; empty for a row of a
	// load, which comes before them.
	order string
}

// String is what the lake must hold of a live row.
func (r row) String() string { return fmt.Sprintf("%s|%s|%s:%d", r.id, r.note, r.key, r.number) }

// file is one raw object.
type file struct {
	key      string
	load     bool
	content  string
	modified time.Time
	// rows by table: those of one table, unless it is a transaction file.
	rows map[string][]row
	// bad tables: their rows of the file cannot be read, the file or part of it is
	// quarantined.
	bad map[string]bool
	// late: a load file that comes after its load was sealed.
	late bool
	// gone: it belongs to a generation that another replaced.
	gone bool
}

// fold gives the rows of a table that files leave, in the order in which they sort.
// keyed tells whether the table has a primary key.
func fold(table string, keyed bool, files []*file) []string {
	var rows []row
	for _, f := range files {
		if !f.bad[table] {
			rows = append(rows, f.rows[table]...)
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Or(strings.Compare(a.order, b.order), strings.Compare(a.key, b.key), cmp.Compare(a.number, b.number))
	})
	live := map[string]row{}
	for _, r := range rows {
		switch {
		case !keyed:
			live[fmt.Sprint(r.key, r.number)] = r
		case r.op == 'D':
			delete(live, r.id)
		default:
			live[r.id] = r
		}
	}
	var out []string
	for r := range maps.Values(live) {
		out = append(out, r.String())
	}
	slices.Sort(out)
	return out
}

// difference tells the first rows that only one of two sorted lists has.
func difference(want, got []string) string {
	var parts []string
	add := func(what string, a, b []string) {
		n := 0
		for _, r := range a {
			if _, found := slices.BinarySearch(b, r); found {
				continue
			}
			if n++; n <= 3 {
				parts = append(parts, what+" "+r)
			}
		}
		if n > 3 {
			parts = append(parts, fmt.Sprintf("%d %s in all", n, what))
		}
	}
	add("missing", want, got)
	add("not expected", got, want)
	if len(parts) == 0 && len(want) != len(got) {
		parts = append(parts, fmt.Sprintf("%d rows, expected %d: some stand there twice", len(got), len(want)))
	}
	return strings.Join(parts, "; ")
}
