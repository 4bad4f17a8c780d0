package guards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// variable of the environment names the guard that is out.
const variable = "BLOTTER_GUARD_OUT"

// insertion is text that comes into a file.
type insertion struct {
	at   int
	text string
}

// withoutThem gives a file in which the guards can be taken out one by one, and the name
// of its package. All of the guards are in this file.
func withoutThem(t *testing.T, file string, guards []Guard) (src []byte, pkg string) {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, file, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var add []insertion
	for i, g := range guards {
		if n := bytes.Count(src, []byte(g.Old)); n != 1 || g.Old == g.New {
			t.Fatalf("%s: %s holds what is to be taken out %d times, expected once:\n%s", g.Name, file, n, g.Old)
		}
		at := bytes.Index(src, []byte(g.Old))
		f := function(fset, parsed, at, at+len(g.Old))
		if f == nil {
			t.Fatalf("%s: in %s it is not part of one function:\n%s", g.Name, file, g.Old)
		}
		add = append(add, second(t, fset, src, f, g, i)...)
	}
	slices.SortStableFunc(add, func(a, b insertion) int { return a.at - b.at })
	var out bytes.Buffer
	from := 0
	for _, a := range slices.Compact(add) { // of two guards in one function
		out.Write(src[from:a.at])
		out.WriteString(a.text)
		from = a.at
	}
	out.Write(src[from:])
	return out.Bytes(), parsed.Name.Name
}

// function finds the function whose body holds a range.
func function(fset *token.FileSet, file *ast.File, from, to int) *ast.FuncDecl {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if ok && f.Body != nil && fset.Position(f.Body.Lbrace).Offset < from && to <= fset.Position(f.Body.Rbrace).Offset {
			return f
		}
	}
	return nil
}

// second writes a function again without the guard, and has the first one call it where
// the guard is out.
func second(t *testing.T, fset *token.FileSet, src []byte, f *ast.FuncDecl, g Guard, n int) []insertion {
	t.Helper()
	offset := func(p token.Pos) int { return fset.Position(p).Offset }
	name, callee := fmt.Sprintf("%sWithout%d", f.Name.Name, n), ""
	if f.Recv != nil {
		callee = f.Recv.List[0].Names[0].Name + "."
	}
	var args []string
	var add []insertion
	for i, p := range f.Type.Params.List {
		if _, variadic := p.Type.(*ast.Ellipsis); variadic {
			t.Fatalf("%s: %s takes any number of arguments, which nothing here hands on", g.Name, f.Name.Name)
		}
		if len(p.Names) == 0 {
			args = append(args, fmt.Sprint("unnamed", i))
			add = append(add, insertion{offset(p.Type.Pos()), args[i] + " "})
		}
		for _, one := range p.Names {
			args = append(args, one.Name)
		}
	}
	call := fmt.Sprintf("%s%s(%s)", callee, name, strings.Join(args, ", "))
	if f.Type.Results != nil {
		call = "return " + call
	} else {
		call += "; return"
	}
	text := func(from, to token.Pos) string { return string(src[offset(from):offset(to)]) }
	body := strings.Replace(text(f.Body.Pos(), f.Body.End()), g.Old, g.New, 1)
	again := "\n\n" + text(f.Pos(), f.Name.Pos()) + name + text(f.Name.End(), f.Body.Pos()) + body + "\n"
	return append(add,
		insertion{offset(f.Body.Lbrace) + 1, fmt.Sprintf("\n\tif guardOut == %q {\n\t\t%s\n\t}", g.Name, call)},
		insertion{offset(f.End()), again})
}

// overlay writes all files that hold guards of a test, and what tells the go command of
// them.
func overlay(t *testing.T, guards []Guard) string {
	t.Helper()
	dir := t.TempDir()
	replace, written := map[string]string{}, 0
	put := func(file string, content []byte) {
		at, err := filepath.Abs(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		written++ // some files are put twice: the names must differ all the same
		instead := filepath.Join(dir, fmt.Sprintf("%d.go", written))
		if err := os.WriteFile(instead, content, 0o600); err != nil {
			t.Fatal(err)
		}
		replace[at] = instead
	}
	byFile := map[string][]Guard{}
	for _, g := range guards {
		byFile[g.File] = append(byFile[g.File], g)
	}
	for file, some := range byFile {
		src, pkg := withoutThem(t, file, some)
		put(file, src)
		put(strings.TrimSuffix(file, filepath.Base(file))+"guard_out.go",
			fmt.Appendf(nil, "package %s\n\nimport \"os\"\n\nvar guardOut = os.Getenv(%q)\n", pkg, variable))
	}
	b, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
