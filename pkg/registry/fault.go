package registry

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
)

// Fault is one thing wrong with a registration.
type Fault struct {
	File  string      // empty where no file was read
	Line  int         // from 1; 0 where no file was read
	Table dms.TableID // zero where the fault belongs to none
	Path  string      // where in the registration, such as "columns[2]" or "dms.delimiter"
	Text  string      // what is wrong and what to do
}

// String gives "tables.yaml:12: rms.reports: flag: …", without what is not known.
func (f Fault) String() string {
	var b strings.Builder
	if f.File != "" {
		fmt.Fprintf(&b, "%s:%d: ", f.File, f.Line)
	}
	if f.Table.DB != "" && f.Table.Table != "" {
		fmt.Fprintf(&b, "%s: ", f.Table)
	}
	if f.Path != "" {
		fmt.Fprintf(&b, "%s: ", f.Path)
	}
	b.WriteString(f.Text)
	return b.String()
}

// Faults is the error of a registration that breaks rules: all that is wrong,
// by line.
type Faults []Fault

// Error lists all faults, one a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// err gives f as an error: by line, without repetitions; nil if there is none.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	slices.SortStableFunc(f, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
	seen := map[Fault]bool{}
	f = slices.DeleteFunc(f, func(fault Fault) bool {
		again := seen[fault]
		seen[fault] = true
		return again
	})
	return f
}
