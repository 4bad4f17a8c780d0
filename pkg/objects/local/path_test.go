package local

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/objects"
)

func TestPathOfKey(t *testing.T) {
	for key, want := range map[string]string{
		"rms/reports/LOAD00000001.csv.gz": "rms/reports/LOAD00000001.csv.gz",
		"a b+c%20d&e/Größe/日本.csv":        "a b+c%20d&e/Größe/日本.csv",
		".hidden/..x/...":                 ".hidden/..x/...",
		"_SUCCESS":                        "_SUCCESS",
		"a/":                              "a/.blotter-key-",
		"a//b":                            "a/.blotter-key-/b",
		"/a":                              ".blotter-key-/a",
		"/":                               ".blotter-key-/.blotter-key-",
		"../../etc/passwd":                ".blotter-key-../.blotter-key-../etc/passwd",
		"./a":                             ".blotter-key-./a",
		"a\x00b":                          ".blotter-key-a%00b",
		".blotter-tmp/x":                  ".blotter-key-.blotter-tmp/x",
		".blotter-bytes-caf%E9/x":         "caf\xe9/x",
		".blotter-bytes-caf%e9":           ".blotter-key-.blotter-bytes-caf%25e9",
		".blotter-bytes-cafe":             ".blotter-key-.blotter-bytes-cafe",
		".blotter-bytes-%E9%2F":           ".blotter-key-.blotter-bytes-%25E9%252F",
	} {
		got, err := pathOf(key)
		if err != nil || got != want {
			t.Errorf("pathOf(%q) = %q, %v; want %q", key, got, err, want)
		}
	}
	for _, key := range []string{"", "caf\xe9", "a/" + strings.Repeat("p", 256), ".blotter-" + strings.Repeat("%", 100)} {
		if got, err := pathOf(key); !errors.Is(err, objects.ErrKey) {
			t.Errorf("pathOf(%q) = %q, %v; want ErrKey", key, got, err)
		}
	}
}

func TestReservedNamesAreNoKeys(t *testing.T) {
	for _, name := range []string{
		".blotter-tmp", ".blotter-", ".blotter-key-plain", ".blotter-key-%", ".blotter-key-%2e",
		".blotter-key-%FF", ".blotter-bytes-%E9", ".blotter-key-.blotter-bytes-%25E9",
	} {
		if part, ok := partOf(name); ok {
			t.Errorf("partOf(%q) = %q, want none", name, part)
		}
	}
}

// keyPart makes parts that come near to what is escaped.
var keyPart = rapid.OneOf(
	rapid.SampledFrom([]string{"", ".", "..", "...", "a", ".blotter-", ".blotter-key-", ".blotter-tmp", ".blotter-bytes-%E9", "%2F", "é"}),
	rapid.StringN(0, 20, 60),
	rapid.Map(rapid.StringMatching(`(\.blotter-(key-|bytes-)?)?(%[0-9A-Fa-f]{2}|.){0,5}`), func(s string) string { return s }),
)

func TestKeysComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := strings.Join(rapid.SliceOfN(keyPart, 1, 5).Draw(t, "parts"), "/")
		path, err := pathOf(key)
		if err != nil {
			if key == "" || !utf8.ValidString(key) {
				return
			}
			t.Fatalf("%q: %v", key, err)
		}
		if !filepath.IsLocal(path) || filepath.ToSlash(filepath.Clean(path)) != path {
			t.Fatalf("%q becomes %q, which may leave the folder", key, path)
		}
		names := strings.Split(path, "/")
		if names[0] == tempFolder {
			t.Fatalf("%q lies among the temporary files", key)
		}
		for i, name := range names {
			part, ok := partOf(name)
			if !ok {
				t.Fatalf("%q is stored as %q, whose name %q stands for no part", key, path, name)
			}
			names[i] = part
		}
		if back := strings.Join(names, "/"); back != key {
			t.Fatalf("%q is stored as %q and comes back as %q", key, path, back)
		}
	})
}

func TestNamesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(keyPart, rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 20), func(b []byte) string { return string(b) })).Draw(t, "name")
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			return // no file can have it
		}
		part, ok := partOf(name)
		if !ok {
			if !strings.HasPrefix(name, reserved) {
				t.Fatalf("%q stands for no part", name)
			}
			return
		}
		if !utf8.ValidString(part) {
			t.Fatalf("%q becomes %q, which is no UTF-8", name, part)
		}
		if back := nameOf(part); back != name {
			t.Fatalf("%q becomes %q and comes back as %q", name, part, back)
		}
	})
}
