package cloudformation

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Parameter is a parameter of a template.
type Parameter struct {
	Type        string
	Default     *string // nil: it must be given
	Description string
	Allowed     []string // empty: anything
	Pattern     string   // of the whole value; empty: anything
}

// Template is a template whose references are whole.
type Template struct {
	Parameters map[string]Parameter

	file                                      string
	resources, conditions, mappings, sections map[string]any
}

// call is a function in its short form: !Ref Name.
type call struct {
	name string
	arg  any
}

// functions are those that are known here.
var functions = []string{"Ref", "Sub", "GetAtt", "If", "FindInMap", "Equals", "Not", "And", "Or"}

// Read reads a template. The error tells of every reference to something that it lacks.
func Read(file string) (*Template, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read a template: %w", err)
	}
	t, err := parse(content)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	t.file = file
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return t, nil
}

func parse(content []byte) (*Template, error) {
	parsed, err := parser.ParseBytes(content, 0)
	if err != nil {
		return nil, err
	}
	if len(parsed.Docs) != 1 {
		return nil, fmt.Errorf("there are %d documents; a template is one", len(parsed.Docs))
	}
	read, err := value(parsed.Docs[0].Body)
	if err != nil {
		return nil, err
	}
	t := &Template{Parameters: map[string]Parameter{}}
	var is bool
	if t.sections, is = read.(map[string]any); !is {
		return nil, errors.New("a template is a map")
	}
	t.resources, t.conditions, t.mappings = section(t.sections, "Resources"), section(t.sections, "Conditions"), section(t.sections, "Mappings")
	for name := range section(t.sections, "Parameters") {
		p := section(section(t.sections, "Parameters"), name)
		parameter := Parameter{Type: text(p["Type"]), Description: text(p["Description"]), Pattern: text(p["AllowedPattern"])}
		if d, has := p["Default"]; has {
			s := text(d)
			parameter.Default = &s
		}
		allowed, _ := p["AllowedValues"].([]any)
		for _, a := range allowed {
			parameter.Allowed = append(parameter.Allowed, text(a))
		}
		t.Parameters[name] = parameter
	}
	return t, nil
}

// section gives the map of a name; nil if there is none.
func section(of map[string]any, name string) map[string]any {
	m, _ := of[name].(map[string]any)
	return m
}

func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// value makes maps, lists, texts, numbers and calls of a node.
func value(node ast.Node) (any, error) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return mapping(n.Values)
	case *ast.MappingValueNode:
		return mapping([]*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		list := make([]any, len(n.Values))
		for i, v := range n.Values {
			var err error
			if list[i], err = value(v); err != nil {
				return nil, err
			}
		}
		return list, nil
	case *ast.TagNode:
		name := strings.TrimPrefix(n.Start.Value, "!")
		if !slices.Contains(functions, name) {
			return nil, fmt.Errorf("line %d: !%s is no function that is known here", n.Start.Position.Line, name)
		}
		arg, err := value(n.Value)
		return call{name, arg}, err
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.NullNode:
		return nil, fmt.Errorf("line %d: CloudFormation takes no null", n.GetToken().Position.Line)
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.(ast.ScalarNode).GetValue(), nil
	}
	return nil, fmt.Errorf("line %d: CloudFormation takes no %s", node.GetToken().Position.Line, node.Type())
}

func mapping(values []*ast.MappingValueNode) (any, error) {
	m := make(map[string]any, len(values))
	for _, v := range values {
		key, is := v.Key.(ast.ScalarNode)
		if !is || v.Key.IsMergeKey() {
			return nil, fmt.Errorf("line %d: CloudFormation takes no key %s", v.Key.GetToken().Position.Line, v.Key)
		}
		var err error
		if m[text(key.GetValue())], err = value(v.Value); err != nil {
			return nil, err
		}
	}
	if from, is := m[importValue]; is && len(m) == 1 {
		return call{"ImportValue", from}, nil
	}
	return m, nil
}

// importValue is the one function that is known in its long form.
const importValue = "Fn::ImportValue"

// check tells of references to what is not there, and of parameters that nothing uses.
func (t *Template) check() error {
	var errs []error
	used := map[string]bool{}
	refer := func(name string, attribute bool) {
		used[name] = true
		_, parameter := t.Parameters[name]
		_, resource := t.resources[name]
		switch {
		case resource, parameter && !attribute, strings.HasPrefix(name, "AWS::") && !attribute:
		default:
			errs = append(errs, fmt.Errorf("there is no %s to refer to", name))
		}
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(v[key])
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		case call:
			errs = append(errs, t.checkCall(v, refer))
			walk(v.arg)
		}
	}
	for _, name := range []string{"Conditions", "Resources", "Outputs"} {
		walk(t.sections[name])
		for key := range section(t.sections, name) {
			of := section(section(t.sections, name), key)
			if condition, has := of["Condition"].(string); has && t.conditions[condition] == nil {
				errs = append(errs, fmt.Errorf("%s: there is no condition %s", key, condition))
			}
			if name == "Resources" && text(of["Type"]) == "" {
				errs = append(errs, fmt.Errorf("%s has no type", key))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Parameters)) {
		if !used[name] {
			errs = append(errs, fmt.Errorf("nothing uses the parameter %s", name))
		}
	}
	return errors.Join(errs...)
}

var reference = regexp.MustCompile(`\$\{([A-Za-z0-9:]+)(\.[A-Za-z.]+)?\}`)

// checkCall tells refer of what a call refers to.
func (t *Template) checkCall(c call, refer func(name string, attribute bool)) error {
	arg, isText := c.arg.(string)
	args, _ := c.arg.([]any)
	switch c.name {
	case "Ref":
		refer(arg, false)
	case "GetAtt":
		name, _, has := strings.Cut(arg, ".")
		if !has {
			return fmt.Errorf("!GetAtt %v: expected Resource.Attribute", c.arg)
		}
		refer(name, true)
	case "Sub":
		if !isText {
			return fmt.Errorf("!Sub %v: only the form of one text is known here", c.arg)
		}
		for _, m := range reference.FindAllStringSubmatch(arg, -1) {
			refer(m[1], m[2] != "")
		}
	case "If":
		if len(args) != 3 || t.conditions[text(args[0])] == nil {
			return fmt.Errorf("!If %v: expected a condition of the template and two values", c.arg)
		}
	case "FindInMap":
		if len(args) != 3 || section(t.mappings, text(args[0])) == nil {
			return fmt.Errorf("!FindInMap %v: expected a mapping of the template and two keys", c.arg)
		}
	}
	return nil
}
