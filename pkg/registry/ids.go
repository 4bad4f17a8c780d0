package registry

import (
	"fmt"
	"slices"
	"strings"
)

// SchemaError: a registration asks for a schema that the table cannot become.
type SchemaError struct {
	Was, Is []Column
	Reasons []string
}

// Error gives the reasons and shows both schemas.
func (e *SchemaError) Error() string {
	return fmt.Sprintf("%s; registered so far: %s; now: %s", strings.Join(e.Reasons, "; "), ShowColumns(e.Was), ShowColumns(e.Is))
}

var _ error = (*SchemaError)(nil)

// ShowColumns gives names and types for a person: "(id long not null, note string)".
func ShowColumns(columns []Column) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.Name + " " + c.Type.String()
		if c.Required {
			list[i] += " not null"
		}
	}
	return "(" + strings.Join(list, ", ") + ")"
}

// AssignIDs gives the columns of next their field ids. Without a registration
// before it they count from 1 in order, the provenance columns behind them. The
// ids are those of staged files; the lake finds its columns by name and has ids of
// its own for them, equal to these as long as no file brought a column that was
// not registered. With a registration before it, a column keeps the id and the spelling that it has in prev, found without
// regard to case; a new one gets the next id; an id whose column is gone is never
// used again. Where next names no columns it keeps those of prev. A type may
// change as Iceberg promotes (see Type.PromotesTo), a column may become optional,
// a new column must be. All else is a *SchemaError: the rows that were published
// under prev do not fit. Then the Table is what it would be without any, for which
// all of it is possible. Neither argument is changed.
func AssignIDs(prev *Table, next Table) (Table, error) {
	next.Columns = slices.Clone(next.Columns)
	if prev == nil {
		for i := range next.Columns {
			next.Columns[i].ID = i + 1
		}
		n := len(next.Columns)
		next.Provenance = Provenance{File: n + 1, Row: n + 2, Position: n + 3, Next: n + 4}
		return next, nil
	}
	next.Provenance = prev.Provenance
	if len(next.Columns) == 0 {
		next.Columns = slices.Clone(prev.Columns)
		return next, nil
	}
	var reasons []string
	for i := range next.Columns {
		col := &next.Columns[i]
		old, known := prev.Column(col.Name)
		if !known {
			if col.Required {
				reasons = append(reasons, fmt.Sprintf("the new column %s must allow null, since the rows there are have no value for it", col.Name))
			}
			col.ID = next.Provenance.Next
			next.Provenance.Next++
			continue
		}
		if !old.Type.PromotesTo(col.Type) {
			reasons = append(reasons, fmt.Sprintf("column %s cannot change from %s to %s: only int to long, float to double and a decimal of more precision are possible", old.Name, old.Type, col.Type))
		}
		if col.Required && !old.Required {
			reasons = append(reasons, fmt.Sprintf("column %s cannot become not null, since rows may hold null already", old.Name))
		}
		col.ID, col.Name = old.ID, old.Name
	}
	if len(reasons) > 0 {
		return next, &SchemaError{Was: prev.Columns, Is: next.Columns, Reasons: reasons}
	}
	return next, nil
}

// Rekeys tells why next cannot go on with rows that were published under prev: the
// primary key is another, so that they are not found again. It is empty if next can.
func Rekeys(prev, next Table) string {
	if slices.EqualFunc(prev.PrimaryKey, next.PrimaryKey, func(a, b string) bool { return FoldName(a) == FoldName(b) }) {
		return ""
	}
	return fmt.Sprintf("the primary key changes from (%s) to (%s)", strings.Join(prev.PrimaryKey, ", "), strings.Join(next.PrimaryKey, ", "))
}

// Reorders tells why next cannot go on with changes that were published under prev:
// the ordering mode, or the column that it goes by, is another. Rows of a load have no
// place among changes: they fit any order. It is empty if next can.
func Reorders(prev, next Table) string {
	if was, is := prev.DMS.OrderMode(), next.DMS.OrderMode(); was != is {
		return fmt.Sprintf("the order of changes goes by %s instead of %s", is, was)
	}
	if was, is := prev.DMS.OrderColumn(), next.DMS.OrderColumn(); FoldName(was) != FoldName(is) {
		return fmt.Sprintf("the order of changes goes by the column %s instead of %s", is, was)
	}
	return ""
}
