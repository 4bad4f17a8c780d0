package cases

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// Registrations gives what an operator would register for the case: one
// registration per table, its own first, as the registration file would parse:
// without version and field ids, which are assigned on registering. Loads are
// complete only when somebody says so.
//
// The distinct column lists of the steps are the layouts; there are none where
// the files carry names (a header, or Parquet).
func (c *Case) Registrations() ([]registry.Table, error) {
	var registrations []registry.Table
	for _, t := range c.Tables() {
		r, err := c.registration(t)
		if err != nil {
			return nil, fmt.Errorf("registration of %s.%s: %w", t.DB, t.Name, err)
		}
		registrations = append(registrations, r)
	}
	return registrations, nil
}

func (c *Case) registration(t Table) (registry.Table, error) {
	prefix, folder := c.above(c.place(t))
	r := registry.Table{
		ID:     dms.TableID{DB: t.DB, Table: t.Name},
		Prefix: prefix,
		Path:   folder,
		Schema: c.schema(t),
		Flag:   registry.FlagLambda,
		DMS: registry.Settings{
			Format:            registry.Format(c.DMS.Format),
			Header:            c.DMS.Header,
			Delimiter:         c.DMS.Delimiter,
			Null:              c.DMS.NullValue,
			OpColumn:          c.DMS.OpColumn,
			OpInFullLoad:      c.DMS.OpInFullLoad,
			TimestampColumn:   c.DMS.TimestampColumn,
			ChangeSeqColumn:   c.DMS.ChangeSeqColumn,
			BeforeImagePrefix: c.DMS.BeforeImagePrefix,
			CDCPath:           c.cdcPath(prefix),
		},
		OnBadRow:   "fail",
		PrimaryKey: t.PrimaryKey,
	}
	if p := c.DMS.DatePartition; p != nil {
		r.DMS.DatePartition = &registry.DatePartition{Format: p.Format, Separator: p.Separator}
	}
	for _, col := range t.Columns {
		typ, err := parseType(col.Type)
		if err != nil {
			return r, fmt.Errorf("column %s: %w", col.Name, err)
		}
		required := col.Nullable != nil && !*col.Nullable
		r.Columns = append(r.Columns, registry.Column{Name: col.Name, Type: typ, Required: required})
	}
	r.Layouts = c.layouts(r)
	return r, nil
}

// place finds the table's folder in the keys of the steps, and gives what lies
// before it and the folder itself, spelled as the keys spell it: sources fold the
// case of names in different ways.
func (c *Case) place(t Table) (prefix, folder string) {
	for _, fold := range []func(string) string{strings.Clone, strings.ToLower} {
		for _, folder := range []string{t.DB + "/" + t.Name + "/", t.Name + "/"} {
			for _, s := range c.Steps {
				key := fold(s.Key)
				at := strings.Index("/"+key, "/"+fold(folder))
				if at >= 0 && !s.Transaction() && len(key) == len(s.Key) {
					return s.Key[:at], s.Key[at : at+len(folder)]
				}
			}
		}
	}
	folder = t.DB + "/" + t.Name + "/"
	if cdc := c.cdcFolder(); cdc != "" { // a table that only transaction files feed
		return cdc[:strings.LastIndexByte(strings.TrimSuffix(cdc, "/"), '/')+1], folder
	}
	return "", folder
}

// kind gives the kind of the step's file.
func (s Step) kind() dms.FileKind {
	switch {
	case s.Transaction():
		return dms.KindTransaction
	case s.Kind == FullLoad:
		return dms.KindLoad
	}
	return dms.KindChange
}

// layouts gives the distinct layouts of a table's files without names: of load
// files in the order of the steps, then of change files, and of its rows in
// transaction files, in the order of the times in their names. A layout that
// another of its kind and width was before holds from the time at which it came in
// its place.
func (c *Case) layouts(t registry.Table) []registry.Layout {
	headerless := t.DMS.Format == registry.FormatCSV && !t.DMS.Header
	var loads, changes []registry.Layout
	for _, s := range c.Steps {
		l := registry.Layout{Kind: s.kind(), Columns: s.Columns}
		switch {
		case len(l.Columns) == 0:
			continue
		case s.Transaction():
			l.Columns = ownColumns(t, l.Columns)
		case !headerless || !strings.HasPrefix(s.Key, t.Location()):
			continue
		}
		switch {
		case l.Kind != dms.KindLoad:
			name, _ := dms.ParseName(path.Base(s.Key), dms.NameRules{Place: dms.Anywhere})
			l.From = name.Time
			changes = append(changes, l)
		case !slices.ContainsFunc(loads, func(known registry.Layout) bool { return slices.Equal(known.Columns, l.Columns) }):
			loads = append(loads, l)
		}
	}
	slices.SortStableFunc(changes, func(a, b registry.Layout) int { return dms.CompareTimes(a.From, b.From) })
	layouts := loads
	type place struct {
		kind  dms.FileKind
		width int
	}
	inForce := map[place][]string{}
	for _, l := range changes {
		at := place{l.Kind, len(l.Columns)}
		before, replaced := inForce[at]
		if slices.Equal(before, l.Columns) {
			continue
		}
		if inForce[at] = l.Columns; !replaced {
			l.From = ""
		}
		layouts = append(layouts, l)
	}
	return layouts
}
