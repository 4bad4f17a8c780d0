package dms

import (
	"errors"
	"fmt"
)

// CSVCode names a kind of CSV fault. Codes are stable.
type CSVCode string

// The faults of a CSV file.
const (
	CSVBareQuote     CSVCode = "csv.bare_quote"       // a quote inside a field that is not quoted
	CSVTextAfter     CSVCode = "csv.text_after_quote" // text between a closing quote and the field's end
	CSVUnclosedQuote CSVCode = "csv.unclosed_quote"   // the file ends inside quotes
	CSVNotUTF8       CSVCode = "csv.not_utf8"
	CSVFieldSize     CSVCode = "csv.field_size"  // a field beyond CSVOptions.MaxField
	CSVRecordSize    CSVCode = "csv.record_size" // a record beyond twice that, or of too many fields
)

// CSVError says where a file is no valid CSV. It holds no text of the file.
type CSVError struct {
	Code   CSVCode
	Row    int64 // of the record, from 1, as Record.Row counts
	Field  int   // its index, from 0
	Offset int64 // in bytes of the uncompressed file: of the field, or of the character at fault
}

var csvMessages = map[CSVCode]string{
	CSVBareQuote:     "a quote stands inside an unquoted field",
	CSVTextAfter:     "text follows a closing quote",
	CSVUnclosedQuote: "a quote is never closed",
	CSVNotUTF8:       "the text is not valid UTF-8",
	CSVFieldSize:     "the field is larger than the limit; if it begins with a quote, that may never be closed",
	CSVRecordSize:    "the record is larger than the limit",
}

// Error tells the fault and its place.
func (e *CSVError) Error() string {
	return fmt.Sprintf("%s (row %d, field %d, byte %d)", csvMessages[e.Code], e.Row, e.Field+1, e.Offset)
}

var _ error = (*CSVError)(nil)

// AsCSVError finds a CSVError in err's chain.
func AsCSVError(err error) (*CSVError, bool) {
	var e *CSVError
	ok := errors.As(err, &e)
	return e, ok
}
