package dms

import (
	"fmt"
	"strings"
)

// Format is the encoding of a data file.
type Format string

// The formats that DMS writes.
const (
	FormatCSV     Format = "csv"
	FormatParquet Format = "parquet"
)

// Name is what the name of a data file tells of it.
type Name struct {
	Kind FileKind
	// Time is the time in the name of a change or transaction file, date and time
	// of day divided: "20221023-013830913". It is when DMS wrote the file, not a
	// place in the log. Empty for a load file. Times compare as text.
	Time string
	// Number is the number of a load file, which its name holds in hexadecimal.
	Number uint64
	// Segment is the n of SEGMENTn_LOAD…; 0 without one.
	Segment uint64
	// Folder holds the folders between the table and the file, without a slash at
	// the end: a partition of a parallel load, or the date of a change.
	Folder string
	Format Format
	Gzip   bool
}

// appendOrder appends the name's part of a FileOrder. No two kinds begin alike,
// and no part is the beginning of another.
func (n Name) appendOrder(b []byte) []byte {
	if n.Kind != KindLoad {
		b = append(b, 'T')
		return append(b, timeDigits(n.Time)...)
	}
	b = fmt.Appendf(b, "L%016x%016x", n.Number, n.Segment)
	for i := range len(n.Folder) {
		c := n.Folder[i]
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			b = append(b, c)
		} else {
			b = fmt.Appendf(b, "=%02X", c)
		}
	}
	return b
}

// timeDigits gives the 18 digits of a time in a name: the tenth digit after
// the date is a further digit of the fraction, 0 where it is not written.
func timeDigits(t string) string {
	date, clock, _ := strings.Cut(t, "-")
	if len(clock) < 10 {
		clock += strings.Repeat("0", 10-len(clock))
	}
	return date + clock
}
