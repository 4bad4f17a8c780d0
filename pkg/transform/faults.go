package transform

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxShown bounds a value that is shown in a failure.
const maxShown = 64

// faults collects what is wrong with the rows of a file. The whole file is
// read, so that a person learns at once how many rows are at fault.
type faults struct {
	objectKey string
	// keepValues keeps a value at fault beside its Failure, for reports.
	keepValues bool
	// oneByOne describes the faults of every row, since rows are set aside one by one.
	oneByOne bool
	found    map[faultKey]*Failure
	first    *Failure
	isBad    bool      // the row at hand is
	row      []Failure // what is wrong with it, if rows are set aside one by one
}

// faultKey tells faults apart: rows that fail with the same code in the same
// column fail in the same way.
type faultKey struct {
	code, column string
}

func newFaults(objectKey string, keepValues, oneByOne bool) *faults {
	return &faults{objectKey: objectKey, keepValues: keepValues, oneByOne: oneByOne, found: map[faultKey]*Failure{}}
}

// any reports whether a row was at fault.
func (f *faults) any() bool { return f.first != nil }

// add notes that a row failed. describe fills in the rest, once for each way to
// fail, or for each row if rows are set aside one by one.
func (f *faults) add(code string, row int64, column string, value []byte, describe func(*Failure)) {
	f.isBad = true
	k := faultKey{code: code, column: column}
	known := f.found[k]
	if known != nil {
		known.RowsFailed++
		if !f.oneByOne {
			return
		}
	}
	failure := &Failure{Code: code, ObjectKey: f.objectKey, Row: row, Column: column, RowsFailed: 1}
	describe(failure)
	if f.keepValues && value != nil {
		failure.Value = string(shown(value))
	}
	if f.oneByOne {
		f.row = append(f.row, *failure)
	}
	if known != nil {
		return
	}
	f.found[k] = failure
	if f.first == nil {
		f.first = failure
	}
}

// endRow gives what is wrong with the row at hand, if rows are set aside one by
// one, and begins the next. It is valid until the next fault is added.
func (f *faults) endRow() []Failure {
	row := f.row
	f.isBad, f.row = false, f.row[:0]
	return row
}

func shown(value []byte) []byte {
	if len(value) <= maxShown {
		return value
	}
	value = value[:maxShown]
	for n := 1; n < utf8.UTFMax && n < len(value); n++ { // no character is cut in two
		if last := value[len(value)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				value = value[:len(value)-n]
			}
			break
		}
	}
	return value
}

// failure gives the fault of the first bad row; nil if there is none.
func (f *faults) failure() error {
	if f.first == nil {
		return nil
	}
	f.first.Message += f.others()
	return f.first
}

// minOnlyBadRows is how many rows a file must have, none of them good, for the
// registration to be in doubt rather than the rows: a change file may have just one.
const minOnlyBadRows = 20

// ofLayout are the faults by which a file shows that its columns are others than
// those registered, if all its rows have one.
var ofLayout = []string{CodeColumnCount, CodeOpMissing, CodeOpUnknown, CodeOpNoKey, CodeSequence, CodeCommitTime, CodeKeyNull}

// misread reports whether no row is good for a reason that is not the rows'.
func (f *faults) misread(counts Counts) bool {
	if counts.Rejected < counts.RowsRead {
		return false
	}
	for k, failure := range f.found {
		if failure.RowsFailed == counts.RowsRead && slices.Contains(ofLayout, k.code) {
			return true
		}
	}
	return counts.RowsRead >= minOnlyBadRows
}

// maxOthers bounds the other faults of a file that are named beside its first.
const maxOthers = 3

// others names the other ways in which rows of the file fail, by their first rows.
func (f *faults) others() string {
	var others []*Failure
	for _, o := range f.found {
		if o != f.first {
			others = append(others, o)
		}
	}
	slices.SortFunc(others, func(a, b *Failure) int {
		return cmp.Or(cmp.Compare(a.Row, b.Row), strings.Compare(a.Column, b.Column), strings.Compare(a.Code, b.Code))
	})
	said := ""
	for _, o := range others[:min(len(others), maxOthers)] {
		said += fmt.Sprintf("; also %s from row %d on", o.Code, o.Row)
		if o.Column != "" {
			said += ", column " + o.Column
		}
		said += fmt.Sprintf(" (%d)", o.RowsFailed)
	}
	if more := len(others) - maxOthers; more > 0 {
		said += fmt.Sprintf("; and %d more", more)
	}
	return said
}

// tooMany refuses a file whose bad rows are more than are set aside one by one,
// or all that it has: a wrong layout must not become a table of rejected rows.
func (f *faults) tooMany(counts Counts) error {
	what := Failure{Code: CodeOnlyBadRows, Message: fmt.Sprintf("all of its %d rows are bad", counts.RowsRead)}
	switch {
	case counts.Rejected == 0 || !f.misread(counts) && counts.Rejected <= MaxRejectedRows:
		return nil
	case counts.Rejected > MaxRejectedRows:
		what = Failure{Code: CodeTooManyBadRows, Message: fmt.Sprintf("%d of its %d rows are bad, and at most %d of a file are set aside one by one",
			counts.Rejected, counts.RowsRead, MaxRejectedRows)}
	}
	what.Message += "; the first: " + f.first.Message + " (" + f.first.Code + ")"
	what.ObjectKey, what.Row, what.Column, what.Value = f.objectKey, f.first.Row, f.first.Column, f.first.Value
	what.Expected, what.RowsFailed = f.first.Expected, counts.Rejected
	what.Hint = "nothing of it is published or set aside: see whether registration and layout fit the file, apply, " +
		"and resume with --retry; or skip it, and have the source write it anew"
	if f.first.Hint != mendHint {
		what.Hint += "; of the first: " + f.first.Hint
	}
	return &what
}
