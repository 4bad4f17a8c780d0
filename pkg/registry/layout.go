package registry

import (
	"fmt"
	"slices"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
)

// LayoutError: no layout fits a headerless file.
type LayoutError struct {
	Table    dms.TableID
	Kind     dms.FileKind
	NameTime string   // of a change or transaction file
	Width    int      // the columns that the file has
	Known    []Layout // the layouts of this kind
}

// Error names the width found and those known, and the way on.
func (e *LayoutError) Error() string {
	return e.Message() + "; expected " + e.Expected() + "; " + e.Hint()
}

// Message names the width found. It holds the words "column count".
func (e *LayoutError) Message() string {
	width := fmt.Sprint(e.Width)
	if e.Kind == dms.KindTransaction {
		width += ", table and schema apart,"
	}
	return fmt.Sprintf("column count %s fits no layout", width)
}

// Expected names the widths that are known, with their columns.
func (e *LayoutError) Expected() string {
	var known []string
	for _, l := range e.Known {
		s := fmt.Sprintf("%d (%s)", len(l.Columns), strings.Join(l.Columns, ", "))
		if l.From != "" {
			s += " from " + l.From + " on"
		}
		known = append(known, s)
	}
	return fmt.Sprintf("a width registered for %s files of %s: %s", e.Kind, e.Table, strings.Join(known, "; "))
}

// Hint names the way on.
func (e *LayoutError) Hint() string {
	kind := "load"
	switch e.Kind {
	case dms.KindChange:
		kind = "cdc, from: " + e.NameTime
	case dms.KindTransaction:
		kind = "txn, from: " + e.NameTime
	}
	divided := ""
	if e.Width == 1 {
		divided = "see whether the file has the registered delimiter; "
	}
	return divided + fmt.Sprintf("if the source or the task has other columns now, add a layout {kind: %s, columns: […]} of that width "+
		"to the registration, apply it, and resume the table with --retry", kind)
}

var _ error = (*LayoutError)(nil)

// LayoutFor gives the columns of a headerless file: of the layouts of its kind
// and width, the one that came into force last before the time in the file's
// name (empty for a load file). A layout holds from its From on, until another of
// the same kind and width takes its place. Where none is registered for a kind,
// the default holds: Op, timestamp, the table's columns, sequence, as far as the
// settings name them; Op in a load file only with op_in_full_load.
//
// Rows of a transaction file have the layouts of their own kind, else those of
// change files, but Op always stands first; table and schema, which follow it
// there, count neither in width nor in the columns. The error is a *LayoutError.
func (t Table) LayoutFor(kind dms.FileKind, nameTime string, width int) (Layout, error) {
	known := t.layoutsOf(kind)
	best := -1
	for i, l := range known {
		if len(l.Columns) != width || l.From != "" && dms.CompareTimes(l.From, nameTime) > 0 {
			continue
		}
		if best < 0 || dms.CompareTimes(l.From, known[best].From) > 0 {
			best = i
		}
	}
	if best < 0 {
		return Layout{}, &LayoutError{Table: t.ID, Kind: kind, NameTime: nameTime, Width: width, Known: known}
	}
	return known[best], nil
}

func (t Table) layoutsOf(kind dms.FileKind) []Layout {
	if kind == dms.KindTransaction {
		return t.transactionLayouts()
	}
	list := t.registeredLayouts(kind)
	if len(list) == 0 {
		list = []Layout{t.defaultLayout(kind)}
	}
	return list
}

func (t Table) registeredLayouts(kind dms.FileKind) []Layout {
	var list []Layout
	for _, l := range t.Layouts {
		if l.Kind == kind {
			list = append(list, l)
		}
	}
	return list
}

func (t Table) defaultLayout(kind dms.FileKind) Layout {
	l := Layout{Kind: kind}
	if t.DMS.OpColumn != nil && (kind == dms.KindChange || t.DMS.OpInFullLoad) {
		l.Columns = append(l.Columns, *t.DMS.OpColumn)
	}
	if t.DMS.TimestampColumn != nil {
		l.Columns = append(l.Columns, *t.DMS.TimestampColumn)
	}
	for _, col := range t.Columns {
		l.Columns = append(l.Columns, col.Name)
	}
	if t.DMS.ChangeSeqColumn != nil {
		l.Columns = append(l.Columns, *t.DMS.ChangeSeqColumn)
	}
	return l
}

func (c *checker) layouts(t Table) {
	type place struct {
		kind  dms.FileKind
		width int
		from  string
	}
	places := map[place]int{}
	for i, l := range t.Layouts {
		path := fmt.Sprintf("layouts[%d]", i)
		c.layout(path, t, l)
		p := place{l.Kind, len(l.Columns), l.From}
		if l.Kind == dms.KindTransaction {
			p.width = 1 + len(withoutName(l.Columns, t.operation())) // Op may be left out
		}
		if len(p.from) == 18 {
			p.from += "0" // the tenth digit, where it is written, may be 0 as well
		}
		if other, taken := places[p]; taken {
			c.fault(path, "layouts[%d] and layouts[%d] could match one %s file of %d columns: join them, or tell by from: since when the second holds", other, i, l.Kind, p.width)
			continue
		}
		places[p] = i
	}
}

func (c *checker) layout(path string, t Table, l Layout) {
	switch {
	case l.Kind != dms.KindLoad && l.Kind != dms.KindChange && l.Kind != dms.KindTransaction:
		c.fault(path+".kind", "a layout is for load, cdc or txn files")
	case l.From != "" && l.Kind == dms.KindLoad:
		c.fault(path+".from", "load files carry no time in their names: a layout for them holds always")
	case l.From != "" && !dms.ValidTime(l.From):
		c.fault(path+".from", "%q is no time as the names of change files hold it: expected such as 20240705-000000000", l.From)
	}
	if len(l.Columns) == 0 {
		c.fault(path+".columns", "a layout names at least one column")
	}
	seen := map[string]bool{}
	var unknown []string
	for i, name := range l.Columns {
		at := fmt.Sprintf("%s.columns[%d]", path, i)
		c.name(at, name)
		if seen[FoldName(name)] {
			c.fault(at, "%s is there twice", name)
		}
		seen[FoldName(name)] = true
		if strings.HasPrefix(FoldName(name), ReservedPrefix) {
			c.fault(at, "%s: names that begin with %s are kept for the columns that Blotter adds", name, ReservedPrefix)
		}
		if !t.knows(name) {
			unknown = append(unknown, name)
		}
	}
	var missing []string
	for _, col := range t.Columns {
		if !seen[FoldName(col.Name)] {
			missing = append(missing, col.Name)
		}
	}
	// A column more is taken as an optional string, and a column less as null; both
	// at once is the mark of a misspelt name.
	headerless := t.DMS.Format == FormatCSV && !t.DMS.Header || l.Kind == dms.KindTransaction
	if headerless && len(unknown) > 0 && len(missing) > 0 {
		c.fault(path+".columns", "%s is not registered, and %s is missing: correct the name, or register the new column", strings.Join(unknown, ", "), strings.Join(missing, ", "))
	}
}

// knows reports whether name is a column of the table, one that DMS adds, or the
// before-image of one.
func (t Table) knows(name string) bool {
	if _, ok := t.Column(name); ok {
		return true
	}
	if slices.ContainsFunc(t.DMS.bookkeeping(), func(b bookkeepingColumn) bool { return FoldName(b.name) == FoldName(name) }) {
		return true
	}
	if p := t.DMS.BeforeImagePrefix; p != nil {
		if of, ok := strings.CutPrefix(FoldName(name), FoldName(*p)); ok {
			_, ok := t.Column(of)
			return ok
		}
	}
	return false
}
