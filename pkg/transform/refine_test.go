package transform

import (
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// TestDiscoverCSV: a column that the header brings is an optional string, and
// one that it lacks is null.
func TestDiscoverCSV(t *testing.T) {
	s1, s2 := seqOf(1), seqOf(2)
	for name, tt := range map[string]struct {
		change  func(*registry.Table)
		content string
		schema  string
		rows    []string
	}{
		"added": {content: "Op,ts,ID,Beat,status,amount,seq\nI,x,1,007,A,1.00," + s1 + "\nI,x,2,,B,2.00," + s2 + "\n",
			schema: "(id long, status string, amount decimal(10, 2), Beat string)", rows: []string{"1|A|100|007|#2", `2|B|200|\N|#3`}},
		"renamed": {content: "Op,ts,id,state,amount,seq\nU,x,1,A,1.00," + s1 + "\n",
			schema: "(id long, status string, amount decimal(10, 2), state string)", rows: []string{`1|\N|100|A|#2`}},
		"removed and moved": {content: "amount,Op,ts,id,seq\n1.00,U,x,1," + s1 + "\n",
			schema: "(id long, status string, amount decimal(10, 2))", rows: []string{`1|\N|100|#2`}},
		"before-image of a new column": {change: func(t *registry.Table) { t.DMS.BeforeImagePrefix = ptr("before_") },
			content: "Op,ts,id,beat,seq,BEFORE_ID,before_beat,before_gone\nU,x,1,7," + s1 + ",2,6,5\n",
			schema:  "(id long, status string, amount decimal(10, 2), beat string, before_gone string)", rows: []string{`1|\N|\N|7|5|#2`}},
		"layout": {change: func(t *registry.Table) {
			t.DMS.Header = false
			t.Layouts = []registry.Layout{{Kind: dms.KindChange, Columns: []string{"Op", "ts", "id", "status", "amount", "beat", "seq"}}}
		}, content: "I,x,1,A,1.00,7," + s1 + "\n", schema: "(id long, status string, amount decimal(10, 2), beat string)", rows: []string{"1|A|100|7|#1"}},
	} {
		t.Run(name, func(t *testing.T) {
			table := reports()
			table.DMS.Header = true
			if tt.change != nil {
				tt.change(&table)
			}
			b := newBench(t, table)
			r := b.mustRun(b.put(changeKey, tt.content))
			if got := registry.ShowColumns(r.Manifest.Schema); got != tt.schema {
				t.Errorf("schema is %s, want %s", got, tt.schema)
			}
			for i, c := range r.Manifest.Schema[len(table.Columns):] {
				if c.ID != table.Provenance.Next+i || c.Required {
					t.Errorf("new column is %+v", c)
				}
			}
			if got := b.stagedRows(r.Manifest.Rows); !slices.Equal(got, tt.rows) {
				t.Errorf("rows are %q, want %q", got, tt.rows)
			}
		})
	}
}

// TestDiscoverParquet: a column that a Parquet file brings has the file's type.
func TestDiscoverParquet(t *testing.T) {
	for typ, node := range map[string]parquet.Node{
		"boolean": parquet.Leaf(parquet.BooleanType), "int": parquet.Int(16), "long": parquet.Int(64),
		"float": parquet.Leaf(parquet.FloatType), "double": parquet.Leaf(parquet.DoubleType),
		"decimal(12, 3)": parquet.Decimal(3, 12, parquet.FixedLenByteArrayType(6)), "date": parquet.Date(),
		"timestamptz": parquet.Timestamp(parquet.Millisecond), "timestamp": parquet.TimestampAdjusted(parquet.Microsecond, false),
		"string": parquet.String(), "binary": parquet.Leaf(parquet.ByteArrayType), "decimal(20, 0)": parquet.Uint(64),
	} {
		b := newBench(t, parquetTable("string"))
		r := b.mustRun(b.put(parquetKey, parquetFile(t, append(parquetColumns(parquet.String()), parquetColumn{"new", node}),
			[]any{"2024-01-15 07:00:00", "I", int64(1), "x", nil})))
		if got, want := registry.ShowColumns(r.Manifest.Schema), "(id long, v string, new "+typ+")"; got != want {
			t.Errorf("schema is %s, want %s", got, want)
		}
	}
	b := newBench(t, parquetTable("string"))
	f := b.refused(b.put(parquetKey, parquetFile(t, append(parquetColumns(parquet.String()), parquetColumn{"new", parquet.BSON()}),
		[]any{"2024-01-15 07:00:00", "I", int64(1), "x", []byte{0}})))
	if f.Code != CodeColumnType || f.Column != "new" || !strings.Contains(f.Message, "new BSON") || !strings.Contains(f.Message, "id long") {
		t.Errorf("BSON: %+v", f)
	}
}

// TestWidenedKey: the key of a file that is wider than the registration has the
// bytes that it has in a narrow one.
func TestWidenedKey(t *testing.T) {
	table := parquetTable("string")
	table.Columns[0].Type.Kind = registry.Int
	b := newBench(t, table)
	keys := map[string]bool{}
	for i, node := range []parquet.Node{parquet.Int(32), parquet.Int(64)} {
		columns := parquetColumns(parquet.String())
		columns[2].node = node
		id := any(int32(-5))
		if i == 1 {
			id = int64(-5)
		}
		r := b.mustRun(b.put(strings.Replace(parquetKey, "0000.", "000"+string(rune('0'+i))+".", 1), parquetFile(t, columns, []any{"2024-01-15 07:00:00", "I", id, "x"})))
		keys[r.Manifest.Rows[0].MinKey] = true
	}
	if len(keys) != 1 {
		t.Errorf("keys are %v", keys)
	}
}

// TestBothSchemasShown: what cannot be both is refused with names and types only.
func TestBothSchemasShown(t *testing.T) {
	b := newBench(t, parquetTable("date"))
	f := b.refused(b.put(parquetKey, parquetFile(t, parquetColumns(parquet.Int(64)), []any{"2024-01-15 07:00:00", "I", int64(1), int64(4711)})))
	for _, want := range []string{"V INT(64,true)", "v date", "id long"} {
		if !strings.Contains(f.Error(), want) {
			t.Errorf("%q does not show %q", f, want)
		}
	}
	if strings.Contains(f.Error(), "4711") {
		t.Errorf("%q shows a value", f)
	}
}
