package registry

import (
	"fmt"
	"strings"
)

// DiscoveredNameFault tells why a column that a file names, and nobody
// registered, cannot become a column of the table; empty if it can. It does not
// repeat the name, which may be a value.
func DiscoveredNameFault(name string) string {
	var c checker
	c.name("column", name)
	if strings.HasPrefix(FoldName(name), ReservedPrefix) {
		c.fault("column", "names that begin with %s are kept for the columns that Blotter adds", ReservedPrefix)
	}
	if len(c.faults) == 0 {
		return ""
	}
	return strings.Replace(c.faults[0].Text, fmt.Sprintf("the name %q", name), "the name", 1)
}
