package cases

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// transactionPrefix begins the names of transaction files, which hold the rows
// of several tables and belong to none.
const transactionPrefix = "CDC_TXN"

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
	prefix, folder := c.place(t)
	r := registry.Table{
		ID:     dms.TableID{DB: t.DB, Table: t.Name},
		Prefix: prefix,
		Path:   folder,
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
	if r.DMS.Format == registry.FormatCSV && !r.DMS.Header {
		r.Layouts = c.layouts(prefix + folder)
	}
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
	for _, s := range c.Steps { // a table that only transaction files feed
		if cdc := c.DMS.CDCPath; cdc != nil {
			if at := strings.Index("/"+s.Key, "/"+strings.Trim(*cdc, "/")+"/"); at >= 0 {
				return s.Key[:at], folder
			}
		}
	}
	return "", folder
}

// cdcPath gives the path of transaction files below the prefix. A case may
// spell it with or without the prefix, as DMS itself does in its settings.
func (c *Case) cdcPath(prefix string) *string {
	if c.DMS.CDCPath == nil {
		return nil
	}
	p := strings.TrimPrefix(strings.Trim(*c.DMS.CDCPath, "/")+"/", prefix)
	return &p
}

// Transaction reports whether the step delivers a transaction file, which holds
// rows of several tables.
func (s Step) Transaction() bool { return strings.HasPrefix(path.Base(s.Key), transactionPrefix) }

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

// layouts gives the distinct layouts of the files below folder: of load files in
// the order of the steps, then of change files in the order of the times in their
// names. A layout of change files that another of its width was before holds from
// the time at which it came in its place.
func (c *Case) layouts(folder string) []registry.Layout {
	var loads, changes []registry.Layout
	for _, s := range c.Steps {
		if s.Transaction() || len(s.Columns) == 0 || !strings.HasPrefix(s.Key, folder) {
			continue
		}
		l := registry.Layout{Kind: s.kind(), Columns: s.Columns}
		switch {
		case l.Kind == dms.KindChange:
			l.From, _, _ = strings.Cut(path.Base(s.Key), ".")
			changes = append(changes, l)
		case !slices.ContainsFunc(loads, func(known registry.Layout) bool { return slices.Equal(known.Columns, l.Columns) }):
			loads = append(loads, l)
		}
	}
	slices.SortStableFunc(changes, func(a, b registry.Layout) int { return dms.CompareTimes(a.From, b.From) })
	layouts := loads
	inForce := map[int][]string{} // by width
	for _, l := range changes {
		before, replaced := inForce[len(l.Columns)]
		if slices.Equal(before, l.Columns) {
			continue
		}
		if inForce[len(l.Columns)] = l.Columns; !replaced {
			l.From = ""
		}
		layouts = append(layouts, l)
	}
	return layouts
}
