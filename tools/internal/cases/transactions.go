package cases

import (
	"compress/gzip"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// transactionPrefix begins the names of transaction files, which hold the rows
// of several tables and belong to none.
const transactionPrefix = "CDC_TXN"

// beforeRow are the columns before a row's own in a transaction file, in their
// order, as a case may call them.
var beforeRow = [][]string{
	{"op", "operation"},
	{"table", "table_name", "tablename"},
	{"schema", "schema_name", "database_schema_name", "schemaname"},
}

// Transaction reports whether the step delivers a transaction file, which holds
// rows of several tables.
func (s Step) Transaction() bool { return strings.HasPrefix(path.Base(s.Key), transactionPrefix) }

// cdcFolder gives the folder of the transaction files, from the beginning of the
// key; empty if there are none. A case may spell the path with or without what
// lies before it, as DMS itself does in its settings, or not at all: then the
// files tell.
func (c *Case) cdcFolder() string {
	i := slices.IndexFunc(c.Steps, Step.Transaction)
	if c.DMS.CDCPath == nil {
		if i < 0 || !strings.Contains(c.Steps[i].Key, "/") {
			return ""
		}
		return path.Dir(c.Steps[i].Key) + "/"
	}
	folder := strings.Trim(*c.DMS.CDCPath, "/") + "/"
	if i < 0 {
		return folder
	}
	key := c.Steps[i].Key
	if at := strings.Index("/"+key, "/"+folder); at >= 0 {
		return key[:at] + folder
	}
	return path.Dir(key) + "/"
}

// cdcPath gives the path of transaction files below the prefix.
func (c *Case) cdcPath(prefix string) *string {
	folder := c.cdcFolder()
	if folder == "" {
		return nil
	}
	p := strings.TrimPrefix(folder, prefix)
	return &p
}

// above shortens a prefix until the transaction files lie below it, too.
func (c *Case) above(prefix, folder string) (string, string) {
	cdc := c.cdcFolder()
	for i := range c.Steps {
		if !c.Steps[i].Transaction() {
			continue
		}
		for prefix != "" && !strings.HasPrefix(cdc, prefix) {
			parent := prefix[:strings.LastIndexByte(strings.TrimSuffix(prefix, "/"), '/')+1]
			prefix, folder = parent, prefix[len(parent):]+folder
		}
	}
	return prefix, folder
}

// ownColumns gives what follows operation, table and schema in the rows of a
// table, from the column list of a transaction file. The file has rows of several
// tables, so that the list may be about another one, or about all of them at
// once. Then what it says of DMS's own columns holds, and the table's columns
// stand in their place.
func ownColumns(t registry.Table, list []string) []string {
	for i, names := range beforeRow {
		isOp := i == 0 && len(list) > 0 && t.DMS.OpColumn != nil && registry.FoldName(list[0]) == registry.FoldName(*t.DMS.OpColumn)
		if len(list) > 0 && (isOp || slices.Contains(names, registry.FoldName(list[0]))) {
			list = list[1:]
		}
	}
	own := func(name string) bool { return !addedByDMS(t, name) }
	first := slices.IndexFunc(list, own)
	last := len(list)
	for last > 0 && !own(list[last-1]) {
		last--
	}
	if first < 0 {
		first, last = len(list), len(list)
	}
	if middle := list[first:last]; allOf(t, middle) {
		return list
	}
	columns := slices.Clone(list[:first])
	for _, col := range t.Columns {
		columns = append(columns, col.Name)
	}
	return append(columns, list[last:]...)
}

// addedByDMS reports whether a column is none of the source's.
func addedByDMS(t registry.Table, name string) bool {
	fold := registry.FoldName(name)
	for _, added := range []*string{t.DMS.OpColumn, t.DMS.TimestampColumn, t.DMS.ChangeSeqColumn} {
		if added != nil && registry.FoldName(*added) == fold {
			return true
		}
	}
	if p := t.DMS.BeforeImagePrefix; p != nil {
		of, ok := strings.CutPrefix(fold, registry.FoldName(*p))
		_, known := t.Column(of)
		return ok && known
	}
	return false
}

// allOf reports whether a list is about the table: it has the table's key, and no
// column that the table has not.
func allOf(t registry.Table, list []string) bool {
	has := map[string]bool{}
	for _, name := range list {
		if _, known := t.Column(name); !known && !addedByDMS(t, name) {
			return false
		}
		has[registry.FoldName(name)] = true
	}
	for _, name := range t.PrimaryKey {
		if !has[registry.FoldName(name)] {
			return false
		}
	}
	return len(list) > 0
}

// schema gives the schema under which the case's transaction files name a table,
// which an operator knows of the source. Empty if they do not name it, or under
// several schemas.
func (c *Case) schema(t Table) string {
	found := ""
	for _, s := range c.Steps {
		if !s.Transaction() {
			continue
		}
		for _, name := range c.named(s, t.Name) {
			if name == t.DB {
				return name
			}
			if found != "" && found != name {
				return ""
			}
			found = name
		}
	}
	return found
}

// named lists the schemas that stand beside a table's name in a transaction file,
// as far as it can be read.
func (c *Case) named(s Step, table string) (schemas []string) {
	file, err := os.Open(c.Path(s.File))
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	var text io.Reader = file
	if strings.HasSuffix(s.Key, ".gz") {
		if text, err = gzip.NewReader(file); err != nil {
			return nil
		}
	}
	var opt dms.CSVOptions
	if c.DMS.Delimiter != "" {
		opt.Delimiter = c.DMS.Delimiter[0]
	}
	reader := dms.NewCSVReader(text, opt)
	for {
		r, err := reader.Read()
		if err != nil {
			return schemas
		}
		if r.Len() < len(beforeRow) || !strings.EqualFold(string(r.Field(1).Text), table) {
			continue
		}
		if schema := string(r.Field(2).Text); !slices.Contains(schemas, schema) {
			schemas = append(schemas, schema)
		}
	}
}
