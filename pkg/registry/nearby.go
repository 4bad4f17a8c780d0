package registry

import "strings"

// Nearby finds the table whose folder below its prefix an object lies in, but below
// another prefix: most likely source.prefix is wrong, by a level too many or too few. Of
// several the one with the longest folder counts, then the first by name. prefix is what
// the prefix would have to be.
func Nearby(tables []Table, key string) (t Table, prefix string, ok bool) {
	for _, other := range tables {
		p, found := prefixBefore(key, other.Path)
		if !found || p == other.Prefix {
			continue
		}
		longer := len(other.Path) - len(t.Path)
		if !ok || longer > 0 || longer == 0 && strings.Compare(other.ID.String(), t.ID.String()) < 0 {
			t, prefix, ok = other, p, true
		}
	}
	return t, prefix, ok
}

// prefixBefore gives what stands in a key before a folder: "" or ending in "/".
func prefixBefore(key, folder string) (string, bool) {
	if folder == "" {
		return "", false // every key lies there
	}
	if strings.HasPrefix(key, folder) {
		return "", true
	}
	if i := strings.Index(key, "/"+folder); i >= 0 {
		return key[:i+1], true
	}
	return "", false
}
