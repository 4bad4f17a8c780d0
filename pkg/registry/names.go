package registry

import "strings"

// DiscoveredNameFault tells why a column that a file names, and nobody
// registered, cannot become a column of the table; empty if it can.
func DiscoveredNameFault(name string) string {
	var c checker
	c.name("column", name)
	if strings.HasPrefix(FoldName(name), ReservedPrefix) {
		c.fault("column", "names that begin with %s are kept for the columns that Blotter adds", ReservedPrefix)
	}
	if len(c.faults) == 0 {
		return ""
	}
	return c.faults[0].Text
}
