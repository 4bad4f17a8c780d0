package transform

import (
	"fmt"
	"strings"

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
//
// Of the table's columns the first so many are registered, the others the file brought.
//
// A failure shows no word of a first line that is not registered: what was taken for
// a header may be a row, and its words are nobody's to show. It names columns by
// their place instead.
func bind(t registry.Table, registered int, kind dms.FileKind, src source) (*binding, *Failure) {
	v := newVocabulary(t, src.columns())
	v.registered = registered
	b := &binding{table: t, names: v.names, op: -1, order: -1, fields: make([]int, len(t.Columns)), before: make([]int, len(t.PrimaryKey))}
	if v.isHeader() && !v.knowsEnough() {
		return nil, v.hardlyHeader()
	}
	find := v.find
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
	// First of all what every file has: without it the first line is hardly a header.
	if f := b.missing(kind, v); f != nil {
		return nil, f
	}
	if f := repeatedColumn(v); f != nil {
		return nil, f
	}
	return b, unknownColumn(v, src)
}

// repeatedColumn refuses a file in which a column stands twice.
func repeatedColumn(v *vocabulary) *Failure {
	for i, name := range v.names {
		if first := v.find(name); first != i {
			return &Failure{Code: CodeHeader, Column: v.shown(name), Message: fmt.Sprintf("a column stands twice in the file: as column %d and as column %d of %d", first+1, i+1, len(v.names)),
				Expected: "each column once", Hint: "rename one of them at the source or in the layout"}
		}
	}
	return nil
}

// missing refuses a file that lacks a column which its rows need.
func (b *binding) missing(kind dms.FileKind, v *vocabulary) *Failure {
	t := b.table
	lacks := func(column, message, hint string) *Failure {
		if near := v.near(column); near != "" {
			hint = fmt.Sprintf("is it %s? Then register that name; else %s", near, hint)
		}
		return &Failure{Code: CodeColumnMissing, Column: column, Message: message, Hint: hint,
			Expected: fmt.Sprintf("a column %s among %s", column, v.shows())}
	}
	for _, name := range t.PrimaryKey {
		if v.find(name) < 0 {
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
	hint := func(key string) string {
		return fmt.Sprintf("rows of this table are ordered by it. If the task writes none, and no change file of the table is published yet, "+
			"set %s to null, apply and resume with --retry; else mend the layout and retry, or have DMS write the file anew with it, and skip this one", key)
	}
	switch mode := t.DMS.OrderMode(); {
	case mode == dms.OrderByChangeSeq && b.order < 0:
		return lacks(*t.DMS.ChangeSeqColumn, "the change file has no change sequence column", hint("change_seq_column"))
	case mode == dms.OrderByTimestamp && b.order < 0:
		return lacks(*t.DMS.TimestampColumn, "the change file has no commit timestamp column", hint("timestamp_column"))
	}
	return nil
}

// unknownColumn refuses a file with a column that is neither one of the table
// nor one that the settings explain.
func unknownColumn(v *vocabulary, src source) *Failure {
	for i, name := range v.names {
		if v.isColumn(name) || v.explains(name) {
			continue
		}
		why, hint := notColumn(v.table, name)
		if typed, ok := src.(typedSource); ok && why == "" {
			if f := typed.unknownType(i, v.table); f != nil {
				return f
			}
		}
		if why == "" && len(v.table.Columns) >= maxColumns {
			why, hint = fmt.Sprintf("a table gets no more than %d columns", maxColumns), "have a rule of the task leave columns out, and skip this file"
		}
		if why == "" {
			hint = "add the column to the registration, apply it and retry the file"
		}
		f := &Failure{Code: CodeColumnUnknown, Column: v.shown(name), Message: fmt.Sprintf("column %d of %d is not registered", i+1, len(v.names)),
			Expected: "columns " + registry.ShowColumns(v.table.Columns[:v.registered]), Hint: hint}
		if why != "" {
			f.Message += ": " + why
		}
		return f
	}
	return nil
}

// maxShownName bounds a name that is shown in a failure, as names are bounded that
// can be columns.
const maxShownName = 255

func shownName(name string) string {
	if len(name) <= maxShownName {
		return name
	}
	return strings.ToValidUTF8(name[:maxShownName], "") + "…"
}

func isColumn(t registry.Table, name string) bool {
	_, ok := t.Column(name)
	return ok
}
