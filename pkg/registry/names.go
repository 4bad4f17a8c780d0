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

// Distance counts the letters in which two names differ (Levenshtein).
func Distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		before := row[0]
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			before, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, before+cost)
		}
	}
	return row[len(y)]
}
