package dms

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mending says that the rows of a file were mended by an operator: they belong to
// an earlier file, which was published without them, and come at the places in
// the order that they have in it. The zero Mending says that they were not.
type Mending struct {
	FileID FileID    `json:"file_id"` // of the file that they belong to
	Kind   FileKind  `json:"kind"`    // its kind
	Order  FileOrder `json:"order"`   // its place in the order
	Token  uint64    `json:"token"`   // under which it was staged without the rows
	// Rows are the numbers of the rows that come in, Dropped those of which an
	// operator said that they never will.
	Rows    RowSet `json:"rows,omitempty"`
	Dropped RowSet `json:"dropped,omitempty"`
}

// Original names the file alone, without the rows.
func (m Mending) Original() Mending {
	m.Rows, m.Dropped = "", ""
	return m
}

// IsZero reports whether m names no file.
func (m Mending) IsZero() bool { return m == Mending{} }

// MendedOrder is the place of a file with mended rows among the files of its
// table: right behind the file that they belong to.
func MendedOrder(original FileOrder, id FileID) FileOrder { return original + "/" + FileOrder(id) }

// Place gives the kind and the order that the positions of a file's rows are made
// of: the file's own, or those of the file to which mended rows belong.
func (f File) Place() (FileKind, FileOrder) {
	if f.Mending.IsZero() {
		return f.Kind, f.Order
	}
	return f.Mending.Kind, f.Mending.Order
}

// Of gives the file that rows come from: id itself, or the one whose rows were mended.
func (m Mending) Of(id FileID) FileID {
	if m.IsZero() {
		return id
	}
	return m.FileID
}

// LastModified gives the time in an order, which is when the file's object was
// modified, in UTC; false if o was not made by NewFileOrder.
func (o FileOrder) LastModified() (time.Time, bool) {
	parts := strings.Split(string(o), "/")
	if len(parts) < 3 || len(parts[1]) != 23 {
		return time.Time{}, false
	}
	t, err := time.Parse("20060102150405", parts[1][:14])
	ns, errNanos := strconv.ParseUint(parts[1][14:], 10, 64)
	return t.Add(time.Duration(ns)), err == nil && errNanos == nil
}

// RowSet is a set of row numbers as ascending numbers and ranges, such as
// "3,7-9,12". Equal sets are equal strings; the empty set is "".
type RowSet string

// maxRow is the largest number that a row may have: no file has as many.
const maxRow = 1 << 53

// ParseRowSet reads row numbers and ranges in any order; blanks are allowed.
func ParseRowSet(s string) (RowSet, error) {
	var b RowSetBuilder
	if strings.TrimSpace(s) == "" {
		return "", nil
	}
	type span struct{ first, last int64 }
	var spans []span
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		first, err := strconv.ParseInt(strings.TrimSpace(from), 10, 64)
		last := first
		if err == nil && isRange {
			last, err = strconv.ParseInt(strings.TrimSpace(to), 10, 64)
		}
		if err != nil || first < 1 || last < first || last > maxRow {
			return "", fmt.Errorf("rows %q: expected numbers and ranges such as 3,7-9", s)
		}
		spans = append(spans, span{first, last})
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	for _, p := range spans {
		b.add(p.first, p.last)
	}
	return b.Set(), nil
}

// ranges yields first and last of each unbroken range.
func (s RowSet) ranges() iter.Seq2[int64, int64] {
	return func(yield func(int64, int64) bool) {
		if s == "" {
			return
		}
		for part := range strings.SplitSeq(string(s), ",") {
			from, to, isRange := strings.Cut(part, "-")
			if !isRange {
				to = from
			}
			first, errFirst := strconv.ParseInt(from, 10, 64)
			last, errLast := strconv.ParseInt(to, 10, 64)
			if errFirst != nil || errLast != nil || !yield(first, last) {
				return
			}
		}
	}
}

// Len counts the rows.
func (s RowSet) Len() int64 {
	var n int64
	for first, last := range s.ranges() {
		n += last - first + 1
	}
	return n
}

// Contains reports whether a row is in the set.
func (s RowSet) Contains(row int64) bool {
	for first, last := range s.ranges() {
		if first <= row && row <= last {
			return true
		}
	}
	return false
}

// Both gives the rows that are in both sets.
func (s RowSet) Both(t RowSet) RowSet {
	return s.filter(t, func(b *RowSetBuilder, first, last int64, others [][2]int64) {
		for _, o := range others {
			if from, to := max(first, o[0]), min(last, o[1]); from <= to {
				b.add(from, to)
			}
		}
	})
}

// Without gives the rows of s that are not in t.
func (s RowSet) Without(t RowSet) RowSet {
	return s.filter(t, func(b *RowSetBuilder, first, last int64, others [][2]int64) {
		for _, o := range others {
			if o[1] < first || o[0] > last {
				continue
			}
			if first < o[0] {
				b.add(first, o[0]-1)
			}
			first = o[1] + 1
		}
		if first <= last {
			b.add(first, last)
		}
	})
}

func (s RowSet) filter(t RowSet, keep func(b *RowSetBuilder, first, last int64, others [][2]int64)) RowSet {
	var others [][2]int64
	for first, last := range t.ranges() {
		others = append(others, [2]int64{first, last})
	}
	var b RowSetBuilder
	at := 0
	for first, last := range s.ranges() {
		for at < len(others) && others[at][1] < first {
			at++
		}
		end := at
		for end < len(others) && others[end][0] <= last {
			end++
		}
		keep(&b, first, last, others[at:end])
	}
	return b.Set()
}

// With gives the rows of either set.
func (s RowSet) With(t RowSet) RowSet {
	if s == "" || t == "" {
		return s + t
	}
	union, err := ParseRowSet(string(s + "," + t))
	if err != nil {
		return s
	}
	return union
}

// RowSetBuilder makes a RowSet of ascending numbers.
type RowSetBuilder struct {
	text        []byte
	first, last int64
}

// Add takes one number, which is not lower than those before it.
func (b *RowSetBuilder) Add(row int64) { b.add(row, row) }

func (b *RowSetBuilder) add(first, last int64) {
	switch {
	case b.first == 0:
		b.first, b.last = first, last
	case first <= b.last+1:
		b.last = max(b.last, last)
	default:
		b.flush()
		b.first, b.last = first, last
	}
}

func (b *RowSetBuilder) flush() {
	if len(b.text) > 0 {
		b.text = append(b.text, ',')
	}
	b.text = strconv.AppendInt(b.text, b.first, 10)
	if b.last > b.first {
		b.text = strconv.AppendInt(append(b.text, '-'), b.last, 10)
	}
}

// Set gives the set; the builder is spent.
func (b *RowSetBuilder) Set() RowSet {
	if b.first > 0 {
		b.flush()
	}
	return RowSet(b.text)
}

// All lists the rows.
func (s RowSet) All() []int64 {
	var out []int64
	for first, last := range s.ranges() {
		for n := first; n <= last; n++ {
			out = append(out, n)
		}
	}
	return out
}
