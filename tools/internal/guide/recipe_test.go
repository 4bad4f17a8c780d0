package guide

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// binary is the folder of the program that the guide's commands name.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "blotter-guide-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a folder for the binary:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "blotter"), "github.com/openblotter/blotter/tools/blotter")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binary: %v\n%s", err, out)
		return 1
	}
	binary = dir
	return m.Run()
}

// recipe is a folder in which the blocks of one recipe are tried, in order.
type recipe struct {
	dir    string
	output string // of the last block of commands
}

func tryRecipe(t *testing.T, blocks []block) {
	t.Parallel()
	r := recipe{dir: t.TempDir()}
	for _, b := range blocks {
		file, parquetFile := b.attrs["file"], b.attrs["parquet"]
		switch {
		case b.lang == "yaml" && file != "":
			if !slices.ContainsFunc(blocks, func(o block) bool { return o.attrs["exit"] == "1" }) {
				parse(t, b, file)
			}
			r.write(t, file, []byte(b.text))
		case b.lang == "csv" && parquetFile != "":
			r.write(t, parquetFile, asParquet(t, b))
		case b.lang == "csv" && file != "":
			r.write(t, file, []byte(b.text))
			r.setTime(t, b)
		case b.lang == "sh":
			r.run(t, b)
		case b.is("csv", "output"):
			if r.output != b.text {
				t.Errorf("%s: printed is\n%s", b, r.output)
			}
		case b.is("text", "output"):
			for line := range strings.Lines(b.text) {
				if !strings.Contains(r.output, strings.TrimSpace(line)) {
					t.Errorf("%s: %q is missing in\n%s", b, strings.TrimSpace(line), r.output)
				}
			}
		default:
			t.Errorf("%s: no rule tries this block", b)
		}
		if t.Failed() {
			return
		}
	}
}

// write puts a file into the folder; one whose name ends in .gz is compressed.
func (r *recipe) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if strings.HasSuffix(name, ".gz") {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		content = b.Bytes()
	}
	file := filepath.Join(r.dir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, content, 0o644)); err != nil {
		t.Fatal(err)
	}
}

// setTime gives a file the time that its block says, if it does.
func (r *recipe) setTime(t *testing.T, b block) {
	t.Helper()
	text, ok := b.attrs["modified"]
	if !ok {
		return
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	if err := os.Chtimes(filepath.Join(r.dir, filepath.FromSlash(b.attrs["file"])), at, at); err != nil {
		t.Fatal(err)
	}
}

// run runs the lines of a block; the last one has to end as the block says, the
// others with 0. It keeps what the last one prints.
func (r *recipe) run(t *testing.T, b block) {
	t.Helper()
	want := 0
	if text, ok := b.attrs["exit"]; ok {
		var err error
		if want, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: exit %s", b, text)
		}
	}
	r.output = ""
	lines := strings.Split(strings.TrimSpace(b.text), "\n")
	for i, line := range lines {
		expected := 0
		if i == len(lines)-1 {
			expected = want
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
		cmd.Dir = r.dir
		cmd.Env = append(os.Environ(), "PATH="+binary+string(os.PathListSeparator)+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != expected {
			t.Fatalf("%s: %s: %v, expected exit code %d\n%s", b, line, err, expected, out)
		}
		if isApply(line) {
			r.output += string(out)
		} else {
			r.output = string(out)
		}
	}
}

func isApply(line string) bool { return strings.HasPrefix(line, "blotter apply") }

// asParquet writes a block as Parquet: its first line has the names, its second
// the types; an empty field is null.
func asParquet(t *testing.T, b block) []byte {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(b.text)).ReadAll()
	if err != nil || len(records) < 3 {
		t.Fatalf("%s: %d lines, %v", b, len(records), err)
	}
	group := parquet.Group{}
	for i, name := range records[0] {
		node, ok := map[string]parquet.Node{"string": parquet.String(), "int64": parquet.Leaf(parquet.Int64Type)}[records[1][i]]
		if !ok {
			t.Fatalf("%s: type %q", b, records[1][i])
		}
		group[name] = parquet.Optional(node)
	}
	schema := parquet.NewSchema("dms", group)
	var out bytes.Buffer
	w := parquet.NewGenericWriter[map[string]any](&out, schema)
	for _, record := range records[2:] {
		row := map[string]any{}
		for i, field := range record {
			if records[1][i] == "int64" {
				if row[records[0][i]], err = strconv.ParseInt(field, 10, 64); err != nil {
					t.Fatalf("%s: %v", b, err)
				}
			} else if field != "" {
				row[records[0][i]] = field
			}
		}
		if _, err := w.Write([]map[string]any{row}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

var commandSpan = regexp.MustCompile("`blotter ([^`]+)`")

// TestCommands: every command that the text names exists, with its flags.
func TestCommands(t *testing.T) {
	t.Parallel()
	_, prose := readGuide(t)
	checkCommands(t, prose)
}

func checkCommands(t *testing.T, prose string) {
	t.Helper()
	found := commandSpan.FindAllStringSubmatch(strings.ReplaceAll(prose, "\n", " "), -1)
	if len(found) == 0 {
		t.Fatal("the guide names no command")
	}
	var seen []string
	for _, span := range found {
		if slices.Contains(seen, span[1]) {
			continue
		}
		seen = append(seen, span[1])
		words := strings.Fields(span[1])
		name := words
		if i := slices.IndexFunc(words, func(w string) bool { return strings.ContainsAny(w, "-./") }); i >= 0 {
			name = words[:i]
		}
		help, err := exec.CommandContext(t.Context(), filepath.Join(binary, "blotter"), append(slices.Clone(name), "--help")...).CombinedOutput()
		if usage := "\n  blotter " + strings.Join(name, " "); err != nil || !strings.Contains(string(help), usage) {
			t.Errorf("blotter %s: no such command (%v)", span[1], err)
		}
		for _, w := range words {
			if strings.HasPrefix(w, "-") && !regexp.MustCompile(`(^|[\s,])`+regexp.QuoteMeta(w)+`\b`).Match(help) {
				t.Errorf("blotter %s: no flag %s", span[1], w)
			}
		}
	}
}
