package transform

import "fmt"

// Failure says why a file cannot be transformed: a permanent fault of the file
// or its registration, never a passing fault of a machine. It is what
// TransformFailed carries. No field but Value, which no event carries, holds a
// value of a row.
type Failure struct {
	Code       string `json:"code"`    // stable, such as "value.decimal"; see the constants
	Message    string `json:"message"` // one sentence for a person
	ObjectKey  string `json:"object_key,omitempty"`
	Row        int64  `json:"row,omitempty"`    // in the file, from 1; 0 if it belongs to none
	Column     string `json:"column,omitempty"` // empty if it belongs to none
	Expected   string `json:"expected,omitempty"`
	Hint       string `json:"hint,omitempty"`        // what to do
	RowsFailed int64  `json:"rows_failed,omitempty"` // rows that fail in the same way, if they were counted
	// Value is the beginning of the value at fault, for reports that may show it;
	// empty where they may not, or there is none. It goes no other way than by
	// FailedValue.
	Value string `json:"-"`
}

// Error gives the whole report in one line, without the value.
func (f *Failure) Error() string {
	s := f.Message
	if f.ObjectKey != "" {
		s = fmt.Sprintf("%s: %s", f.ObjectKey, s)
	}
	if f.Row > 0 {
		s += fmt.Sprintf(" (row %d", f.Row)
		if f.Column != "" {
			s += ", column " + f.Column
		}
		s += ")"
	}
	if f.RowsFailed > 1 {
		s += fmt.Sprintf("; %d rows fail like this", f.RowsFailed)
	}
	if f.Expected != "" {
		s += "; expected " + f.Expected
	}
	if f.Hint != "" {
		s += "; " + f.Hint
	}
	return s
}
