package transform

import (
	"slices"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// names is a table of one column, with the settings that a registration has when
// it says nothing else.
func names(null string, key ...string) registry.Table {
	t := reports()
	t.DMS = registry.Settings{Format: registry.FormatCSV, Delimiter: ",", OpColumn: ptr("Op"), Null: null}
	t.Columns, t.PrimaryKey = []registry.Column{column(1, "name", "string")}, key
	t.Provenance = registry.Provenance{File: 2, Row: 3, Position: 4, Next: 5}
	return t
}

// TestEmptyLines: in a file of one column an empty line is a row, whatever the
// registration has beside it; in any other it is none.
func TestEmptyLines(t *testing.T) {
	header := func(t registry.Table) registry.Table { t.DMS.Header = true; return t }
	wide := func(t registry.Table) registry.Table { t.Columns = append(t.Columns, column(8, "note", "string")); return t }
	layouts := func(t registry.Table) registry.Table {
		t.Layouts = []registry.Layout{{Kind: dms.KindLoad, Columns: []string{"name"}}, {Kind: dms.KindLoad, Columns: []string{"name", "note"}}}
		return t
	}
	for _, tt := range []struct {
		name    string
		table   registry.Table
		key     string
		content string
		want    []string // nil: a key is null
	}{
		{"null", names(""), loadKey, "a\n\nb\n", []string{"a|#1", `\N|#2`, "b|#3"}},
		{"empty text", names("NULL"), loadKey, "a\n\nb\n", []string{"a|#1", "|#2", "b|#3"}},
		{"empty text as a key", names("NULL", "name"), loadKey, "a\r\n\r\nb\r\n", []string{"|#2", "a|#1", "b|#3"}},
		{"null as a key", names("", "name"), loadKey, "a\n\nb\n", nil},
		{"first line", names(""), loadKey, "\na\n", []string{`\N|#1`, "a|#2"}},
		{"no more than that", names(""), loadKey, "\n", []string{`\N|#1`}},
		{"header", header(names("")), loadKey, "name\na\n\nb\n", []string{"a|#2", `\N|#3`, "b|#4"}},
		{"header of a column of many", header(wide(names(""))), loadKey, "name\na\n\nb\n", []string{`a|\N|#2`, `\N|\N|#3`, `b|\N|#4`}},
		{"line before a header", header(names("")), loadKey, "\nname\na\n", []string{"a|#2"}},
		{"layout of a column of many", layouts(wide(names(""))), loadKey, "a\n\nb\n", []string{`a|\N|#1`, `\N|\N|#2`, `b|\N|#3`}},
		{"layout of many columns", layouts(wide(names(""))), loadKey, "a,x\n\nb,y\n", []string{"a|x|#1", "b|y|#2"}},
		{"operations beside it", names(""), changeKey, "I,a\n\nI,b\n", []string{"a|#1", "b|#2"}},
		{"header of many columns", header(wide(names(""))), loadKey, "name,note\na,x\n\nb,y\n", []string{"a|x|#2", "b|y|#3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, tt.table)
			f := b.put(tt.key, tt.content)
			if tt.want == nil {
				if failure := b.refused(f); failure.Code != CodeKeyNull || failure.Row != 2 {
					t.Errorf("refused with %v", failure)
				}
				return
			}
			r := b.mustRun(f)
			if got := b.stagedRows(r.Manifest.Rows); !slices.Equal(got, tt.want) || r.Manifest.Counts.RowsRead != int64(len(tt.want)) {
				t.Errorf("rows are %q of %d read, want %q", got, r.Manifest.Counts.RowsRead, tt.want)
			}
		})
	}
}
