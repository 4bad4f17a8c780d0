package registry

import (
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/openblotter/blotter/pkg/dms"
)

// names reads a list of names.
func (s *source) names(n ast.Node, path string) []string {
	list := []string{}
	s.list(n, path, func(n ast.Node, path string) {
		if v, ok := s.text(n, path); ok {
			list = append(list, v)
		}
	})
	return list
}

// columns reads both forms: a mapping of names to types, and a list of mappings
// with name, type and nullable. The order of the file is the order of the columns.
func (s *source) columns(n ast.Node, path string) []Column {
	columns := []Column{}
	if _, ok := s.resolve(n).(*ast.SequenceNode); ok {
		s.list(n, path, func(n ast.Node, path string) {
			col, nullable := Column{}, true
			named, typed := false, false
			s.fields(n, path, map[string]func(ast.Node, string){
				"name":     func(n ast.Node, path string) { col.Name, named = s.text(n, path) },
				"type":     func(n ast.Node, path string) { typed = true; s.columnType(n, path, &col) },
				"nullable": func(n ast.Node, path string) { s.boolInto(&nullable)(n, path); col.Required = !nullable },
			})
			if !named || !typed {
				s.fault(n, path, "a column has a name and a type")
			}
			columns = append(columns, col)
		})
		return columns
	}
	list, _ := s.entries(n, path)
	for i, e := range list {
		col := Column{Name: e.key}
		at := index(path, i)
		s.lines[at] = line(e.node)
		s.columnType(e.value, at, &col)
		columns = append(columns, col)
	}
	return columns
}

// columnType reads "bigint not null" into col.
func (s *source) columnType(n ast.Node, path string, col *Column) {
	v, ok := s.text(n, path)
	if !ok {
		return
	}
	words := strings.Join(strings.Fields(v), " ")
	lower := strings.ToLower(words)
	switch {
	case strings.HasSuffix(lower, " not null"):
		words, col.Required = words[:len(words)-len(" not null")], true
	case strings.HasSuffix(lower, " null"):
		words = words[:len(words)-len(" null")]
	}
	t, err := ParseType(words)
	if err != nil {
		hint := ""
		if strings.Count(words, "(") > strings.Count(words, ")") {
			hint = `; within {…} a type with a comma stands in quotes: "numeric(10, 2)"`
		}
		s.fault(n, path, "%v%s", err, hint)
	}
	col.Type = t
}

func (s *source) layouts(n ast.Node, path string) []Layout {
	var layouts []Layout
	s.list(n, path, func(n ast.Node, path string) {
		var l Layout
		s.fields(n, path, map[string]func(ast.Node, string){
			"kind": func(n ast.Node, path string) {
				switch v, ok := s.text(n, path); {
				case v == "load" || v == "full_load":
					l.Kind = dms.KindLoad
				case v == "cdc" || v == "change":
					l.Kind = dms.KindChange
				case v == "txn" || v == "transaction":
					l.Kind = dms.KindTransaction
				case ok:
					s.fault(n, path, "%q is not known: expected load, cdc or txn", v)
				}
			},
			"from": func(n ast.Node, path string) {
				s.textInto(&l.From)(n, path)
				if len(l.From) == 8 {
					l.From += "-000000000"
				}
			},
			"columns": func(n ast.Node, path string) { l.Columns = s.names(n, path) },
		})
		layouts = append(layouts, l)
	})
	return layouts
}
