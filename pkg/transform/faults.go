package transform

import (
	"fmt"
	"unicode/utf8"
)

// maxShown bounds a value that is shown in a failure.
const maxShown = 64

// faults collects what is wrong with the rows of a file. The whole file is
// read, so that a person learns at once how many rows are at fault.
type faults struct {
	objectKey  string
	showValues bool
	found      map[faultKey]*Failure
	first      *Failure
}

// faultKey tells faults apart: rows that fail with the same code in the same
// column fail in the same way.
type faultKey struct {
	code, column string
}

func newFaults(objectKey string, showValues bool) *faults {
	return &faults{objectKey: objectKey, showValues: showValues, found: map[faultKey]*Failure{}}
}

// any reports whether a row was at fault.
func (f *faults) any() bool { return f.first != nil }

// add notes that a row failed. describe fills in the rest, once for each way to fail.
func (f *faults) add(code string, row int64, column string, value []byte, describe func(*Failure)) {
	k := faultKey{code: code, column: column}
	if known := f.found[k]; known != nil {
		known.RowsFailed++
		return
	}
	failure := &Failure{Code: code, ObjectKey: f.objectKey, Row: row, Column: column, RowsFailed: 1}
	describe(failure)
	if f.showValues && value != nil {
		failure.Message += fmt.Sprintf(": %q", shown(value))
	}
	f.found[k] = failure
	if f.first == nil {
		f.first = failure
	}
}

func shown(value []byte) []byte {
	if len(value) <= maxShown {
		return value
	}
	value = value[:maxShown]
	for len(value) > 0 && !utf8.Valid(value) {
		value = value[:len(value)-1]
	}
	return value
}

// failure gives the fault of the first bad row; nil if there is none.
func (f *faults) failure() error {
	if f.first == nil {
		return nil
	}
	if f.first.RowsFailed > 1 {
		f.first.Message += fmt.Sprintf("; %d rows fail in this way", f.first.RowsFailed)
	}
	return f.first
}
