package transform

import (
	"testing"

	"github.com/openblotter/blotter/pkg/registry"
)

// TestUnsignedBounds: only long decimals are kept in fixed-length arrays.
func TestUnsignedBounds(t *testing.T) {
	for precision, want := range map[int]bool{9: false, 18: false, 19: true, 38: true} {
		if got := unsignedBounds(registry.Type{Kind: registry.Decimal, Precision: precision}); got != want {
			t.Errorf("precision %d: %v, want %v", precision, got, want)
		}
	}
	if unsignedBounds(registry.Type{Kind: registry.String}) {
		t.Error("strings are ordered as bytes")
	}
}
