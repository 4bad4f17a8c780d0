package transform

import (
	"strings"
	"testing"
)

// TestConfigBoundsARow: no row that the reader takes may be longer than the lengths
// of a record can tell.
func TestConfigBoundsARow(t *testing.T) {
	for size, fault := range map[int]string{
		DefaultConfig().MaxFieldBytes: "",
		maxFieldBytes:                 "",
		maxFieldBytes + 1:             "max_field_bytes is 134217729: must be at most 134217728",
		0:                             "max_field_bytes is 0: must be positive",
	} {
		cfg := DefaultConfig()
		cfg.MaxFieldBytes = size
		err := cfg.Validate()
		if (err == nil) != (fault == "") || err != nil && !strings.Contains(err.Error(), fault) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	// A row has twice the bytes of a field; its key repeats them, each NUL as two.
	if most := 2*uint64(maxFieldBytes) + 2*2*uint64(maxFieldBytes); most >= 1<<32 {
		t.Errorf("a record may have %d bytes", most)
	}
}
