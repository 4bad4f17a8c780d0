package cloudformation

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Resource is what a template makes with some parameters. Values of properties are texts,
// numbers, booleans, map[string]any and []any; what is known only when it is made is a text
// "${Resource}" or "${Resource.Attribute}", or "${import NAME}" where another stack exports
// it.
type Resource struct {
	Type       string
	Properties map[string]any
}

// nothing is AWS::NoValue: the property is not there.
type nothing struct{}

// resolver evaluates a template with the values of its parameters.
type resolver struct {
	*Template
	values map[string]any
}

// Resolve gives the resources that a template makes with some parameters; the others have
// their defaults. The pseudo parameters AWS::Region and the like are parameters, too.
func (t *Template) Resolve(parameters map[string]string) (map[string]Resource, error) {
	r, errs := t.with(parameters)
	made := map[string]Resource{}
	for _, name := range slices.Sorted(maps.Keys(t.resources)) {
		of := section(t.resources, name)
		if condition, has := of["Condition"].(string); has {
			is, err := r.condition(condition)
			errs = append(errs, err)
			if !is {
				continue
			}
		}
		properties, err := r.resolve(of["Properties"])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		all, _ := properties.(map[string]any)
		made[name] = Resource{text(of["Type"]), all}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%s: %w", t.file, err)
	}
	return made, nil
}

// Exports gives what a template exports with some parameters to others, by name.
func (t *Template) Exports(parameters map[string]string) (map[string]string, error) {
	r, errs := t.with(parameters)
	exports := map[string]string{}
	outputs := section(t.sections, "Outputs")
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		of := section(outputs, name)
		if condition, has := of["Condition"].(string); has {
			is, err := r.condition(condition)
			errs = append(errs, err)
			if !is {
				continue
			}
		}
		resolved, err := r.resolve(of)
		if err != nil {
			errs = append(errs, fmt.Errorf("output %s: %w", name, err))
			continue
		}
		output, _ := resolved.(map[string]any)
		if as := text(section(output, "Export")["Name"]); as != "" {
			exports[as] = text(output["Value"])
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%s: %w", t.file, err)
	}
	return exports, nil
}

// with gives the template its parameters, and tells what is wrong with them.
func (t *Template) with(parameters map[string]string) (resolver, []error) {
	r := resolver{t, map[string]any{"AWS::NoValue": nothing{}}}
	var errs []error
	for name, p := range t.Parameters {
		given, is := parameters[name]
		switch {
		case !is && p.Default == nil:
			errs = append(errs, fmt.Errorf("parameter %s has no value", name))
			continue
		case !is:
			given = *p.Default
		}
		errs = append(errs, p.takes(name, given))
		r.values[name] = given
		if p.Type == "CommaDelimitedList" || strings.HasPrefix(p.Type, "List<") {
			var list []any
			for e := range strings.SplitSeq(given, ",") {
				list = append(list, strings.TrimSpace(e))
			}
			r.values[name] = list
		}
	}
	for name, given := range parameters {
		if strings.HasPrefix(name, "AWS::") {
			r.values[name] = given
		} else if _, known := t.Parameters[name]; !known {
			errs = append(errs, fmt.Errorf("there is no parameter %s", name))
		}
	}
	return r, errs
}

// takes reports what is wrong with a value of a parameter.
func (p Parameter) takes(name, given string) error {
	if len(p.Allowed) > 0 && !slices.Contains(p.Allowed, given) {
		return fmt.Errorf("parameter %s is %q; allowed are %v", name, given, p.Allowed)
	}
	if p.Pattern == "" {
		return nil
	}
	whole, err := regexp.Compile("^(?:" + p.Pattern + ")$")
	if err != nil {
		return fmt.Errorf("parameter %s: %w", name, err)
	}
	if !whole.MatchString(given) {
		return fmt.Errorf("parameter %s is %q; allowed is %s", name, given, p.Pattern)
	}
	return nil
}

func (r resolver) condition(name string) (bool, error) {
	v, err := r.resolve(r.conditions[name])
	if err != nil {
		return false, err
	}
	is, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("condition %s is neither true nor false: %v", name, v)
	}
	return is, nil
}

func (r resolver) resolve(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, e := range v {
			out, err := r.resolve(e)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			if _, none := out.(nothing); !none {
				m[key] = out
			}
		}
		return m, nil
	case []any:
		list := make([]any, 0, len(v))
		for _, e := range v {
			out, err := r.resolve(e)
			if err != nil {
				return nil, err
			}
			if _, none := out.(nothing); !none {
				list = append(list, out)
			}
		}
		return list, nil
	case call:
		return r.call(v)
	}
	return v, nil
}

func (r resolver) call(c call) (any, error) {
	switch c.name {
	case "Ref":
		return r.ref(text(c.arg))
	case "GetAtt":
		return "${" + text(c.arg) + "}", nil
	case "Sub":
		return r.sub(text(c.arg))
	case "If":
		args := c.arg.([]any) // checked when it was read
		is, err := r.condition(text(args[0]))
		if err != nil {
			return nil, err
		}
		if is {
			return r.resolve(args[1])
		}
		return r.resolve(args[2])
	}
	resolved, err := r.resolve(c.arg)
	if err != nil {
		return nil, err
	}
	args, _ := resolved.([]any)
	switch {
	case c.name == "ImportValue":
		return "${import " + text(resolved) + "}", nil
	case c.name == "FindInMap" && len(args) == 3:
		found, has := section(section(r.mappings, text(args[0])), text(args[1]))[text(args[2])]
		if !has {
			return nil, fmt.Errorf("the mappings have no %v", args)
		}
		return found, nil
	case c.name == "Equals" && len(args) == 2:
		return text(args[0]) == text(args[1]), nil
	case c.name == "Not" && len(args) == 1:
		is, ok := args[0].(bool)
		if !ok {
			return nil, fmt.Errorf("!Not of %v, which is neither true nor false", args[0])
		}
		return !is, nil
	case c.name == "And":
		return !slices.Contains(args, any(false)), nil
	case c.name == "Or":
		return slices.Contains(args, any(true)), nil
	}
	return nil, fmt.Errorf("!%s %v cannot be read", c.name, c.arg)
}

// ref gives the value of a parameter, or names a resource.
func (r resolver) ref(name string) (any, error) {
	if v, has := r.values[name]; has {
		return v, nil
	}
	if _, is := r.resources[name]; is {
		return "${" + name + "}", nil
	}
	return nil, fmt.Errorf("%s has no value", name)
}

func (r resolver) sub(in string) (string, error) {
	var errs []error
	out := reference.ReplaceAllStringFunc(in, func(found string) string {
		m := reference.FindStringSubmatch(found)
		if m[2] != "" {
			return found
		}
		v, err := r.ref(m[1])
		errs = append(errs, err)
		return text(v)
	})
	return out, errors.Join(errs...)
}
