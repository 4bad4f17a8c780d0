package lake

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// evolution is what a table lacks of a registration.
type evolution struct {
	add     []registry.Column // in the order of their ids, fillers among them
	promote []registry.Column
	relax   []string // columns that may be null from now on
	move    []string // columns that belong before the provenance columns
	drop    []string // fillers
}

func (e evolution) empty() bool {
	return len(e.add)+len(e.promote)+len(e.relax)+len(e.move)+len(e.drop) == 0
}

// inOneCommit: fillers that are added now can only be dropped by a later commit.
func (e evolution) inOneCommit() bool {
	for _, c := range e.add {
		if strings.HasPrefix(c.Name, fillerPrefix) {
			return false
		}
	}
	return true
}

// planEvolution compares a table with a registration. Columns that the
// registration has no longer stay as they are: their rows keep their values.
func planEvolution(meta table.Metadata, spec registry.Table) (evolution, error) {
	schema := meta.CurrentSchema()
	var e evolution
	if err := checkIdentity(meta, spec); err != nil {
		return e, err
	}
	missing, err := e.compare(schema, spec)
	if err != nil {
		return e, err
	}
	slices.SortFunc(missing, func(a, b registry.Column) int { return cmp.Compare(a.ID, b.ID) })
	next := meta.LastColumnID() + 1
	for _, c := range missing {
		if c.ID < next {
			return e, fmt.Errorf("%w: column %s has field id %d, which another column had", ErrIncompatible, c.Name, c.ID)
		}
		for ; next < c.ID; next++ {
			e.add = append(e.add, registry.Column{ID: next, Name: fillerPrefix + strconv.Itoa(next), Type: registry.Type{Kind: registry.String}})
		}
		e.add = append(e.add, c)
		next++
	}
	return e, nil
}

// checkIdentity refuses other provenance columns.
func checkIdentity(meta table.Metadata, spec registry.Table) error {
	for _, c := range provenanceFields(spec.Provenance) {
		if f, ok := meta.CurrentSchema().FindFieldByID(c.ID); !ok || f.Name != c.Name {
			return fmt.Errorf("%w: column %s does not have field id %d", ErrIncompatible, c.Name, c.ID)
		}
	}
	return nil
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

// compare fills in promotions, moves and drops, and gives the columns that are missing.
func (e *evolution) compare(schema *iceberg.Schema, spec registry.Table) ([]registry.Column, error) {
	var missing []registry.Column
	place := map[int]int{}
	for i, f := range schema.Fields() {
		place[f.ID] = i
		if strings.HasPrefix(f.Name, fillerPrefix) {
			e.drop = append(e.drop, f.Name)
		}
	}
	for _, c := range transform.StagedColumns(spec) {
		f, ok := schema.FindFieldByID(c.ID)
		if !ok {
			if c.Required {
				return nil, fmt.Errorf("%w: new column %s is required", ErrIncompatible, c.Name)
			}
			missing = append(missing, c)
			continue
		}
		if f.Name != c.Name {
			return nil, fmt.Errorf("%w: field id %d is column %s there and %s in the registration", ErrIncompatible, c.ID, f.Name, c.Name)
		}
		from, err := registryType(f.Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", f.Name, err)
		}
		switch {
		case from == c.Type, canPromote(c.Type, from):
			// An older registration than the table's: its values fit.
		case canPromote(from, c.Type):
			e.promote = append(e.promote, c)
		default:
			return nil, fmt.Errorf("%w: column %s is of type %s and cannot become %s", ErrIncompatible, c.Name, from, c.Type)
		}
		if f.Required && !c.Required {
			e.relax = append(e.relax, c.Name)
		}
		if place[c.ID] > place[spec.Provenance.File] {
			e.move = append(e.move, c.Name)
		}
	}
	return missing, nil
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
	for _, c := range e.add {
		if !strings.HasPrefix(c.Name, fillerPrefix) {
			u.MoveBefore([]string{c.Name}, []string{registry.ColumnFile})
		}
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
