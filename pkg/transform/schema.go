package transform

import (
	"math/big"
	"reflect"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/registry"
)

// The identity that staged files carry as created_by: fixed, since the default
// holds build information and bytes would differ between builds.
const (
	createdApplication = "blotter"
	createdVersion     = "1"
	createdBuild       = "staged"
)

// schemaName is the name of the root of every schema, as Iceberg writes it.
const schemaName = "table"

// StagedColumns gives the user columns of a table as staged files hold them:
// required only where the column is both not null and part of the primary key.
// All others are optional, whatever the source declares: a file may lack a
// column, and an empty string may be spelled like null.
func StagedColumns(t registry.Table) []registry.Column {
	cols := make([]registry.Column, len(t.Columns))
	for i, c := range t.Columns {
		c.Required = c.Required && keyIndex(t.PrimaryKey, c.Name) >= 0
		cols[i] = c
	}
	return cols
}

// KeyColumns gives the key columns of a table, in the order of its primary key.
func KeyColumns(t registry.Table) []registry.Column {
	staged := StagedColumns(t)
	key := make([]registry.Column, len(t.PrimaryKey))
	for _, c := range staged {
		if i := keyIndex(t.PrimaryKey, c.Name); i >= 0 {
			key[i] = c
		}
	}
	return key
}

// RowsSchema is the Parquet schema of rows files: the columns in the order
// given, then _blotter_file, _blotter_row and _blotter_position. The order in
// the file is this order. Every field carries its Iceberg field id and the
// physical and logical type of the Iceberg spec, appendix A; a column is
// required where it says so (see StagedColumns), provenance always.
func RowsSchema(cols []registry.Column, prov registry.Provenance) *parquet.Schema {
	return stagedSchema(cols, prov, nil)
}

// DeletesSchema is the Parquet schema of deletes files: the key columns in the
// order given, all required, then the provenance columns.
func DeletesSchema(key []registry.Column, prov registry.Provenance) *parquet.Schema {
	return stagedSchema(requiredColumns(key), prov, nil)
}

func requiredColumns(cols []registry.Column) []registry.Column {
	out := make([]registry.Column, len(cols))
	for i, c := range cols {
		c.Required = true
		out[i] = c
	}
	return out
}

// provenanceColumns gives the columns that Blotter adds, in their order.
func provenanceColumns(prov registry.Provenance) []registry.Column {
	return []registry.Column{
		{ID: prov.File, Name: registry.ColumnFile, Type: registry.Type{Kind: registry.String}, Required: true},
		{ID: prov.Row, Name: registry.ColumnRow, Type: registry.Type{Kind: registry.Long}, Required: true},
		{ID: prov.Position, Name: registry.ColumnPosition, Type: registry.Type{Kind: registry.String}, Required: true},
	}
}

// stagedSchema builds a schema; dict tells which columns, provenance included,
// are dictionary-encoded (nil: none).
func stagedSchema(cols []registry.Column, prov registry.Provenance, dict []bool) *parquet.Schema {
	all := append(append([]registry.Column(nil), cols...), provenanceColumns(prov)...)
	root := orderedGroup{Group: make(parquet.Group, len(all))}
	for i, c := range all {
		node := columnNode(c, dict != nil && dict[i])
		root.Group[c.Name] = node
		root.fields = append(root.fields, orderedField{Node: node, name: c.Name})
	}
	return parquet.NewSchema(schemaName, root)
}

func columnNode(c registry.Column, dict bool) parquet.Node {
	node := leafNode(c.Type)
	if dict && c.Type.Kind != registry.Boolean {
		node = parquet.Encoded(node, &parquet.RLEDictionary)
	} else {
		node = parquet.Encoded(node, &parquet.Plain)
	}
	node = parquet.Compressed(node, &parquet.Zstd)
	if c.Required {
		node = parquet.Required(node)
	} else {
		node = parquet.Optional(node)
	}
	return parquet.FieldID(node, c.ID)
}

// leafNode maps a type as the Iceberg spec does (appendix A, Parquet).
func leafNode(t registry.Type) parquet.Node {
	switch t.Kind {
	case registry.Boolean:
		return parquet.Leaf(parquet.BooleanType)
	case registry.Int:
		return parquet.Leaf(parquet.Int32Type)
	case registry.Long:
		return parquet.Leaf(parquet.Int64Type)
	case registry.Float:
		return parquet.Leaf(parquet.FloatType)
	case registry.Double:
		return parquet.Leaf(parquet.DoubleType)
	case registry.Decimal:
		return parquet.Decimal(t.Scale, t.Precision, decimalPhysical(t.Precision))
	case registry.Date:
		return parquet.Date()
	case registry.Timestamp:
		return parquet.TimestampAdjusted(parquet.Microsecond, false)
	case registry.TimestampTZ:
		return parquet.TimestampAdjusted(parquet.Microsecond, true)
	case registry.String:
		return parquet.String()
	}
	return parquet.Leaf(parquet.ByteArrayType)
}

// decimalPhysical: INT32 to 9 digits, INT64 to 18, else the shortest fixed
// array that holds the precision.
func decimalPhysical(precision int) parquet.Type {
	switch {
	case precision <= 9:
		return parquet.Int32Type
	case precision <= 18:
		return parquet.Int64Type
	}
	return parquet.FixedLenByteArrayType(decimalWidth(precision))
}

// decimalWidth is the least number of bytes whose two's complement holds every
// unscaled value of a precision.
func decimalWidth(precision int) int {
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(precision)), nil)
	return limit.Sub(limit, big.NewInt(1)).BitLen()/8 + 1
}

// orderedGroup is a group that keeps the order of its fields; parquet.Group
// sorts them by name.
type orderedGroup struct {
	parquet.Group
	fields []parquet.Field
}

func (g orderedGroup) Fields() []parquet.Field { return g.fields }

// GoType is never used to hold rows here; a map accepts every column name.
func (g orderedGroup) GoType() reflect.Type { return reflect.TypeFor[map[string]any]() }

type orderedField struct {
	parquet.Node
	name string
}

func (f orderedField) Name() string { return f.name }

func (f orderedField) Value(base reflect.Value) reflect.Value {
	return base.MapIndex(reflect.ValueOf(f.name))
}
