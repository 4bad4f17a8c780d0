package registry

import (
	"fmt"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/openblotter/blotter/pkg/dms"
)

// DefaultQuietPeriod seals a load unless the registration says otherwise.
const DefaultQuietPeriod = 10 * time.Minute

// DefaultSettings are the DMS settings of a registration that names none: CSV
// with commas and without a header, an empty field for NULL, an Op column that
// full loads do not have.
func DefaultSettings() Settings {
	op := "Op"
	return Settings{Format: FormatCSV, Delimiter: ",", OpColumn: &op}
}

// Parse reads a registration file: YAML, one database a document. Each table
// comes back complete, every default filled in, in the order of the file; column
// ids and version are left to AssignIDs and to whoever keeps the registrations.
// Unknown keys are refused. The error is Faults: everything that is wrong, with
// the lines of file, which is named in them only.
func Parse(data []byte, file string) ([]Table, error) {
	s, docs, err := parseYAML(data, file)
	if err != nil {
		return nil, err
	}
	if len(docs) == 0 {
		return nil, Faults{{File: file, Line: 1, Text: "the file is empty: expected database and tables"}}
	}
	var p parsed
	for i, doc := range docs {
		root := ""
		if i > 0 {
			root = fmt.Sprintf("document[%d]", i)
		}
		p.document(s, doc, root)
	}
	p.check(s)
	if err := s.faults.err(); err != nil {
		return nil, err
	}
	return p.tables, nil
}

// parsed holds the tables of a file and where each of them stands.
type parsed struct {
	tables []Table
	paths  []string // of the table: "tables[3]"
	roots  []string // of its document
}

// check applies the rules and finds the lines of what breaks them.
func (p *parsed) check(s *source) {
	read := s.faults
	for i, t := range p.tables {
		var c checker
		c.table(t)
		for _, f := range c.faults {
			p.place(s, read, i, f)
		}
	}
	for _, c := range conflicts(p.tables) {
		if c.fault.Table.Table != "" {
			p.place(s, read, c.index, c.fault)
		}
	}
}

// place adds a fault of table i with its line: in the table's own block, or in
// what all tables of the document share. What could not be read is told already.
func (p *parsed) place(s *source, read Faults, i int, f Fault) {
	own, shared := join(p.paths[i], f.Path), join(p.roots[i], f.Path)
	for _, r := range read {
		if within(r.Path, own) || within(own, r.Path) || r.Path == shared {
			return
		}
	}
	f.File, f.Line, f.Table = s.file, s.lines[p.paths[i]], p.tables[i].ID
	for rel := f.Path; rel != ""; rel = rel[:max(strings.LastIndexAny(rel, ".["), 0)] {
		if line, ok := s.lines[join(p.paths[i], rel)]; ok {
			f.Line = line
			break
		}
		if line, ok := s.lines[join(p.roots[i], rel)]; ok {
			f.Line, f.Table = line, dms.TableID{}
			break
		}
	}
	s.faults = append(s.faults, f)
}

// within reports whether path is outer or a part of it.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// shared is what all tables of a document start from.
type shared struct {
	database, prefix, schema, task string
	table                          Table
	tables                         ast.Node
}

func (p *parsed) document(s *source, doc ast.Node, root string) {
	d := shared{table: Table{Flag: FlagLambda, OnBadRow: OnBadRowFail, DMS: DefaultSettings(), Load: LoadRule{QuietPeriod: DefaultQuietPeriod}}}
	s.fields(doc, root, map[string]func(ast.Node, string){
		"database": s.textInto(&d.database),
		"source": func(n ast.Node, path string) {
			s.fields(n, path, map[string]func(ast.Node, string){
				"prefix": s.textInto(&d.prefix), "schema": s.textInto(&d.schema), "task": s.textInto(&d.task),
			})
		},
		"dms":        s.settingsInto(&d.table.DMS),
		"load":       s.loadInto(&d.table.Load),
		"on_bad_row": s.textInto(&d.table.OnBadRow),
		"route":      s.routeInto(&d.table.Route),
		"reports":    s.reportsInto(&d.table.Reports),
		"tables":     func(n ast.Node, _ string) { d.tables = n },
	})
	if d.database == "" {
		s.fault(doc, join(root, "database"), "the name of the database is missing")
	}
	if d.tables == nil {
		s.fault(doc, join(root, "tables"), "tables are missing")
		return
	}
	if d.schema == "" {
		d.schema = d.database
	}
	s.list(d.tables, join(root, "tables"), func(n ast.Node, path string) {
		p.tables = append(p.tables, s.table(n, path, d))
		p.paths, p.roots = append(p.paths, path), append(p.roots, root)
	})
}

// table reads one table. What it shares with the others is copied, since its own
// settings may replace parts of it.
func (s *source) table(n ast.Node, path string, d shared) Table {
	t := d.table
	if d.table.DMS.DatePartition != nil {
		partition := *d.table.DMS.DatePartition
		t.DMS.DatePartition = &partition
	}
	var folder *string
	t.Prefix, t.Schema, t.Task, t.ID.DB = asFolder(d.prefix), d.schema, d.task, d.database
	t.PrimaryKey, t.Columns = []string{}, []Column{}
	hasKey := false
	s.fields(n, path, map[string]func(ast.Node, string){
		"name":        s.textInto(&t.ID.Table),
		"path":        s.optionalInto(&folder),
		"route":       s.routeInto(&t.Route),
		"flag":        func(n ast.Node, path string) { v, _ := s.text(n, path); t.Flag = Flag(v) },
		"dms":         s.settingsInto(&t.DMS),
		"load":        s.loadInto(&t.Load),
		"on_bad_row":  s.textInto(&t.OnBadRow),
		"reports":     s.reportsInto(&t.Reports),
		"columns":     func(n ast.Node, path string) { t.Columns = s.columns(n, path) },
		"layouts":     func(n ast.Node, path string) { t.Layouts = s.layouts(n, path) },
		"primary_key": func(n ast.Node, path string) { t.PrimaryKey, hasKey = s.names(n, path), true },
		"job": func(n ast.Node, path string) {
			s.fields(n, path, map[string]func(ast.Node, string){"lambda": s.textInto(&t.Job.Lambda), "glue": s.textInto(&t.Job.Glue)})
		},
	})
	if !hasKey {
		s.fault(n, join(path, "primary_key"), "the primary key is missing: write [] for a table without one, to which rows are only added")
	}
	switch {
	case folder != nil:
		t.Path = asFolder(*folder)
	case d.schema != "" && t.ID.Table != "":
		t.Path = asFolder(d.schema + "/" + t.ID.Table)
	}
	for i, name := range t.PrimaryKey {
		if col, ok := t.Column(name); ok {
			t.PrimaryKey[i] = col.Name
		}
	}
	return t
}

// asFolder adds the slash at the end of a folder's name.
func asFolder(s string) string {
	if s == "" || strings.HasSuffix(s, "/") {
		return s
	}
	return s + "/"
}

func (s *source) settingsInto(dst *Settings) func(ast.Node, string) {
	return func(n ast.Node, path string) {
		s.fields(n, path, map[string]func(ast.Node, string){
			"format":              func(n ast.Node, path string) { v, _ := s.text(n, path); dst.Format = Format(v) },
			"header":              s.boolInto(&dst.Header),
			"delimiter":           s.textInto(&dst.Delimiter),
			"null":                s.textInto(&dst.Null),
			"op_column":           s.optionalInto(&dst.OpColumn),
			"op_in_full_load":     s.boolInto(&dst.OpInFullLoad),
			"timestamp_column":    s.optionalInto(&dst.TimestampColumn),
			"change_seq_column":   s.optionalInto(&dst.ChangeSeqColumn),
			"before_image_prefix": s.optionalInto(&dst.BeforeImagePrefix),
			"cdc_path": func(n ast.Node, path string) {
				s.optionalInto(&dst.CDCPath)(n, path)
				if dst.CDCPath != nil {
					folder := asFolder(*dst.CDCPath)
					dst.CDCPath = &folder
				}
			},
			"date_partition": func(n ast.Node, path string) {
				dst.DatePartition = nil
				if !s.isNull(n) {
					dst.DatePartition = &DatePartition{Format: "YYYYMMDD", Separator: "slash"}
					s.fields(n, path, map[string]func(ast.Node, string){
						"format": s.textInto(&dst.DatePartition.Format), "separator": s.textInto(&dst.DatePartition.Separator),
					})
				}
			},
		})
	}
}

// routeInto reads "auto" or "flag", which is the default and stands as empty.
func (s *source) routeInto(dst *string) func(ast.Node, string) {
	return func(n ast.Node, path string) {
		if v, ok := s.text(n, path); ok {
			if *dst = v; v == "flag" {
				*dst = ""
			}
		}
	}
}

func (s *source) reportsInto(dst *Reports) func(ast.Node, string) {
	return func(n ast.Node, path string) {
		s.fields(n, path, map[string]func(ast.Node, string){"show_values": s.boolInto(&dst.ShowValues)})
	}
}

func (s *source) loadInto(dst *LoadRule) func(ast.Node, string) {
	return func(n ast.Node, path string) {
		s.fields(n, path, map[string]func(ast.Node, string){
			"quiet_period": func(n ast.Node, path string) {
				v, ok := s.text(n, path)
				if !ok {
					return
				}
				d, err := time.ParseDuration(v)
				if err != nil {
					s.fault(n, path, "%q is no duration: expected such as 10m or 1h30m, or 0 for none", v)
				}
				dst.QuietPeriod = d
			},
		})
	}
}
