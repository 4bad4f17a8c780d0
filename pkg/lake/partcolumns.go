package lake

import (
	"maps"

	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// newPart knows the columns of a part by their names: the field ids of staged
// files mean something in them alone.
func newPart(spec registry.Table, rp Part, m transform.Manifest) *part {
	p := &part{manifest: m, object: rp.ManifestKey, staged: spec.Provenance, byName: map[string]registry.Column{}}
	for _, list := range [][]registry.Column{m.Schema, provenanceFields(spec.Provenance)} {
		for _, c := range list {
			p.byName[registry.FoldName(c.Name)] = c
		}
	}
	return p
}

// noField is an id that no field has.
const noField = -1

// local gives columns of the table under the field ids that they have in the
// part's staged files, to be read as the table's types.
func (p *part) local(cols []registry.Column) []registry.Column {
	out := make([]registry.Column, len(cols))
	for i, c := range cols {
		id := noField
		if staged, ok := p.byName[registry.FoldName(c.Name)]; ok {
			id = staged.ID
		}
		out[i] = c
		out[i].ID = id
	}
	return out
}

// keyColumns gives the primary key as it is staged.
func (p *part) keyColumns(spec registry.Table) []registry.Column {
	key := transform.KeyColumns(spec)
	for i, c := range key {
		if staged, ok := p.byName[registry.FoldName(c.Name)]; ok {
			key[i] = staged
		}
	}
	return key
}

// checkColumns compares the manifest's schema with the registration: each column
// once, each registered one with a type of which one reads as the other, the key
// whole. Columns that the registration does not know may be there, as files bring
// them; whether the table can become all of this, planEvolution tells.
func (p *part) checkColumns(spec registry.Table) error {
	m := &p.manifest
	if len(p.byName) != len(m.Schema)+3 {
		return p.fault(CodeSchema, p.object, 0, "a column stands twice: %s", registry.ShowColumns(m.Schema))
	}
	ids := map[int]bool{}
	for c := range maps.Values(p.byName) {
		if ids[c.ID] || c.ID < 1 {
			return p.fault(CodeSchema, p.object, 0, "field id %d of column %s is wrong or stands twice", c.ID, c.Name)
		}
		ids[c.ID] = true
	}
	registered := map[string]bool{}
	for _, want := range transform.StagedColumns(spec) {
		name := registry.FoldName(want.Name)
		got, ok := p.byName[name]
		registered[name] = true
		switch {
		case !ok && want.Required:
			return p.fault(CodeSchema, p.object, 0, "column %s is missing", want.Name)
		case !ok:
		case !canPromote(got.Type, want.Type) && !canPromote(want.Type, got.Type):
			return p.fault(CodeTypes, p.object, 0, "column %s is of type %s, the registration says %s; staged: %s; registered: %s",
				want.Name, got.Type, want.Type, registry.ShowColumns(m.Schema), registry.ShowColumns(spec.Columns))
		case want.Required && !got.Required:
			return p.fault(CodeSchema, p.object, 0, "column %s may be null, the key column of the table may not", want.Name)
		}
	}
	for _, c := range m.Schema {
		if c.Required && !registered[registry.FoldName(c.Name)] {
			return p.fault(CodeSchema, p.object, 0, "column %s is not registered, and not optional", c.Name)
		}
	}
	return nil
}

// fits tells whether the part's rows files can be data files of a table as they
// are: each of their columns has the field id and the type that it has there.
func (p *part) fits(columns []registry.Column, prov registry.Provenance) bool {
	table := map[string]registry.Column{}
	for _, c := range columns {
		table[registry.FoldName(c.Name)] = c
	}
	for _, c := range p.manifest.Schema {
		if t, ok := table[registry.FoldName(c.Name)]; !ok || t.ID != c.ID || t.Type != c.Type {
			return false
		}
	}
	s := p.staged
	return s.File == prov.File && s.Row == prov.Row && s.Position == prov.Position
}
