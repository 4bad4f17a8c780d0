package transform

import (
	"fmt"
	"strings"

	"github.com/openblotter/blotter/pkg/registry"
)

// isHeader reports whether a row holds the very names of its columns, without regard
// to case: then it is a header that nobody registered. What DMS adds may have other
// names in it. A file of one column may hold such a value.
func isHeader(row *textBatch, t registry.Table, names []string) bool {
	r := &textRow{batch: row}
	r.at(0)
	if r.len() != len(names) {
		return false
	}
	same, own := 0, 0
	for i, name := range names {
		equal := sameName(string(r.text(i)), name)
		switch {
		case equal:
			same++
		case isColumn(t, name):
			return false
		}
		if equal && isColumn(t, name) {
			own++
		}
	}
	return own >= 2 || same == len(names) && same >= 2
}

// unregisteredHeader refuses a file with a header that nobody registered.
func unregisteredHeader(key string, row int64) *Failure {
	return &Failure{Code: CodeHeader, ObjectKey: key, Row: row, Message: "the first row holds the names of the columns: it is a header",
		Expected: "rows from the first line on, since header is false", Hint: "set header to true (AddColumnName), apply, and resume with --retry"}
}

// noHeader refuses a file that holds not even the line of names that it must have.
func noHeader(key string) *Failure {
	return &Failure{Code: CodeHeader, ObjectKey: key, Message: "the file has no line, not even that of the names: it is cut off, or was never written",
		Expected: "a line of names, since header is true", Hint: "have DMS write the file again, which is then a file of its own, and skip this one"}
}

// otherDelimiters are those that somebody may have meant.
var otherDelimiters = []string{",", ";", "\t", "|"}

// misread says what may be wrong with the first line of a file of which no name is
// known: another delimiter divides it into names that are.
func (v *vocabulary) misread() string {
	if len(v.names) != 1 {
		return ""
	}
	for _, d := range otherDelimiters {
		if d == v.table.DMS.Delimiter || !strings.Contains(v.names[0], d) {
			continue
		}
		if newVocabulary(v.table, strings.Split(v.names[0], d)).knowsAny() {
			return fmt.Sprintf("divided by %q it has names that are registered: set delimiter to it, apply, and retry the file", d)
		}
	}
	return ""
}

// hardlyHeader refuses a first line of which too little is known.
func (v *vocabulary) hardlyHeader() *Failure {
	what := fmt.Sprintf("none of the %d columns of the first line is one of the table", len(v.names))
	if len(v.names) == 1 {
		what = "the only column of the first line is none of the table"
	}
	f := &Failure{Code: CodeHeader, Message: what,
		Expected: "a line of names, some of them registered", Hint: "has the file a header? If not, set header to false and apply; then retry the file"}
	if known := len(v.knownNames()); known > 0 {
		f.Message = fmt.Sprintf("of the %d columns of the first line only %d may be of the table, which has no key to tell a header by", len(v.names), known)
		f.Expected = "a line of names, most of them registered, or all that are"
		f.Hint += ". If it has one, register more of its columns"
	} else if hint := v.misread(); hint != "" {
		f.Hint = hint
	}
	return f
}

// columnsOf gives "1 column", "2 columns".
func columnsOf(n int) string {
	if n == 1 {
		return "1 column"
	}
	return fmt.Sprintf("%d columns", n)
}

// valuesAre gives "1 value is", "2 values are".
func valuesAre(n int) string {
	if n == 1 {
		return "1 value is"
	}
	return fmt.Sprintf("%d values are", n)
}

// maxNamed bounds the columns of a file that are named when one is missing.
const maxNamed = 40

// shows tells what columns the file has, for one that it lacks.
func (v *vocabulary) shows() string {
	count := fmt.Sprintf("the %d of the file", len(v.names))
	var shown []string
	for _, name := range v.names {
		if name = v.shown(name); name != "" {
			shown = append(shown, name)
		}
	}
	said := ": "
	switch {
	case len(shown) == 0:
		return count
	case len(shown) < len(v.names):
		said = ", of which these are known: "
	}
	more := ""
	if len(shown) > maxNamed {
		shown, more = shown[:maxNamed], ", …"
	}
	return count + said + strings.Join(shown, ", ") + more
}

// near tells which column of the file is perhaps the one that is missing: one that
// nothing explains, and that is written almost like it, or is called as DMS calls it.
// It is empty where too little of the file is known to guess.
func (v *vocabulary) near(missing string) string {
	if v.isHeader() && len(v.knownNames()) < 2 {
		return ""
	}
	folded := registry.FoldName(missing)
	for i, name := range v.names {
		if len(name) > maxShownName || v.isKnown(name) || v.explains(name) {
			continue
		}
		other := registry.FoldName(name)
		isOp := v.table.DMS.OpColumn != nil && sameName(*v.table.DMS.OpColumn, missing) && sameName(name, defaultOp)
		if !isOp && letters(other) != letters(folded) && registry.Distance(other, folded) > 2 {
			continue
		}
		if name = v.shown(name); name == "" {
			return fmt.Sprintf("column %d of the file", i+1)
		}
		return name
	}
	return ""
}

// letters leaves out what divides the words of a name.
func letters(name string) string { return strings.NewReplacer("_", "", "-", "", " ", "").Replace(name) }
