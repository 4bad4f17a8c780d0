package lake

import (
	"fmt"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// evolution is what a table lacks of a registration and of the files that are to
// be published. It is staged in the transaction that publishes them: schema, rows
// and properties change in one commit.
type evolution struct {
	// spec is the registration with the columns that the table has after the
	// commit, those that are not registered among them: names, types and field ids
	// are the table's.
	spec    registry.Table
	add     []registry.Column // in the order of their ids
	change  []registry.Column // of another type, or null where they were not
	relaxes bool              // some may be null from now on
	move    []string          // columns that go, one after the other, before the provenance columns
	drop    []string          // fillers
	bare    bool              // the table remembers nothing: columns may change in any way
}

func (e evolution) empty() bool {
	return len(e.add)+len(e.change)+len(e.move)+len(e.drop) == 0
}

// planEvolution compares a table with a registration, and with the schemas of
// staged files. The table's columns are found by name, without regard to case,
// and keep their field ids; a new one gets the table's next. Types only widen.
// Columns that neither has any longer stay as they are: their rows keep their
// values. A bare table has none: there, a registered column becomes what is
// registered. ErrIncompatible if the table cannot follow the registration, an
// *AuditError if it cannot follow a file.
func planEvolution(meta table.Metadata, bare bool, spec registry.Table, parts []*part) (evolution, error) {
	p := plan{registration: spec, byName: map[string]*planned{}, next: meta.LastColumnID() + 1, evolution: evolution{bare: bare}}
	if err := p.read(meta.CurrentSchema()); err != nil {
		return p.evolution, err
	}
	for _, c := range transform.StagedColumns(spec) {
		if err := p.register(c); err != nil {
			return p.evolution, err
		}
	}
	for _, part := range parts {
		for _, c := range part.manifest.Schema {
			if err := p.follow(part, c); err != nil {
				return p.evolution, err
			}
		}
	}
	p.finish()
	return p.evolution, nil
}

// isBare tells whether the table remembers nothing: no full load, no deletes, no
// row. Such a table was only fenced, or only files without a change were published.
func isBare(tbl *table.Table, state tableState) bool {
	if tbl.Properties()[PropertyGeneration] != "" || len(state.tombstones) > 0 {
		return false
	}
	current := tbl.CurrentSnapshot()
	return current == nil || current.Summary != nil && current.Summary.Properties["total-data-files"] == "0"
}

// sameKey tells whether the table's primary key is the registration's. It
// changes with a replacement only, or while the table is bare.
func sameKey(tbl *table.Table, spec registry.Table) bool {
	return tbl.Properties()[PropertyKey] == keyProperty(spec)
}

// rekey stages another primary key, and with it the sort order. The identifier
// fields go with the schema, of which a commit takes one change.
func rekey(tx *table.Transaction, spec registry.Table) error {
	order, err := keySortOrder(spec)
	if err != nil {
		return err
	}
	if err := tx.ReplaceSortOrder(order); err != nil {
		return fmt.Errorf("replace sort order: %w", err)
	}
	if err := tx.SetProperties(iceberg.Properties{PropertyKey: keyProperty(spec)}); err != nil {
		return fmt.Errorf("set properties: %w", err)
	}
	return nil
}

// apply stages the evolution in a transaction; rekeyed: the key is another one.
func (e evolution) apply(tx *table.Transaction, rekeyed bool) error {
	if e.empty() && !rekeyed {
		return nil
	}
	u := tx.UpdateSchema(true, e.bare)
	for _, c := range e.add {
		u.AddColumn([]string{c.Name}, icebergType(c.Type), "", c.Required, nil)
	}
	for _, c := range e.change {
		u.UpdateColumn([]string{c.Name}, table.ColumnUpdate{
			FieldType: iceberg.Optional[iceberg.Type]{Val: icebergType(c.Type), Valid: true},
			Required:  iceberg.Optional[bool]{Val: c.Required, Valid: true},
		})
	}
	switch {
	case rekeyed:
		u.SetIdentifierField(identifierNames(e.spec))
	case e.relaxes:
		// An identifier must be required; without one the table is read the same.
		u.SetIdentifierField(nil)
	}
	for _, name := range e.move {
		u.MoveBefore([]string{name}, []string{registry.ColumnFile})
	}
	for _, name := range e.drop {
		u.DeleteColumn([]string{name})
	}
	if err := u.Commit(); err != nil {
		return fmt.Errorf("evolve schema: %w", err)
	}
	staged, err := tx.StagedTable()
	if err != nil {
		return fmt.Errorf("evolve schema: %w", err)
	}
	for _, c := range e.add {
		if f, ok := staged.Schema().FindFieldByID(c.ID); !ok || f.Name != c.Name {
			return fmt.Errorf("evolve schema: %w: column %s did not get field id %d", ErrIncompatible, c.Name, c.ID)
		}
	}
	return nil
}
