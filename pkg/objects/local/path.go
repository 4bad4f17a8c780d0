package local

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/openblotter/blotter/pkg/objects"
)

const (
	reserved    = ".blotter-"
	tempFolder  = reserved + "tmp"
	keyMark     = reserved + "key-"   // then a part that no file can be named as
	bytesMark   = reserved + "bytes-" // in a key: then a name that is no UTF-8
	maxName     = 255
	upperHex    = "0123456789ABCDEF"
	currentPath = "."
)

// pathOf gives the slash-separated path of a key's file below the folder.
func pathOf(key string) (string, error) {
	if key == "" {
		return "", fmt.Errorf("%w: it is empty", objects.ErrKey)
	}
	return pathOfParts(key)
}

func pathOfParts(key string) (string, error) {
	if !utf8.ValidString(key) {
		return "", fmt.Errorf("key %q: %w: it is no UTF-8", key, objects.ErrKey)
	}
	if isPlain(key) {
		return key, nil
	}
	parts := strings.Split(key, "/")
	for i, part := range parts {
		name := nameOf(part)
		if len(name) > maxName {
			return "", fmt.Errorf("key %q: %w in a folder: a part between slashes takes %d bytes, a file name holds %d",
				key, objects.ErrKey, len(name), maxName)
		}
		parts[i] = name
	}
	return strings.Join(parts, "/"), nil
}

// isPlain reports whether a key is certainly its own path, without taking it apart.
func isPlain(key string) bool {
	return key != "" && len(key) <= maxName && key[0] != '/' && key[0] != '.' && key[len(key)-1] != '/' &&
		!strings.Contains(key, "//") && !strings.Contains(key, "/.") && strings.IndexByte(key, 0) < 0
}

// nameOf gives the file name of one part of a key.
func nameOf(part string) string {
	if rest, ok := strings.CutPrefix(part, bytesMark); ok {
		if name, ok := unescape(rest); ok && !utf8.ValidString(name) && escape(name) == rest &&
			!strings.ContainsAny(name, "/\x00") {
			return name
		}
	}
	if part == "" || part == "." || part == ".." || strings.HasPrefix(part, reserved) ||
		strings.IndexByte(part, 0) >= 0 {
		return keyMark + escape(part)
	}
	return part
}

// partOf gives the part of a key that a file name stands for; false if it
// stands for none.
func partOf(name string) (string, bool) {
	if !utf8.ValidString(name) {
		return bytesMark + escape(name), true
	}
	if !strings.HasPrefix(name, reserved) {
		return name, true
	}
	rest, ok := strings.CutPrefix(name, keyMark)
	if !ok {
		return "", false
	}
	part, ok := unescape(rest)
	return part, ok && utf8.ValidString(part) && nameOf(part) == name
}

func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
	return b.String()
}

func unescape(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		high := strings.IndexByte(upperHex, s[i+1])
		low := strings.IndexByte(upperHex, s[i+2])
		if high < 0 || low < 0 {
			return "", false
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String(), true
}
