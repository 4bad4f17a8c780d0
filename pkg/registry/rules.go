package registry

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/openblotter/blotter/pkg/dms"
)

// ReservedPrefix begins the names of columns that Blotter adds; no column of a
// source may begin like it, in upper or lower case.
const ReservedPrefix = "_blotter_"

// FoldName gives the form in which names of columns compare: two columns whose
// folded names are equal are one.
func FoldName(name string) string { return strings.ToLower(name) }

// Validate checks all rules of a registration. The error is Faults, with
// everything that is wrong.
func (t Table) Validate() error {
	var c checker
	c.table(t)
	faults := make(Faults, 0, len(c.faults))
	for _, f := range c.faults {
		f.Table = t.ID
		faults = append(faults, f)
	}
	return faults.err()
}

// checker collects what is wrong with one table. Paths are the table's own.
type checker struct {
	faults []Fault
}

func (c *checker) fault(path, format string, args ...any) {
	c.faults = append(c.faults, Fault{Path: path, Text: fmt.Sprintf(format, args...)})
}

func (c *checker) table(t Table) {
	c.name("database", t.ID.DB)
	c.name("name", t.ID.Table)
	if strings.Contains(t.ID.DB, ".") {
		c.fault("database", "a database name holds no dot")
	}
	if t.ID.DB == dms.RawTable.DB || strings.HasPrefix(t.ID.Table, "@") {
		c.fault("name", "%s is a name that Blotter keeps for itself", t.ID)
	}
	c.folder("source.prefix", t.Prefix)
	c.folder("path", t.Path)
	if !slices.Contains([]Flag{FlagLambda, FlagGlue, FlagPaused}, t.Flag) {
		c.fault("flag", "%q is no flag: expected L (Lambda), G (Glue) or P (paused)", t.Flag)
	}
	switch {
	case t.Route != "" && t.Route != RouteAuto:
		c.fault("route", "%q is not known: expected auto or flag", t.Route)
	case t.Route == RouteAuto && t.Job.Glue == "":
		c.fault("route", "auto chooses between Lambda and Glue, and the table names no job of Glue: add job.glue, or leave route out")
	case t.Route == RouteAuto && t.Flag == FlagGlue:
		c.fault("route", "auto and flag G say two things: leave one of them out")
	}
	if t.OnBadRow != OnBadRowFail && t.OnBadRow != OnBadRowQuarantine {
		c.fault("on_bad_row", "%q is not known: expected fail or quarantine", t.OnBadRow)
	}
	if t.Load.QuietPeriod < 0 {
		c.fault("load.quiet_period", "a quiet period is not negative: expected such as 10m, or 0 for none")
	}
	c.settings(t)
	c.columns(t)
	c.key(t)
	c.layouts(t)
}

// name checks the name of a database, a table or a column: it becomes part of
// object keys, subjects and messages.
func (c *checker) name(path, name string) {
	switch {
	case name == "":
		c.fault(path, "the name is missing")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		c.fault(path, "the name %q holds a character that cannot be printed", name)
	case len(name) > 255:
		c.fault(path, "the name is longer than 255 bytes")
	case strings.TrimSpace(name) != name:
		c.fault(path, "the name %q begins or ends with a blank", name)
	case (path == "database" || path == "name") && (strings.Contains(name, "/") || name == "." || name == ".."):
		c.fault(path, "the name %q cannot be the name of a folder", name)
	}
}

func (c *checker) folder(path, folder string) {
	if folder == "" {
		return
	}
	parts := strings.Split(strings.TrimSuffix(folder, "/"), "/")
	if !strings.HasSuffix(folder, "/") || slices.ContainsFunc(parts, func(p string) bool { return p == "" || p == "." || p == ".." }) {
		c.fault(path, "%q is no folder: expected such as dms/rms/, without a slash in front", folder)
	}
}

func (c *checker) settings(t Table) {
	s := t.DMS
	if s.Format != FormatCSV && s.Format != FormatParquet {
		c.fault("dms.format", "%q is not known: expected csv or parquet", s.Format)
	}
	if d := s.Delimiter; len(d) != 1 || d[0] >= utf8.RuneSelf || strings.ContainsAny(d, "\"\r\n\x00") {
		c.fault("dms.delimiter", "%q is no delimiter: expected one ASCII character that is no quote and no line end", d)
	}
	if strings.ContainsAny(s.Null, "\"\r\n") || s.Delimiter != "" && strings.Contains(s.Null, s.Delimiter) {
		c.fault("dms.null", "%q cannot stand unquoted in a CSV file", s.Null)
	}
	if s.OpInFullLoad && s.OpColumn == nil {
		c.fault("dms.op_in_full_load", "full loads cannot have an Op column where op_column is null")
	}
	names := map[string]string{}
	for _, b := range s.bookkeeping() {
		c.name(b.path, b.name)
		if other, taken := names[FoldName(b.name)]; taken {
			c.fault(b.path, "%s is %s already", b.name, strings.TrimPrefix(other, "dms."))
		}
		names[FoldName(b.name)] = b.path
	}
	if s.BeforeImagePrefix != nil && *s.BeforeImagePrefix == "" {
		c.fault("dms.before_image_prefix", "the prefix is empty: write null where there are no before-image columns")
	}
	if s.CDCPath != nil {
		c.folder("dms.cdc_path", *s.CDCPath)
		if *s.CDCPath == "" {
			c.fault("dms.cdc_path", "the path is empty: write null where there are no transaction files")
		} else if *s.CDCPath == t.Path {
			c.fault("dms.cdc_path", "%s is the path of the table", t.Path)
		}
	}
	c.datePartition(s.DatePartition)
}

func (c *checker) datePartition(p *DatePartition) {
	if p == nil {
		return
	}
	formats := []string{"YYYYMMDD", "YYYYMMDDHH", "YYYYMM", "MMYYYYDD", "DDMMYYYY"}
	if !slices.Contains(formats, p.Format) {
		c.fault("dms.date_partition.format", "%q is not known: expected %s", p.Format, strings.Join(formats, ", "))
	}
	separators := []string{"slash", "dash", "underscore", "none"}
	if !slices.Contains(separators, p.Separator) {
		c.fault("dms.date_partition.separator", "%q is not known: expected %s", p.Separator, strings.Join(separators, ", "))
	}
}

// bookkeepingColumn is a column that DMS adds to those of the source.
type bookkeepingColumn struct{ path, name string }

func (s Settings) bookkeeping() []bookkeepingColumn {
	var list []bookkeepingColumn
	for _, b := range []struct {
		path string
		name *string
	}{{"dms.op_column", s.OpColumn}, {"dms.timestamp_column", s.TimestampColumn}, {"dms.change_seq_column", s.ChangeSeqColumn}} {
		if b.name != nil {
			list = append(list, bookkeepingColumn{b.path, *b.name})
		}
	}
	return list
}

func (c *checker) columns(t Table) {
	if len(t.Columns) == 0 {
		c.fault("columns", "columns are missing: name at least those that every file has; files may bring more")
	}
	seen := map[string]string{}
	for i, col := range t.Columns {
		path := fmt.Sprintf("columns[%d]", i)
		fold := FoldName(col.Name)
		c.name(path, col.Name)
		if strings.HasPrefix(fold, ReservedPrefix) {
			c.fault(path, "%s: names that begin with %s are kept for the columns that Blotter adds", col.Name, ReservedPrefix)
		}
		if other, taken := seen[fold]; taken {
			c.fault(path, "%s is there twice (%s): names of columns compare without regard to case", col.Name, other)
		}
		seen[fold] = col.Name
		c.columnType(path, col)
	}
	for i, col := range t.Columns {
		path := fmt.Sprintf("columns[%d]", i)
		for _, b := range t.DMS.bookkeeping() {
			if FoldName(b.name) == FoldName(col.Name) {
				c.fault(path, "%s is the %s too: it is no column of the table", col.Name, strings.TrimPrefix(b.path, "dms."))
			}
		}
		if p := t.DMS.BeforeImagePrefix; p != nil && *p != "" {
			if of, ok := strings.CutPrefix(FoldName(col.Name), FoldName(*p)); ok && seen[of] != "" {
				c.fault(path, "%s could be the before-image of %s: choose another before_image_prefix", col.Name, seen[of])
			}
		}
	}
}

func (c *checker) columnType(path string, col Column) {
	switch {
	case kindNames[col.Type.Kind] == "":
		c.fault(path, "%s has no type", col.Name)
	case col.Type.Kind == Decimal && (col.Type.Precision < 1 || col.Type.Precision > maxPrecision || col.Type.Scale < 0 || col.Type.Scale > col.Type.Precision):
		c.fault(path, "%s: %s is no decimal that Iceberg knows", col.Name, col.Type)
	}
}

func (c *checker) key(t Table) {
	seen := map[string]bool{}
	for i, name := range t.PrimaryKey {
		path := fmt.Sprintf("primary_key[%d]", i)
		if seen[FoldName(name)] {
			c.fault(path, "%s is there twice", name)
		}
		seen[FoldName(name)] = true
		if len(t.Columns) == 0 {
			c.name(path, name)
			continue
		}
		col, ok := t.Column(name)
		switch {
		case !ok:
			c.fault(path, "%s is none of the columns", name)
		case col.Type.Kind == Float || col.Type.Kind == Double:
			c.fault(path, "%s is a %s: a primary key must compare exactly; register the column as decimal or string", name, col.Type)
		}
	}
}

// Column finds a column by name, without regard to case.
func (t Table) Column(name string) (Column, bool) {
	fold := FoldName(name)
	for _, col := range t.Columns {
		if FoldName(col.Name) == fold {
			return col, true
		}
	}
	return Column{}, false
}

// CheckTogether finds tables that cannot be registered side by side: two of one
// name, without regard to case, or two in one folder. The error is Faults.
func CheckTogether(tables []Table) error {
	var faults Faults
	for _, conflict := range conflicts(tables) {
		faults = append(faults, conflict.fault)
	}
	return faults.err()
}

// conflict is a fault of the table with this index.
type conflict struct {
	index int
	fault Fault
}

func conflicts(tables []Table) []conflict {
	var found []conflict
	names, places := map[string]dms.TableID{}, map[string]dms.TableID{}
	report := func(i int, path, format string, args ...any) {
		found = append(found, conflict{i, Fault{Table: tables[i].ID, Path: path, Text: fmt.Sprintf(format, args...)}})
	}
	for i, t := range tables {
		fold := FoldName(t.ID.String())
		if other, taken := names[fold]; taken {
			report(i, "name", "another table has this name, %s (names compare without regard to case)", other)
		}
		names[fold] = t.ID
		if other, taken := places[t.Location()]; taken {
			report(i, "path", "the folder %q belongs to %s", t.Location(), other)
			continue
		}
		places[t.Location()] = t.ID
	}
	transactions := map[string]Table{}
	for i, t := range tables {
		txn, ok := t.OfTransactions()
		if !ok {
			continue
		}
		if other, taken := places[txn.Location()]; taken && other != txn.ID {
			report(i, "dms.cdc_path", "the folder %q belongs to %s", txn.Location(), other)
		}
		places[txn.Location()] = txn.ID
		first, known := transactions[t.ID.DB]
		switch {
		case !known:
			transactions[t.ID.DB] = txn
		case first.Location() != txn.Location():
			report(i, "dms.cdc_path", "a database has one folder of transaction files; %s has %q", t.ID.DB, first.Location())
		case first.DMS.Delimiter != txn.DMS.Delimiter:
			report(i, "dms.delimiter", "the rows of all tables of %s stand in the same transaction files, with one delimiter: %q", t.ID.DB, first.DMS.Delimiter)
		}
	}
	return found
}
