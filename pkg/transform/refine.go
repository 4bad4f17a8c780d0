package transform

import (
	"strings"

	"github.com/openblotter/blotter/pkg/registry"
)

// refine gives the table as one file has it: columns that the file brings and
// nobody registered stand at the end, optional, in the order of the file, as
// strings in CSV and of the file's own type in Parquet; a registered column whose
// type promotes to the file's own is as wide as that (see Type.PromotesTo). The
// new columns' field ids count on from the registration's: they hold for this
// file's output alone, since the lake finds columns by name.
//
// What it leaves out, bind refuses: names that cannot be columns, and columns of
// a type that no table has.
func refine(t registry.Table, src source) registry.Table {
	v := newVocabulary(t, src.columns())
	cols := make([]registry.Column, len(t.Columns), len(t.Columns)+len(v.names))
	copy(cols, t.Columns)
	for field, name := range v.names {
		own, known := src.typeOf(field)
		if i, registered := v.columns[registry.FoldName(name)]; registered && known && cols[i].Type.PromotesTo(own) {
			cols[i].Type = own
		}
	}
	next := t.Provenance.Next
	discover := v.mayDiscover()
	for field, name := range v.names {
		folded := registry.FoldName(name)
		own, known := src.typeOf(field)
		why, _ := notColumn(t, name)
		if _, registered := v.columns[folded]; registered || !known || !discover || len(cols) >= maxColumns || v.explains(name) || why != "" {
			continue
		}
		v.columns[folded] = len(cols)
		cols = append(cols, registry.Column{ID: next, Name: name, Type: own})
		next++
	}
	t.Columns, t.Provenance.Next = cols, next
	return t
}

// maxColumns is how many columns a table has at most: one with more, all of them
// registered, gets none that a file brings.
const maxColumns = 4096

// vocabulary is the names that a table and one file know, folded.
type vocabulary struct {
	table   registry.Table
	names   []string       // of the file, as they stand there
	columns map[string]int // of the table, with their places
	file    map[string]int // of the file, with the place of the first of a name
	// settings are the columns that DMS adds.
	settings map[string]bool
	// registered is how many of the table's columns are; the file brought the others.
	registered int
}

func newVocabulary(t registry.Table, names []string) *vocabulary {
	v := &vocabulary{table: t, names: names, columns: make(map[string]int, len(t.Columns)), file: make(map[string]int, len(names)), settings: map[string]bool{}, registered: len(t.Columns)}
	for i, c := range t.Columns {
		v.columns[registry.FoldName(c.Name)] = i
	}
	for i, name := range names {
		if folded := registry.FoldName(name); v.find(name) < 0 {
			v.file[folded] = i
		}
	}
	for _, name := range []*string{t.DMS.OpColumn, t.DMS.TimestampColumn, t.DMS.ChangeSeqColumn} {
		if name != nil {
			v.settings[registry.FoldName(*name)] = true
		}
	}
	return v
}

// find gives the place of a column in the file; -1 if the file has none.
func (v *vocabulary) find(name string) int {
	if i, ok := v.file[registry.FoldName(name)]; ok {
		return i
	}
	return -1
}

func (v *vocabulary) isColumn(name string) bool {
	_, ok := v.columns[registry.FoldName(name)]
	return ok
}

// isHeader reports whether the names are those of a first line, which may be a row.
func (v *vocabulary) isHeader() bool {
	return v.table.DMS.Format == registry.FormatCSV && v.table.DMS.Header
}

// isKnown reports whether a name stands in the registration: that of a column, or of
// its before-image, or of a column that DMS adds. That it is a column of the table
// says nothing: the file may have made it one.
func (v *vocabulary) isKnown(name string) bool {
	folded := registry.FoldName(name)
	if prefix := v.table.DMS.BeforeImagePrefix; prefix != nil {
		folded = strings.TrimPrefix(folded, registry.FoldName(*prefix))
	}
	for _, name := range []string{registry.FoldName(name), folded} {
		if i, ok := v.columns[name]; ok && i < v.registered {
			return true
		}
	}
	return v.settings[registry.FoldName(name)]
}

// knownNames gives the names of the file that stand in the registration, each once.
func (v *vocabulary) knownNames() []string {
	var known []string
	for i, name := range v.names {
		if v.find(name) == i && v.isKnown(name) {
			known = append(known, name)
		}
	}
	return known
}

// knowsEnough reports whether enough of a first line is known to take it for a
// header. Its key tells one, which is asked for afterwards. Without a key one known
// word is none, since a row may hold it: either all names must be known, or two and
// more that are most of them, or all that are registered.
func (v *vocabulary) knowsEnough() bool {
	known := len(v.knownNames())
	if len(v.table.PrimaryKey) > 0 || known == len(v.names) {
		return known > 0 || len(v.names) == 0
	}
	all := true
	for _, c := range v.table.Columns[:v.registered] {
		all = all && v.find(c.Name) >= 0
	}
	return known >= 2 && (2*known > len(v.names) || all)
}

// shown gives a name for a failure to show. It is empty if it may be the value of a
// row: in a first line, unless it is registered, or as DMS calls its own.
func (v *vocabulary) shown(name string) string {
	if v.isHeader() && !v.isKnown(name) && !sameName(name, defaultOp) {
		return ""
	}
	return shownName(name)
}

// knowsAny reports whether any name of the file is one of the table or of its
// settings.
func (v *vocabulary) knowsAny() bool {
	for name := range v.file {
		if _, ok := v.columns[name]; ok || v.settings[name] {
			return true
		}
	}
	return len(v.names) == 0
}

// mayDiscover tells whether names that nobody registered are columns. They are not
// if no name is registered: then the first row of a file without a header was
// taken for one. And where an operator wrote down the columns of a headerless
// file, a name beside a registered one that is missing is a misspelt name (see
// Table.Validate).
func (v *vocabulary) mayDiscover() bool {
	found := 0
	for name := range v.columns {
		if _, ok := v.file[name]; ok {
			found++
		}
	}
	if headerless := v.table.DMS.Format == registry.FormatCSV && !v.table.DMS.Header; headerless {
		return found == len(v.columns)
	}
	return found > 0
}

// explains tells whether the settings say what a column of the file is.
func (v *vocabulary) explains(name string) bool {
	folded := registry.FoldName(name)
	if v.settings[folded] {
		return true
	}
	if v.table.DMS.BeforeImagePrefix == nil {
		return false
	}
	of, ok := strings.CutPrefix(folded, registry.FoldName(*v.table.DMS.BeforeImagePrefix))
	if !ok {
		return false
	}
	_, beside := v.file[of]
	return beside || v.isColumn(of)
}

// defaultOp is how DMS names the column of operations.
const defaultOp = "Op"

// longestDecimal is the precision that an Iceberg decimal has at most.
const longestDecimal = 38

// notColumn tells why a name that nobody registered, and that no setting has,
// becomes no column, and what to do about it.
func notColumn(t registry.Table, name string) (why, hint string) {
	if sameName(name, defaultOp) {
		says := "does not name"
		if t.DMS.OpColumn != nil {
			says = "says is " + *t.DMS.OpColumn
		}
		return "a column " + name + " tells operations, which op_column " + says + ": its deletes would be taken for inserts",
			"if it tells operations, set op_column to " + name + ", apply it and retry the file; do not register it as a column. " +
				"If it is a column of the source, have a rule of the task rename it, and skip this file"
	}
	return registry.DiscoveredNameFault(name), "no table can have a column of this name: have a rule of the task rename or leave it out, and skip this file"
}
