package registry

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// source walks the tree of a YAML file, keeps what is wrong with it, and where
// everything stands. It takes the tree instead of having it decoded, since only
// so all faults can be told at once, with their lines.
type source struct {
	file    string
	anchors map[string]ast.Node
	lines   map[string]int // of each path that was read
	faults  Faults
}

// parseYAML reads the documents of a file; those that are empty are left out.
func parseYAML(data []byte, file string) (*source, []ast.Node, error) {
	if !utf8.Valid(data) {
		return nil, nil, Faults{{File: file, Line: 1, Text: "the file is not UTF-8"}}
	}
	tree, err := parseTree(data)
	if err != nil {
		// The text of a SyntaxError is not asked for: it fails where it knows no token.
		f := Fault{File: file, Line: 1, Text: "no valid YAML"}
		if syntax, ok := errors.AsType[*yaml.SyntaxError](err); !ok {
			f.Text += ": " + err.Error()
		} else {
			f.Text += ": " + syntax.Message
			if syntax.Token != nil && syntax.Token.Position != nil {
				f.Line = syntax.Token.Position.Line
			}
		}
		return nil, nil, Faults{f}
	}
	s := &source{file: file, anchors: map[string]ast.Node{}, lines: map[string]int{}}
	var docs []ast.Node
	for _, doc := range tree.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		ast.Walk(anchorFinder(s.anchors), doc.Body)
		docs = append(docs, doc.Body)
	}
	return s, docs, nil
}

// parseTree parses. A file on which the parser panics is no valid YAML either.
func parseTree(data []byte) (tree *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			tree, err = nil, fmt.Errorf("parse: %v", p)
		}
	}()
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

// anchorFinder collects what anchors name.
type anchorFinder map[string]ast.Node

// Visit notes an anchor and goes on.
func (f anchorFinder) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok {
		f[a.Name.GetToken().Value] = a.Value
	}
	return f
}

func (s *source) fault(n ast.Node, path, format string, args ...any) {
	s.faults = append(s.faults, Fault{File: s.file, Line: line(n), Path: path, Text: fmt.Sprintf(format, args...)})
}

func line(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 1
	}
	return n.GetToken().Position.Line
}

// resolve follows anchors, aliases and tags to what they stand for.
func (s *source) resolve(n ast.Node) ast.Node {
	for range 100 {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.TagNode:
			n = v.Value
		case *ast.AliasNode:
			n = s.anchors[v.Value.GetToken().Value]
		default:
			return n
		}
	}
	return nil
}

// entry is one key of a mapping and its value.
type entry struct {
	key   string
	node  ast.Node // of the key
	value ast.Node
}

// entries lists a mapping in its order, merged keys (<<) last; a key that the
// mapping has itself overrides a merged one. False if n is no mapping.
func (s *source) entries(n ast.Node, path string) ([]entry, bool) {
	list, ok := s.mapping(n, path, 0)
	if !ok {
		s.fault(n, path, "expected keys and values")
	}
	return list, ok
}

func (s *source) mapping(n ast.Node, path string, depth int) ([]entry, bool) {
	m, ok := s.resolve(n).(*ast.MappingNode)
	if !ok || depth > 5 {
		return nil, false
	}
	var own, merged []entry
	seen := map[string]bool{}
	for _, v := range m.Values {
		if v.Key.IsMergeKey() {
			sources := []ast.Node{v.Value}
			if seq, ok := s.resolve(v.Value).(*ast.SequenceNode); ok {
				sources = seq.Values
			}
			for _, from := range sources {
				list, ok := s.mapping(from, path, depth+1)
				if !ok {
					s.fault(v.Value, path, "<< takes in a mapping, such as an alias of one")
				}
				merged = append(merged, list...)
			}
			continue
		}
		key := v.Key.GetToken().Value
		if complexKey, ok := v.Key.(*ast.MappingKeyNode); ok {
			key, _ = s.text(complexKey.Value, path)
		}
		if seen[key] {
			s.fault(v.Key, join(path, key), "the key is there twice")
			continue
		}
		seen[key] = true
		own = append(own, entry{key, v.Key, v.Value})
	}
	for _, e := range merged {
		if !seen[e.key] {
			seen[e.key] = true
			own = append(own, e)
		}
	}
	return own, true
}

// fields reads a mapping whose keys are known; others are faults.
func (s *source) fields(n ast.Node, path string, known map[string]func(n ast.Node, path string)) {
	list, _ := s.entries(n, path)
	for _, e := range list {
		at := join(path, e.key)
		s.lines[at] = line(e.node)
		if read := known[e.key]; read != nil {
			read(e.value, at)
			continue
		}
		s.fault(e.node, at, "the key is not known: expected %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	}
}

// list reads a sequence, item by item.
func (s *source) list(n ast.Node, path string, item func(n ast.Node, path string)) {
	seq, ok := s.resolve(n).(*ast.SequenceNode)
	if !ok {
		s.fault(n, path, "expected a list")
		return
	}
	for i, v := range seq.Values {
		at := index(path, i)
		s.lines[at] = line(v)
		item(v, at)
	}
}

// text reads a scalar as the text that stands there.
func (s *source) text(n ast.Node, path string) (string, bool) {
	switch v := s.resolve(n).(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return strings.TrimSuffix(v.Value.Value, "\n"), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return v.GetToken().Value, true
	case *ast.NullNode:
		s.fault(n, path, `the value is missing: YAML reads it as null; put text in quotes, such as "NULL" or ""`)
	default:
		s.fault(n, path, "expected a single value")
	}
	return "", false
}

// isNull reports whether nothing, or null, stands there.
func (s *source) isNull(n ast.Node) bool {
	_, ok := s.resolve(n).(*ast.NullNode)
	return ok
}

// textInto gives a reader of text that must be there.
func (s *source) textInto(dst *string) func(ast.Node, string) {
	return func(n ast.Node, path string) {
		if v, ok := s.text(n, path); ok {
			*dst = v
		}
	}
}

// optionalInto gives a reader of text or null.
func (s *source) optionalInto(dst **string) func(ast.Node, string) {
	return func(n ast.Node, path string) {
		*dst = nil
		if !s.isNull(n) {
			if v, ok := s.text(n, path); ok {
				*dst = &v
			}
		}
	}
}

// boolInto gives a reader of true or false.
func (s *source) boolInto(dst *bool) func(ast.Node, string) {
	return func(n ast.Node, path string) {
		v, ok := s.resolve(n).(*ast.BoolNode)
		if !ok {
			s.fault(n, path, "expected true or false")
			return
		}
		*dst = v.Value
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
