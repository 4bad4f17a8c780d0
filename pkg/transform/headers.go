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

// maxNamed bounds the columns of a file that are named when one is missing.
const maxNamed = 40

// shows tells what columns the file has, for one that it lacks. Where most of them
// are not registered, the first line may be a row: then its words are nobody's to
// show. The first so many columns of the table are registered, the others the file
// brought.
func (v *vocabulary) shows(registered int) string {
	known := 0
	for _, name := range v.names {
		if i, ok := v.columns[registry.FoldName(name)]; ok && i < registered || v.settings[registry.FoldName(name)] {
			known++
		}
	}
	count := fmt.Sprintf("the %d of the file", len(v.names))
	if known < 2 || 2*known < len(v.names) {
		return count
	}
	shown := make([]string, 0, maxNamed)
	for _, name := range v.names[:min(len(v.names), maxNamed)] {
		shown = append(shown, shownName(name))
	}
	more := ""
	if len(v.names) > maxNamed {
		more = ", …"
	}
	return count + ": " + strings.Join(shown, ", ") + more
}

// near gives the column of the file that is perhaps the one that is missing: one that
// nothing explains, and that is written almost like it, or is called as DMS calls it.
// The first so many columns of the table are registered, the others the file brought.
// It is empty where the names of the file are not to be shown.
func (v *vocabulary) near(missing string, registered int) string {
	if !strings.Contains(v.shows(registered), ": ") {
		return ""
	}
	folded := registry.FoldName(missing)
	for _, name := range v.names {
		if len(name) > maxShownName {
			continue
		}
		other := registry.FoldName(name)
		isOp := v.table.DMS.OpColumn != nil && sameName(*v.table.DMS.OpColumn, missing) && sameName(name, defaultOp)
		if i, known := v.columns[other]; v.explains(name) || known && i < registered {
			continue
		}
		if isOp || letters(other) == letters(folded) || distance(other, folded) <= 2 {
			return name
		}
	}
	return ""
}

// letters leaves out what divides the words of a name.
func letters(name string) string { return strings.NewReplacer("_", "", "-", "", " ", "").Replace(name) }

// distance counts the letters in which two names differ (Levenshtein).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		before := row[0]
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			before, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, before+cost)
		}
	}
	return row[len(y)]
}
