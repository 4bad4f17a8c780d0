package iam

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/openblotter/blotter/tools/internal/cloudformation"
)

// Statement allows actions on resources; both may have * and ?.
type Statement struct {
	Actions   []string
	Resources []string
}

// Role is a role of the template: its name there, and what it may do.
type Role struct {
	Name       string
	Statements []Statement
}

// Allows reports whether a statement of the role allows a call.
func (r Role) Allows(c Call) bool {
	for _, s := range r.Statements {
		for _, a := range s.Actions {
			if !matches(a, c.Action) {
				continue
			}
			for _, on := range s.Resources {
				if c.Resource == "" || matches(on, c.Resource) {
					return true
				}
			}
		}
	}
	return false
}

// matches reports whether a pattern with * and ? is that of a text. IAM takes the case of
// an action for nothing, and that of a resource for something; neither is spelled
// otherwise here.
func matches(pattern, text string) bool {
	var b strings.Builder
	for _, r := range pattern {
		switch r {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteByte('.')
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	ok, err := regexp.MatchString("^(?s:"+b.String()+")$", text)
	return ok && err == nil
}

// Read reads the roles of a template, by name, with values for its parameters; those that
// are not given have their defaults. The pseudo parameters AWS::Partition, AWS::Region and
// AWS::AccountId are parameters, too.
func Read(file string, parameters map[string]string) (map[string]Role, error) {
	template, err := cloudformation.Read(file)
	if err != nil {
		return nil, fmt.Errorf("read the roles: %w", err)
	}
	resources, err := template.Resolve(parameters)
	if err != nil {
		return nil, fmt.Errorf("read the roles: %w", err)
	}
	roles := map[string]Role{}
	for name, r := range resources {
		if r.Type != "AWS::IAM::Role" {
			continue
		}
		role := Role{Name: name}
		for _, p := range list(r.Properties["Policies"]) {
			for _, s := range list(field(p, "PolicyDocument", "Statement")) {
				if effect := field(s, "Effect"); effect != "Allow" {
					return nil, fmt.Errorf("%s: role %s: a statement has the effect %q; only Allow is known here", file, name, effect)
				}
				if c := field(s, "Condition"); c != nil {
					return nil, fmt.Errorf("%s: role %s: a statement has the condition %v; none are known here", file, name, c)
				}
				role.Statements = append(role.Statements, Statement{texts(field(s, "Action")), texts(field(s, "Resource"))})
			}
		}
		roles[name] = role
	}
	return roles, nil
}

// field gives what lies in a map of maps, by the names on the way; nil if nothing does.
func field(in any, names ...string) any {
	for _, name := range names {
		m, _ := in.(map[string]any)
		in = m[name]
	}
	return in
}

// list takes one value for a list of one.
func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

func texts(v any) []string {
	var all []string
	for _, e := range list(v) {
		all = append(all, fmt.Sprint(e))
	}
	return all
}
