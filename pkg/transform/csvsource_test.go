package transform

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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
	wide := func(t registry.Table) registry.Table {
		t.Columns = append(t.Columns, column(8, "note", "string"))
		return t
	}
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

// TestManyFields: rows of empty fields take no more memory than rows of text.
func TestManyFields(t *testing.T) {
	row := "I,x,1,A,1.00," + seqOf(1) + "\n"
	content := zipped(row + strings.Repeat(strings.Repeat(",", 65535)+"\n", 600))
	b := newBench(t, reports())
	f := b.put(changeKey+".gz", content)
	used := allocated(func() {
		_, err := Run(t.Context(), b.cfg, Deps{Raw: b.raw, Staging: b.staging}, Job{Table: b.table, File: f, Token: 7})
		var failure *Failure
		if !errors.As(err, &failure) || failure.Code != CodeColumnCount || failure.RowsFailed != 600 {
			t.Errorf("%v, want %d rows refused", err, 600)
		}
	})
	if used > 64<<20 {
		t.Errorf("%d bytes are allocated", used)
	}
}

// TestManyColumns: no file makes a table of more columns than a table may have,
// nor takes long to say so.
func TestManyColumns(t *testing.T) {
	file := func(n int) string {
		var head strings.Builder
		head.WriteString("Op,ts,id,status,amount,seq")
		for i := range n {
			fmt.Fprintf(&head, ",before_c%d,c%d", i, i)
		}
		return head.String() + "\nI,x,1,A,1.00," + seqOf(1) + strings.Repeat(",,", n) + "\n"
	}
	table := reports()
	table.DMS.Header, table.DMS.BeforeImagePrefix = true, ptr("before_")
	b := newBench(t, table)
	f := b.refused(b.put(changeKey, file(30_000)))
	if f.Code != CodeColumnUnknown || f.Column != "" || !strings.Contains(f.Message, "column 8194 of 60006") || !strings.Contains(f.Message, "4096") || len(f.Error()) > 3*maxFailureText {
		t.Errorf("refused with %.2000s", f)
	}
	for i := range 500 {
		table.Columns = append(table.Columns, column(100+i, fmt.Sprintf("c%d", i), "string"))
	}
	b = newBench(t, table)
	if m := b.mustRun(b.put(changeKey, file(510))).Manifest; len(m.Schema) != 3+510 {
		t.Errorf("%d columns", len(m.Schema))
	}
}

// TestNoHeader: where the first row of a file was taken for its header, none of
// its words leaves.
func TestNoHeader(t *testing.T) {
	for _, content := range []string{
		"I,2024-01-15 07:00:00,1,Smith,Smith\n", "1,Smith 1970-01-01,2.00\n", "Smith\n", "Smith\x01,Smith\n", strings.Repeat("Smith", 100) + ",1\n",
	} {
		for name, change := range map[string]func(*registry.Table){
			"with a key": func(*registry.Table) {},
			"of inserts": func(t *registry.Table) {
				t.PrimaryKey, t.DMS.OpColumn, t.DMS.TimestampColumn, t.DMS.ChangeSeqColumn = nil, nil, nil, nil
			},
			"with everything":  func(t *registry.Table) { t.DMS.BeforeImagePrefix = ptr("Smith") },
			"with bad rows":    func(t *registry.Table) { t.OnBadRow = registry.OnBadRowQuarantine },
			"with values told": func(t *registry.Table) { t.Reports.ShowValues = true },
		} {
			table := reports()
			table.DMS.Header = true
			change(&table)
			b := newBench(t, table)
			f := b.refused(b.put(loadKey, content))
			if f.Code != CodeHeader || f.Column != "" || strings.Contains(f.Error()+f.Value, "Smith") || !strings.Contains(f.Hint, "has the file a header?") {
				t.Errorf("%q %s: refused with %+v", content, name, f)
			}
		}
	}
}
