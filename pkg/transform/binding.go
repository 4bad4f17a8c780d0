package transform

import (
	"fmt"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// binding tells which column of a file fills what. -1 is no column.
type binding struct {
	table  registry.Table // see refine
	names  []string       // of the file's columns
	op     int
	order  int   // the change sequence or the commit timestamp
	fields []int // for each column of the table
	before []int // for each key column: its before-image
}

// bind finds the columns of a table, refined by the file, among those of the
// file, without regard to case. A file that lacks what it needs, or holds what
// can be no column, is refused: dropping a column silently would lose data.
func bind(t registry.Table, kind dms.FileKind, names []string) (*binding, *Failure) {
	b := &binding{table: t, names: names, op: -1, order: -1, fields: make([]int, len(t.Columns)), before: make([]int, len(t.PrimaryKey))}
	at := map[string]int{}
	for i, name := range names {
		folded := registry.FoldName(name)
		if _, twice := at[folded]; twice {
			return nil, &Failure{Code: CodeHeader, Column: name, Message: "a column stands twice in the file",
				Expected: "each column once", Hint: "rename one of them at the source or in the layout"}
		}
		at[folded] = i
	}
	find := func(name string) int {
		if i, ok := at[registry.FoldName(name)]; ok {
			return i
		}
		return -1
	}
	for i, c := range t.Columns {
		b.fields[i] = find(c.Name)
	}
	s := t.DMS
	if s.OpColumn != nil {
		b.op = find(*s.OpColumn)
	}
	if kind == dms.KindChange {
		switch s.OrderMode() {
		case dms.OrderByChangeSeq:
			b.order = find(*s.ChangeSeqColumn)
		case dms.OrderByTimestamp:
			b.order = find(*s.TimestampColumn)
		}
	}
	for i, name := range t.PrimaryKey {
		b.before[i] = -1
		if s.BeforeImagePrefix != nil {
			b.before[i] = find(*s.BeforeImagePrefix + name)
		}
	}
	if f := b.missing(t, kind, find); f != nil {
		return nil, f
	}
	return b, unknownColumn(t, names)
}

// missing refuses a file that lacks a column which its rows need.
func (b *binding) missing(t registry.Table, kind dms.FileKind, find func(string) int) *Failure {
	lacks := func(column, message, hint string) *Failure {
		return &Failure{Code: CodeColumnMissing, Column: column, Message: message, Hint: hint,
			// What stands in the first line may be a row: its words are not repeated.
			Expected: fmt.Sprintf("a column %s among the %d of the file", column, len(b.names))}
	}
	for _, name := range t.PrimaryKey {
		if find(name) < 0 {
			return lacks(name, "the file has no column for the primary key", "check the registered primary key, header and layouts")
		}
	}
	if kind != dms.KindChange {
		return nil
	}
	if t.DMS.OpColumn != nil && b.op < 0 {
		return lacks(*t.DMS.OpColumn, "missing Op: the change file has no column that tells the operation",
			"set op_column to null if the task writes inserts only, else mend the layout")
	}
	hint := "rows of this table are ordered by it; mend the layout or the settings of the DMS endpoint"
	switch mode := t.DMS.OrderMode(); {
	case mode == dms.OrderByChangeSeq && b.order < 0:
		return lacks(*t.DMS.ChangeSeqColumn, "the change file has no change sequence column", hint)
	case mode == dms.OrderByTimestamp && b.order < 0:
		return lacks(*t.DMS.TimestampColumn, "the change file has no commit timestamp column", hint)
	}
	return nil
}

// unknownColumn refuses a file with a column that is neither one of the table
// nor one that the settings explain.
func unknownColumn(t registry.Table, names []string) *Failure {
	for _, name := range names {
		if isColumn(t, name) || explained(t, names, name) {
			continue
		}
		f := &Failure{Code: CodeColumnUnknown, Column: name, Message: fmt.Sprintf("column %q of the file is not registered", name),
			Expected: "columns " + registry.ShowColumns(t.Columns), Hint: "add the column to the registration, apply it and retry the file"}
		if why := notColumn(t, name); why != "" {
			f.Message += ": " + why
		}
		return f
	}
	return nil
}

func isColumn(t registry.Table, name string) bool {
	_, ok := t.Column(name)
	return ok
}

func isSetting(column *string, name string) bool {
	return column != nil && sameName(*column, name)
}
