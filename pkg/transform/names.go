package transform

import (
	"slices"

	"github.com/openblotter/blotter/pkg/registry"
)

// sameName compares names of columns: without regard to case, since sources
// and DMS settings fold it in different ways.
func sameName(a, b string) bool { return registry.FoldName(a) == registry.FoldName(b) }

// keyIndex finds a column among the names of a primary key; -1 if it is none
// of them.
func keyIndex(key []string, column string) int {
	return slices.IndexFunc(key, func(name string) bool { return sameName(name, column) })
}
