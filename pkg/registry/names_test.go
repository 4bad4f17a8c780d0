package registry

import (
	"strings"
	"testing"
)

func TestDiscoveredNameFault(t *testing.T) {
	for name, good := range map[string]bool{
		"beat": true, "Straße 2": true, "a.b": true, "": false, " beat": false, "a\nb": false, "_Blotter_x": false, "\xff": false,
	} {
		if fault := DiscoveredNameFault(name); (fault == "") != good || name != "" && strings.Contains(fault, name) {
			t.Errorf("%q: %s", name, fault)
		}
	}
}
