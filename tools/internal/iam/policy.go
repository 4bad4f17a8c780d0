package iam

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
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

// template is as much of CloudFormation as the roles need. The short form of Fn::Sub is a
// text; a parameter by itself is written as "${Parameter}", too.
type template struct {
	Parameters map[string]struct {
		Default *string `yaml:"Default"`
	} `yaml:"Parameters"`
	Resources map[string]struct {
		Type       string `yaml:"Type"`
		Properties struct {
			Policies []struct {
				PolicyDocument struct {
					Statement []struct {
						Effect   string `yaml:"Effect"`
						Action   list   `yaml:"Action"`
						Resource list   `yaml:"Resource"`
					} `yaml:"Statement"`
				} `yaml:"PolicyDocument"`
			} `yaml:"Policies"`
		} `yaml:"Properties"`
	} `yaml:"Resources"`
}

// list is one text or several.
type list []string

// UnmarshalYAML implements yaml.InterfaceUnmarshaler.
func (l *list) UnmarshalYAML(read func(any) error) error {
	var one string
	if err := read(&one); err == nil {
		*l = list{one}
		return nil
	}
	return read((*[]string)(l))
}

// Read reads the roles of a template, by name, with values for its parameters; those that
// are not given have their defaults. The pseudo parameters AWS::Partition, AWS::Region and
// AWS::AccountId are parameters, too.
func Read(file string, parameters map[string]string) (map[string]Role, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the template of the roles: %w", err)
	}
	var t template
	if err := yaml.Unmarshal(b, &t); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	values := map[string]string{}
	for name, p := range t.Parameters {
		if p.Default != nil {
			values[name] = *p.Default
		}
	}
	for name, value := range parameters {
		if _, known := t.Parameters[name]; !known && !strings.HasPrefix(name, "AWS::") {
			return nil, fmt.Errorf("%s has no parameter %s", file, name)
		}
		values[name] = value
	}
	roles := map[string]Role{}
	for name, r := range t.Resources {
		if r.Type != "AWS::IAM::Role" {
			continue
		}
		role := Role{Name: name}
		for _, p := range r.Properties.Policies {
			for _, s := range p.PolicyDocument.Statement {
				if s.Effect != "Allow" {
					return nil, fmt.Errorf("%s: role %s: a statement has the effect %q; only Allow is known here", file, name, s.Effect)
				}
				resources, err := substitute(s.Resource, values)
				if err != nil {
					return nil, fmt.Errorf("%s: role %s: %w", file, name, err)
				}
				role.Statements = append(role.Statements, Statement{s.Action, resources})
			}
		}
		roles[name] = role
	}
	return roles, nil
}

var reference = regexp.MustCompile(`\$\{([A-Za-z:]+)\}`)

func substitute(texts []string, values map[string]string) ([]string, error) {
	out := make([]string, len(texts))
	var missing string
	for i, text := range texts {
		out[i] = reference.ReplaceAllStringFunc(text, func(ref string) string {
			name := reference.FindStringSubmatch(ref)[1]
			value, known := values[name]
			if !known {
				missing = name
			}
			return value
		})
	}
	if missing != "" {
		return nil, fmt.Errorf("parameter %s has no value", missing)
	}
	return out, nil
}
