package cases

import (
	"fmt"
	"slices"
	"strings"
)

// Outcome is what became of a delivered file.
type Outcome string

// The outcomes that a case may expect.
const (
	Applied     Outcome = "applied"           // its rows count in the table
	Quarantined Outcome = "quarantined"       // set aside, none of its rows visible
	Held        Outcome = "held"              // not processed, waits for an operator
	Duplicate   Outcome = "ignored-duplicate" // the same file was delivered before
	Ignored     Outcome = "ignored"           // no data file of a table; noted with a reason
)

// The outcomes that a pipeline may report beyond those.
const (
	// Superseded: the file belongs to a generation that a later load replaced.
	Superseded Outcome = "superseded"
	// Pending: nothing has become of the file yet.
	Pending Outcome = "pending"
)

func (o Outcome) known() bool {
	switch o {
	case Applied, Quarantined, Held, Duplicate, Ignored:
		return true
	}
	return false
}

// Result is what became of one delivered file, and the text that tells why.
type Result struct {
	Outcome Outcome
	Text    string // reason and report; searched for error_contains without case
}

// Variant is one acceptable result of a case as a whole.
type Variant struct {
	ID         string // empty for the case's own
	Steps      []Expectation
	ExpectRows string // of the case's own table
}

// Expectation is what one step must come to.
type Expectation struct {
	Any           []Outcome // one of these
	ErrorContains string    // where a file was set aside, held or ignored
}

// Variants gives the acceptable results: first the case's own, then its alternatives.
func (c *Case) Variants() []Variant {
	own := Variant{ExpectRows: c.ExpectRows}
	for _, s := range c.Steps {
		e := Expectation{Any: s.ExpectAny, ErrorContains: s.ErrorContains}
		if len(e.Any) == 0 {
			e.Any = []Outcome{s.Expect}
		}
		own.Steps = append(own.Steps, e)
	}
	variants := []Variant{own}
	for _, a := range c.Alternatives {
		v := Variant{ID: a.ID, Steps: slices.Clone(own.Steps), ExpectRows: a.ExpectRows}
		if v.ExpectRows == "" {
			v.ExpectRows = own.ExpectRows
		}
		for n, outcome := range a.StepsExpect {
			v.Steps[n-1].Any = []Outcome{outcome}
		}
		variants = append(variants, v)
	}
	return variants
}

// CheckStep tells how the result of the step at index i differs from the
// variant; empty if it does not.
func (c *Case) CheckStep(v Variant, i int, got Result) string {
	want := v.Steps[i]
	if !slices.ContainsFunc(want.Any, func(o Outcome) bool { return c.satisfies(o, got.Outcome) }) {
		names := make([]string, len(want.Any))
		for j, o := range want.Any {
			names[j] = string(o)
		}
		return fmt.Sprintf("step %d (%s) is %s, expected %s%s", i+1, c.Steps[i].Key, got.Outcome, strings.Join(names, " or "), because(got.Text))
	}
	setAside := got.Outcome == Quarantined || got.Outcome == Held || got.Outcome == Ignored
	if setAside && !strings.Contains(strings.ToLower(got.Text), strings.ToLower(want.ErrorContains)) {
		return fmt.Sprintf("step %d (%s) is %s, but its report does not say %q: %s", i+1, c.Steps[i].Key, got.Outcome, want.ErrorContains, got.Text)
	}
	return ""
}

// satisfies reports whether an outcome is the wanted one. Where a case loads a
// table again, a file of the replaced generation counts as applied whether its
// rows were visible for a while or not: that depends on the order of arrival.
func (c *Case) satisfies(want, got Outcome) bool {
	if got == Superseded {
		return want == Ignored || want == Applied && c.reloads()
	}
	return want == got
}

func (c *Case) reloads() bool {
	for i := range c.Steps {
		if c.LoadsAgain(i) {
			return true
		}
	}
	return false
}

// LoadsAgain reports whether the step at index i writes a load key anew that
// an earlier step wrote.
func (c *Case) LoadsAgain(i int) bool {
	s := c.Steps[i]
	return s.Action == Put && s.Kind == FullLoad && slices.ContainsFunc(c.Steps[:i], func(p Step) bool {
		return p.Action == Put && p.Key == s.Key
	})
}

func because(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}
