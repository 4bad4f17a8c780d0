package lake

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// firstSortOrder is the id of the first sort order of a table with a key: by the
// key, ascending. Data files that are sorted by encoded key carry the id of the
// table's current order.
const firstSortOrder = 1

// fillerPrefix begins the names of columns that stand in, for the moment of a
// table's creation, for field ids that the registration no longer uses.
const fillerPrefix = "_blotter_unused_"

// icebergType maps a registered type.
func icebergType(t registry.Type) iceberg.Type {
	switch t.Kind {
	case registry.Boolean:
		return iceberg.PrimitiveTypes.Bool
	case registry.Int:
		return iceberg.PrimitiveTypes.Int32
	case registry.Long:
		return iceberg.PrimitiveTypes.Int64
	case registry.Float:
		return iceberg.PrimitiveTypes.Float32
	case registry.Double:
		return iceberg.PrimitiveTypes.Float64
	case registry.Decimal:
		return iceberg.DecimalTypeOf(t.Precision, t.Scale)
	case registry.Date:
		return iceberg.PrimitiveTypes.Date
	case registry.Timestamp:
		return iceberg.PrimitiveTypes.Timestamp
	case registry.TimestampTZ:
		return iceberg.PrimitiveTypes.TimestampTz
	case registry.Binary:
		return iceberg.PrimitiveTypes.Binary
	}
	return iceberg.PrimitiveTypes.String
}

// registryType is the inverse of icebergType.
func registryType(t iceberg.Type) (registry.Type, error) {
	switch t := t.(type) {
	case iceberg.BooleanType:
		return registry.Type{Kind: registry.Boolean}, nil
	case iceberg.Int32Type:
		return registry.Type{Kind: registry.Int}, nil
	case iceberg.Int64Type:
		return registry.Type{Kind: registry.Long}, nil
	case iceberg.Float32Type:
		return registry.Type{Kind: registry.Float}, nil
	case iceberg.Float64Type:
		return registry.Type{Kind: registry.Double}, nil
	case iceberg.DecimalType:
		return registry.Type{Kind: registry.Decimal, Precision: t.Precision(), Scale: t.Scale()}, nil
	case iceberg.DateType:
		return registry.Type{Kind: registry.Date}, nil
	case iceberg.TimestampType:
		return registry.Type{Kind: registry.Timestamp}, nil
	case iceberg.TimestampTzType:
		return registry.Type{Kind: registry.TimestampTZ}, nil
	case iceberg.StringType:
		return registry.Type{Kind: registry.String}, nil
	case iceberg.BinaryType:
		return registry.Type{Kind: registry.Binary}, nil
	}
	return registry.Type{}, fmt.Errorf("%w: columns of type %s are not known here", ErrIncompatible, t)
}

// canPromote tells whether Iceberg reads values of one type as another.
func canPromote(from, to registry.Type) bool {
	switch {
	case from == to:
		return true
	case from.Kind == registry.Int:
		return to.Kind == registry.Long
	case from.Kind == registry.Float:
		return to.Kind == registry.Double
	case from.Kind == registry.Decimal:
		return to.Kind == registry.Decimal && from.Scale == to.Scale && from.Precision <= to.Precision
	}
	return false
}

// provenanceFields gives the columns that Blotter adds.
func provenanceFields(p registry.Provenance) []registry.Column {
	return []registry.Column{
		{ID: p.File, Name: registry.ColumnFile, Type: registry.Type{Kind: registry.String}, Required: true},
		{ID: p.Row, Name: registry.ColumnRow, Type: registry.Type{Kind: registry.Long}, Required: true},
		{ID: p.Position, Name: registry.ColumnPosition, Type: registry.Type{Kind: registry.String}, Required: true},
	}
}

// createSchema is the schema that a table is created with. iceberg-go numbers
// fields afresh in their order, so they stand in the order of their ids here,
// with fillers for ids that are not used; evolve does the rest.
func createSchema(spec registry.Table) *iceberg.Schema {
	cols := append(transform.StagedColumns(spec), provenanceFields(spec.Provenance)...)
	slices.SortFunc(cols, func(a, b registry.Column) int { return cmp.Compare(a.ID, b.ID) })
	var fields []iceberg.NestedField
	for _, c := range cols {
		for id := len(fields) + 1; id < c.ID; id++ {
			fields = append(fields, iceberg.NestedField{ID: id, Name: fillerPrefix + strconv.Itoa(id), Type: iceberg.PrimitiveTypes.String})
		}
		fields = append(fields, iceberg.NestedField{ID: c.ID, Name: c.Name, Type: icebergType(c.Type), Required: c.Required})
	}
	return iceberg.NewSchemaWithIdentifiers(0, identifierIDs(spec), fields...)
}

// identifierIDs gives the key's field ids if Iceberg takes the key as row
// identifier: all columns required, none of floating point.
func identifierIDs(spec registry.Table) []int {
	var ids []int
	for _, c := range transform.KeyColumns(spec) {
		if !c.Required || c.Type.Kind == registry.Float || c.Type.Kind == registry.Double {
			return nil
		}
		ids = append(ids, c.ID)
	}
	slices.Sort(ids)
	return ids
}

// identifierNames is identifierIDs by name.
func identifierNames(spec registry.Table) [][]string {
	var names [][]string
	for _, id := range identifierIDs(spec) {
		for _, c := range spec.Columns {
			if c.ID == id {
				names = append(names, []string{c.Name})
			}
		}
	}
	return names
}

// keySortOrder is the order of data files.
func keySortOrder(spec registry.Table) (table.SortOrder, error) {
	var fields []table.SortField
	for _, c := range transform.KeyColumns(spec) {
		fields = append(fields, table.SortField{
			SourceIDs: []int{c.ID}, Transform: iceberg.IdentityTransform{}, Direction: table.SortASC, NullOrder: table.NullsFirst,
		})
	}
	if len(fields) == 0 {
		return table.UnsortedSortOrder, nil
	}
	order, err := table.NewSortOrder(firstSortOrder, fields)
	if err != nil {
		return table.SortOrder{}, fmt.Errorf("build sort order: %w", err)
	}
	return order, nil
}

// userColumns gives the table's columns without provenance, in schema order.
func userColumns(schema *iceberg.Schema) ([]registry.Column, error) {
	var cols []registry.Column
	for _, f := range schema.Fields() {
		switch f.Name {
		case registry.ColumnFile, registry.ColumnRow, registry.ColumnPosition:
			continue
		}
		t, err := registryType(f.Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", f.Name, err)
		}
		cols = append(cols, registry.Column{ID: f.ID, Name: f.Name, Type: t, Required: f.Required})
	}
	return cols, nil
}

// provenanceOf finds the ids of the provenance columns in a table.
func provenanceOf(schema *iceberg.Schema, next int) (registry.Provenance, error) {
	p := registry.Provenance{Next: next}
	for name, id := range map[string]*int{registry.ColumnFile: &p.File, registry.ColumnRow: &p.Row, registry.ColumnPosition: &p.Position} {
		f, ok := schema.FindFieldByName(name)
		if !ok {
			return p, fmt.Errorf("%w: it has no column %s", ErrIncompatible, name)
		}
		*id = f.ID
	}
	return p, nil
}
