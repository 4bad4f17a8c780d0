package transform

import (
	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/registry"
)

// EncodedSchema is RowsSchema with a dictionary for the columns that dict marks;
// dict has one entry per column, the three of provenance included.
func EncodedSchema(cols []registry.Column, prov registry.Provenance, dict []bool) *parquet.Schema {
	return stagedSchema(cols, prov, dict)
}

// unsignedBounds tells whether parquet-go would find wrong bounds: it compares
// fixed-length decimals as unsigned bytes, which puts negative ones last, and
// engines that trust such bounds leave out rows.
func unsignedBounds(t registry.Type) bool {
	return t.Kind == registry.Decimal && decimalPhysical(t.Precision).Kind() == parquet.FixedLenByteArray
}
