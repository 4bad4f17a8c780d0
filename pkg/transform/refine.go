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
	names := src.columns()
	cols := make([]registry.Column, len(t.Columns), len(t.Columns)+len(names))
	copy(cols, t.Columns)
	at := map[string]int{}
	for i, c := range cols {
		at[registry.FoldName(c.Name)] = i
	}
	for field, name := range names {
		own, known := src.typeOf(field)
		if i, registered := at[registry.FoldName(name)]; registered && known && cols[i].Type.PromotesTo(own) {
			cols[i].Type = own
		}
	}
	next := t.Provenance.Next
	discover := mayDiscover(t, names)
	for field, name := range names {
		folded := registry.FoldName(name)
		own, known := src.typeOf(field)
		if _, registered := at[folded]; registered || !known || !discover || explained(t, names, name) || notColumn(t, name) != "" {
			continue
		}
		at[folded] = len(cols)
		cols = append(cols, registry.Column{ID: next, Name: name, Type: own})
		next++
	}
	t.Columns, t.Provenance.Next = cols, next
	return t
}

// mayDiscover tells whether names that nobody registered are columns. They are not
// if no name is registered: then the first row of a file without a header was
// taken for one. And where an operator wrote down the columns of a headerless
// file, a name beside a registered one that is missing is a misspelt name (see
// Table.Validate).
func mayDiscover(t registry.Table, names []string) bool {
	has := map[string]bool{}
	for _, name := range names {
		has[registry.FoldName(name)] = true
	}
	found := 0
	for _, c := range t.Columns {
		if has[registry.FoldName(c.Name)] {
			found++
		}
	}
	if headerless := t.DMS.Format == registry.FormatCSV && !t.DMS.Header; headerless {
		return found == len(t.Columns)
	}
	return found > 0
}

// explained tells whether the settings say what a column of a file is.
func explained(t registry.Table, names []string, name string) bool {
	s := t.DMS
	if isSetting(s.OpColumn, name) || isSetting(s.TimestampColumn, name) || isSetting(s.ChangeSeqColumn, name) {
		return true
	}
	if s.BeforeImagePrefix == nil {
		return false
	}
	of, ok := strings.CutPrefix(registry.FoldName(name), registry.FoldName(*s.BeforeImagePrefix))
	if !ok {
		return false
	}
	for _, other := range names {
		if sameName(other, of) {
			return true
		}
	}
	return isColumn(t, of)
}

// defaultOp is how DMS names the column of operations.
const defaultOp = "Op"

// longestDecimal is the precision that an Iceberg decimal has at most.
const longestDecimal = 38

// notColumn tells why a name that nobody registered becomes no column.
func notColumn(t registry.Table, name string) string {
	if t.DMS.OpColumn == nil && sameName(name, defaultOp) {
		return "a column " + name + " tells operations, which op_column does not name: its deletes would be taken for inserts"
	}
	return registry.DiscoveredNameFault(name)
}
