package transform

import "strings"

// keyIndex finds a column among the names of a primary key, without regard to
// case; -1 if it is none of them.
func keyIndex(key []string, column string) int {
	for i, name := range key {
		if strings.EqualFold(name, column) {
			return i
		}
	}
	return -1
}
