package iam

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/openblotter/blotter/tools/internal/cloudformation"
)

// Statement allows actions on resources; both may have * and ?.
type Statement struct {
	Actions    []string
	Resources  []string
	Conditions []Condition // all must hold
}

// Condition compares a key of a request with values, of which one must match.
type Condition struct {
	Operator, Key string
	Values        []string
}

// The operators that are known of conditions.
const (
	stringEquals       = "StringEquals"
	arnLike            = "ArnLike"
	boolean            = "Bool"               // compares like StringEquals
	stringLikeIfExists = "StringLikeIfExists" // holds of a request without the key
)

// holds reports whether a request with these keys meets the condition.
func (c Condition) holds(keys map[string]string) bool {
	value, has := keys[c.Key]
	if !has {
		return c.Operator == stringLikeIfExists
	}
	return slices.ContainsFunc(c.Values, func(pattern string) bool {
		if c.Operator == stringEquals || c.Operator == boolean {
			return pattern == value
		}
		return matches(pattern, value)
	})
}

// Trust says which service may run as a role, and for whom. A principal that is no service
// is the account itself.
type Trust struct {
	Service    string
	Conditions []Condition
}

// Role is a role of the template: its name there, who may run as it, and what it may do.
type Role struct {
	Name       string
	Trusts     []Trust
	Statements []Statement
}

// Allows reports whether a statement of the role allows a call of a request with no keys
// that conditions ask for.
func (r Role) Allows(c Call) bool { return r.AllowsWith(c, nil) }

// AllowsWith is Allows of a request with keys.
func (r Role) AllowsWith(c Call, keys map[string]string) bool {
	return slices.ContainsFunc(r.Statements, func(s Statement) bool { return s.allows(c, keys) })
}

func (s Statement) allows(c Call, keys map[string]string) bool {
	for _, condition := range s.Conditions {
		if !condition.holds(keys) {
			return false
		}
	}
	return slices.ContainsFunc(s.Actions, func(a string) bool { return matches(a, c.Action) }) &&
		slices.ContainsFunc(s.Resources, func(on string) bool { return c.Resource == "" || matches(on, c.Resource) })
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
		role, err := readRole(name, r)
		if err != nil {
			return nil, fmt.Errorf("%s: role %s: %w", file, name, err)
		}
		roles[name] = role
	}
	for _, name := range slices.Sorted(maps.Keys(resources)) { // policies that several roles share
		r := resources[name]
		if r.Type != "AWS::IAM::Policy" {
			continue
		}
		statements, err := readStatements(r.Properties)
		if err != nil {
			return nil, fmt.Errorf("%s: policy %s: %w", file, name, err)
		}
		for _, of := range texts(r.Properties["Roles"]) {
			role, is := roles[strings.Trim(of, "${}")]
			if !is {
				return nil, fmt.Errorf("%s: policy %s: there is no role %s in the template", file, name, of)
			}
			role.Statements = append(role.Statements, statements...)
			roles[role.Name] = role
		}
	}
	return roles, nil
}

func readRole(name string, r cloudformation.Resource) (Role, error) {
	role := Role{Name: name}
	for _, s := range list(field(r.Properties, "AssumeRolePolicyDocument", "Statement")) {
		if field(s, "Effect") != "Allow" || field(s, "Action") != "sts:AssumeRole" {
			return role, fmt.Errorf("%v is no trust that is known here", s)
		}
		conditions, err := readConditions(field(s, "Condition"), stringEquals, arnLike, boolean)
		if err != nil {
			return role, err
		}
		service, _ := field(s, "Principal", "Service").(string)
		role.Trusts = append(role.Trusts, Trust{service, conditions})
	}
	for _, p := range list(r.Properties["Policies"]) {
		statements, err := readStatements(p)
		if err != nil {
			return role, err
		}
		role.Statements = append(role.Statements, statements...)
	}
	return role, nil
}

// readStatements reads those of a policy, which has a name and a document.
func readStatements(policy any) ([]Statement, error) {
	var all []Statement
	for _, s := range list(field(policy, "PolicyDocument", "Statement")) {
		if effect := field(s, "Effect"); effect != "Allow" {
			return nil, fmt.Errorf("a statement has the effect %q; only Allow is known here", effect)
		}
		conditions, err := readConditions(field(s, "Condition"), stringLikeIfExists, stringEquals, arnLike)
		if err != nil {
			return nil, err
		}
		all = append(all, Statement{texts(field(s, "Action")), texts(field(s, "Resource")), conditions})
	}
	return all, nil
}

// readConditions reads conditions with the operators that are known.
func readConditions(from any, known ...string) ([]Condition, error) {
	var all []Condition
	by, _ := from.(map[string]any)
	for _, operator := range slices.Sorted(maps.Keys(by)) {
		if !slices.Contains(known, operator) {
			return nil, fmt.Errorf("a statement has the condition %s; known here are %v", operator, known)
		}
		keys, _ := by[operator].(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			all = append(all, Condition{operator, key, texts(keys[key])})
		}
	}
	return all, nil
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
