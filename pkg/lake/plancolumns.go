package lake

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/iceberg-go"

	"github.com/openblotter/blotter/pkg/registry"
)

// plan makes an evolution, column by column.
type plan struct {
	evolution
	registration registry.Table
	cols         []*planned // in the table's order, new ones behind
	byName       map[string]*planned
	next         int
	// behind tells whether a column stands behind the provenance columns.
	behind bool
}

// planned is one column of the table, as it is to be.
type planned struct {
	registry.Column
	was        registry.Column
	isNew      bool
	registered bool
}

// read takes in the columns that the table has.
func (p *plan) read(schema *iceberg.Schema) error {
	cols, err := userColumns(schema)
	if err != nil {
		return err
	}
	p.spec = p.registration
	if p.spec.Provenance, err = provenanceOf(schema, p.next); err != nil {
		return err
	}
	for _, c := range cols {
		if strings.HasPrefix(c.Name, fillerPrefix) {
			p.drop = append(p.drop, c.Name)
			continue
		}
		if twin, twice := p.byName[registry.FoldName(c.Name)]; twice {
			return fmt.Errorf("%w: its columns %s and %s differ in case only", ErrIncompatible, twin.Name, c.Name)
		}
		p.put(&planned{Column: c, was: c})
	}
	fields := schema.Fields()
	file := slices.IndexFunc(fields, func(f iceberg.NestedField) bool { return f.Name == registry.ColumnFile })
	for _, f := range fields[file:] {
		c, ok := p.byName[registry.FoldName(f.Name)]
		p.behind = p.behind || ok && c.ID == f.ID
	}
	return nil
}

func (p *plan) put(c *planned) {
	p.cols = append(p.cols, c)
	p.byName[registry.FoldName(c.Name)] = c
}

func (p *plan) create(c registry.Column) *planned {
	c.ID, c.Required = p.next, c.Required && p.bare
	p.next++
	n := &planned{Column: c, isNew: true}
	p.put(n)
	return n
}

// register takes in a column of the registration.
func (p *plan) register(c registry.Column) error {
	have, ok := p.byName[registry.FoldName(c.Name)]
	if !ok {
		if c.Required && !p.bare {
			return fmt.Errorf("%w: new column %s is required", ErrIncompatible, c.Name)
		}
		p.create(c).registered = true
		return nil
	}
	have.registered = true
	if p.bare {
		have.Type, have.Required = c.Type, c.Required
		return nil
	}
	// The type of an older registration, or one that files have widened: its
	// values fit.
	if !have.widen(c.Type) {
		return fmt.Errorf("%w: column %s is of type %s and cannot become %s; the table: %s; registered: %s",
			ErrIncompatible, have.Name, have.Type, c.Type, p.show(), registry.ShowColumns(p.registration.Columns))
	}
	have.Required = have.Required && c.Required
	return nil
}

// follow takes in a column of a staged file.
func (p *plan) follow(part *part, c registry.Column) error {
	have, ok := p.byName[registry.FoldName(c.Name)]
	switch {
	case !ok:
		p.create(c)
	case !have.widen(c.Type):
		return part.fault(CodeTypes, part.object, 0, "column %s of the file is of type %s, the table's is %s, and neither reads as the other; file: %s; table: %s",
			c.Name, c.Type, have.Type, registry.ShowColumns(part.manifest.Schema), p.show())
	}
	return nil
}

// widen makes a column wide enough for a type; false if none holds both.
func (c *planned) widen(t registry.Type) bool {
	switch {
	case canPromote(t, c.Type):
		return true
	case canPromote(c.Type, t):
		c.Type = t
		return true
	}
	return false
}

func (p *plan) show() string {
	cols := make([]registry.Column, len(p.cols))
	for i, c := range p.cols {
		cols[i] = c.Column
	}
	return registry.ShowColumns(cols)
}

// finish tells the steps.
func (p *plan) finish() {
	p.spec.Provenance.Next = p.next
	for _, c := range p.cols {
		switch {
		case c.isNew:
			p.add = append(p.add, c.Column)
		case c.Type != c.was.Type || c.Required != c.was.Required:
			p.change = append(p.change, c.Column)
			p.relaxes = p.relaxes || c.was.Required && !c.Required
		}
	}
	order := p.order()
	p.spec.Columns = make([]registry.Column, len(order))
	moving := p.behind
	for i, c := range order {
		p.spec.Columns[i] = c.Column
		moving = moving || c != p.cols[i] || c.isNew
		if moving {
			p.move = append(p.move, c.Name)
		}
	}
}

// order puts the registered columns first, in the order of the registration; the
// others follow in the order that they have.
func (p *plan) order() []*planned {
	order := make([]*planned, 0, len(p.cols))
	for _, c := range p.registration.Columns {
		order = append(order, p.byName[registry.FoldName(c.Name)])
	}
	for _, c := range p.cols {
		if !c.registered {
			order = append(order, c)
		}
	}
	return order
}
