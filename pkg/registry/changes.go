package registry

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Changes tells a person what a registration changes about the one before it, one
// change a string: columns first, then which settings. Nothing of columns that only
// moved. It is empty where there was none before.
func Changes(prev *Table, next Table) []string {
	if prev == nil {
		return nil
	}
	var said, gone []string
	for _, c := range next.Columns {
		was, known := prev.Column(c.Name)
		switch {
		case !known:
			said = append(said, fmt.Sprintf("column %s %s is new", c.Name, c.Type))
		case was.Type != c.Type:
			said = append(said, fmt.Sprintf("column %s is %s instead of %s", c.Name, c.Type, was.Type))
		case was.Required && !c.Required:
			said = append(said, fmt.Sprintf("column %s may be null", c.Name))
		case !was.Required && c.Required:
			said = append(said, fmt.Sprintf("column %s may not be null", c.Name))
		}
	}
	for _, c := range prev.Columns {
		if _, still := next.Column(c.Name); !still {
			gone = append(gone, c.Name)
		}
	}
	if len(gone) > 0 {
		said = append(said, "no longer registered: "+strings.Join(gone, ", ")+
			" (what the table has of it stays; a CSV file that still brings it brings text, and is refused where the table has another type)")
	}
	for _, s := range []struct {
		name    string
		differs bool
	}{
		{"folder", prev.Location() != next.Location()},
		{"schema", prev.Schema != next.Schema},
		{"task", prev.Task != next.Task},
		{"job", prev.Job != next.Job},
		{"flag", prev.Flag != next.Flag},
		{"route", prev.Route != next.Route},
		{"primary key", !slices.Equal(prev.PrimaryKey, next.PrimaryKey)},
		{"dms settings", !reflect.DeepEqual(prev.DMS, next.DMS)},
		{"layouts", !slices.EqualFunc(prev.Layouts, next.Layouts, func(a, b Layout) bool { return reflect.DeepEqual(a, b) })},
		{"on_bad_row", prev.OnBadRow != next.OnBadRow},
		{"load.quiet_period", prev.Load != next.Load},
		{"reports.show_values", prev.Reports != next.Reports},
	} {
		if s.differs {
			said = append(said, s.name+" changed")
		}
	}
	return said
}
