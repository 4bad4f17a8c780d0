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
