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
	promote []registry.Column
	relax   []string // columns that may be null from now on
	move    []string // columns that go, one after the other, before the provenance columns
	drop    []string // fillers
}

func (e evolution) empty() bool {
	return len(e.add)+len(e.promote)+len(e.relax)+len(e.move)+len(e.drop) == 0
}

// planEvolution compares a table with a registration, and with the schemas of
// staged files. The table's columns are found by name, without regard to case,
// and keep their field ids; a new one gets the table's next. Types only widen.
// Columns that neither has any longer stay as they are: their rows keep their
// values. ErrIncompatible if the table cannot follow the registration, an
// *AuditError if it cannot follow a file.
func planEvolution(meta table.Metadata, spec registry.Table, parts []*part) (evolution, error) {
	p := plan{registration: spec, byName: map[string]*planned{}, next: meta.LastColumnID() + 1}
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

// sameKey tells whether the table's primary key is the registration's. It
// changes with a replacement only.
func sameKey(tbl *table.Table, spec registry.Table) bool {
	return tbl.Properties()[PropertyKey] == keyProperty(spec)
}

// rekey stages another primary key: with it go the sort order and the
// identifier fields.
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

// apply stages the evolution in a transaction.
func (e evolution) apply(tx *table.Transaction) error {
	if e.empty() {
		return nil
	}
	u := tx.UpdateSchema(true, false)
	for _, c := range e.add {
		u.AddColumn([]string{c.Name}, icebergType(c.Type), "", false, nil)
	}
	for _, c := range e.promote {
		u.UpdateColumn([]string{c.Name}, table.ColumnUpdate{FieldType: iceberg.Optional[iceberg.Type]{Val: icebergType(c.Type), Valid: true}})
	}
	if len(e.relax) > 0 {
		// An identifier must be required; without one the table is read the same.
		u.SetIdentifierField(nil)
	}
	for _, name := range e.relax {
		u.UpdateColumn([]string{name}, table.ColumnUpdate{Required: iceberg.Optional[bool]{Valid: true}})
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
