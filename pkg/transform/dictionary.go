package transform

import (
	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/registry"
)

// minSample is the least number of rows from which a dictionary is chosen.
const minSample = 64

// chooseDictionaries decides by the first batch which columns, provenance
// included, are dictionary-encoded: those in which each value stands four times
// on average. Columns that are constant by nature always are. The records of
// the first batch are the same whatever the speed and memory, so the choice is.
func chooseDictionaries(sources []columnSource, columns []registry.Column, b *recordBatch) []bool {
	dict := make([]bool, len(sources))
	var buffer columnBuffer
	for i, source := range sources {
		if _, constant := source.(constantColumn); constant {
			dict[i] = true
			continue
		}
		if i >= len(columns) || b.len() < minSample || columns[i].Type.Kind == registry.Boolean {
			continue
		}
		values, scratch, err := source.values(buffer.values[:0], buffer.scratch, b)
		if err != nil {
			continue // encoding fails the same way, and says so
		}
		buffer.values, buffer.scratch = values, scratch
		dict[i] = 4*distinct(values) <= len(values)
	}
	return dict
}

// distinct counts different values.
func distinct(values []parquet.Value) int {
	seen := make(map[string]struct{}, len(values))
	var text []byte
	for _, v := range values {
		text = append(text[:0], byte(v.Kind()))
		text = v.AppendBytes(text)
		seen[string(text)] = struct{}{}
	}
	return len(seen)
}
