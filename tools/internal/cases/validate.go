package cases

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// validate reports all faults of a case together.
func (c *Case) validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.FormatVersion != 1 {
		fault("format_version %d: only 1 is known", c.FormatVersion)
	}
	if c.Name == "" {
		fault("the case has no name")
	}
	if c.DeliveryOrder != AnyOrder && c.DeliveryOrder != AsListed {
		fault("delivery_order %q: expected %q or %q", c.DeliveryOrder, AnyOrder, AsListed)
	}
	for _, t := range c.Tables() {
		if t.DB == "" || t.Name == "" {
			fault("a table has no db or no name")
		}
	}
	for i, s := range c.Steps {
		if s.N != i+1 {
			fault("step %d stands at place %d", s.N, i+1)
		}
		faults = append(faults, s.validate(c)...)
	}
	files := []string{c.ExpectRows}
	for _, o := range c.OtherTables {
		files = append(files, o.ExpectRows)
	}
	for _, a := range c.Alternatives {
		files = append(files, a.ExpectRows)
		for n, outcome := range a.StepsExpect {
			if n < 1 || n > len(c.Steps) || !outcome.known() {
				fault("alternative %s: step %d expects %q", a.ID, n, outcome)
			}
		}
	}
	for _, f := range files {
		if f == "" {
			continue
		}
		if _, err := os.Stat(c.Path(f)); err != nil {
			fault("expected rows: %w", err)
		}
	}
	return errors.Join(faults...)
}

func (s Step) validate(c *Case) (faults []error) {
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("step %d: "+format, append([]any{s.N}, args...)...))
	}
	if s.Action != Put && s.Action != Redeliver {
		fault("action %q: expected %q or %q", s.Action, Put, Redeliver)
	}
	if s.Key == "" {
		fault("no key")
	}
	if s.LastModified.IsZero() {
		fault("no last_modified")
	}
	for _, o := range append(slices.Clone(s.ExpectAny), s.Expect) {
		if !o.known() {
			fault("expect %q is no outcome", o)
		}
	}
	info, err := os.Stat(c.Path(s.File))
	switch {
	case s.File == "" && s.Size == 0:
	case err != nil:
		fault("file: %w", err)
	case s.Size != 0 && info.Size() != s.Size:
		fault("%s has %d bytes, the case says %d", s.File, info.Size(), s.Size)
	}
	if s.Action == Redeliver && !slices.ContainsFunc(c.Steps, func(p Step) bool { return p.Action == Put && p.same(s) }) {
		fault("no step puts what is delivered again")
	}
	return faults
}

// same reports whether two steps deliver the same version of one object.
func (s Step) same(o Step) bool { return s.Key == o.Key && s.ETag == o.ETag && s.File == o.File }
