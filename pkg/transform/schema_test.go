package transform

import (
	"bytes"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/registry"
)

// everyColumn has one column of each type, in an order that is not that of
// their names.
func everyColumn() []registry.Column {
	types := []struct {
		name string
		typ  registry.Type
	}{
		{"zid", registry.Type{Kind: registry.Long}},
		{"flag", registry.Type{Kind: registry.Boolean}},
		{"small", registry.Type{Kind: registry.Int}},
		{"ratio", registry.Type{Kind: registry.Float}},
		{"wide", registry.Type{Kind: registry.Double}},
		{"d9", registry.Type{Kind: registry.Decimal, Precision: 9, Scale: 2}},
		{"d18", registry.Type{Kind: registry.Decimal, Precision: 18, Scale: 6}},
		{"d38", registry.Type{Kind: registry.Decimal, Precision: 38, Scale: 10}},
		{"born", registry.Type{Kind: registry.Date}},
		{"at", registry.Type{Kind: registry.Timestamp}},
		{"at_tz", registry.Type{Kind: registry.TimestampTZ}},
		{"name, with comma", registry.Type{Kind: registry.String}},
		{"blob", registry.Type{Kind: registry.Binary}},
	}
	cols := make([]registry.Column, len(types))
	for i, t := range types {
		cols[i] = registry.Column{ID: i + 1, Name: t.name, Type: t.typ, Required: i == 0}
	}
	return cols
}

func TestRowsSchema(t *testing.T) {
	cols := everyColumn()
	n := len(cols)
	prov := registry.Provenance{File: n + 1, Row: n + 2, Position: n + 3, Next: n + 4}
	schema := RowsSchema(cols, prov)

	var buf bytes.Buffer
	w := parquet.NewWriter(&buf, schema)
	row := make(parquet.Row, 0, n+3)
	for i, leaf := range schema.Columns() {
		c, _ := schema.Lookup(leaf...)
		switch {
		case c.Node.Optional():
			row = append(row, parquet.NullValue().Level(0, 0, i))
		case c.Node.Type().Kind() == parquet.Int64:
			row = append(row, parquet.Int64Value(7).Level(0, 0, i))
		default:
			row = append(row, parquet.ByteArrayValue([]byte("x")).Level(0, 0, i))
		}
	}
	if _, err := w.WriteRows([]parquet.Row{row}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, field := range f.Schema().Fields() {
		if field.ID() != i+1 {
			t.Errorf("%s has field id %d, want %d", field.Name(), field.ID(), i+1)
		}
		repetition := "optional"
		if field.Required() {
			repetition = "required"
		}
		got = append(got, repetition+" "+field.Name()+" "+field.Type().Kind().String()+" "+field.Type().String())
	}
	want := []string{
		"required zid INT64 INT(64,true)",
		"optional flag BOOLEAN BOOLEAN",
		"optional small INT32 INT(32,true)",
		"optional ratio FLOAT FLOAT",
		"optional wide DOUBLE DOUBLE",
		"optional d9 INT32 DECIMAL(9,2)",
		"optional d18 INT64 DECIMAL(18,6)",
		"optional d38 FIXED_LEN_BYTE_ARRAY DECIMAL(38,10)",
		"optional born INT32 DATE",
		"optional at INT64 TIMESTAMP(isAdjustedToUTC=false,unit=MICROS)",
		"optional at_tz INT64 TIMESTAMP(isAdjustedToUTC=true,unit=MICROS)",
		"optional name, with comma BYTE_ARRAY STRING",
		"optional blob BYTE_ARRAY BYTE_ARRAY",
		"required _blotter_file BYTE_ARRAY STRING",
		"required _blotter_row INT64 INT(64,true)",
		"required _blotter_position BYTE_ARRAY STRING",
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("schema is\n%s\nwant\n%s", g, w)
	}
}

func TestDecimalWidth(t *testing.T) {
	for precision, want := range map[int]int{1: 1, 2: 1, 3: 2, 9: 4, 18: 8, 19: 9, 20: 9, 28: 12, 38: 16} {
		if got := decimalWidth(precision); got != want {
			t.Errorf("precision %d takes %d bytes, want %d", precision, got, want)
		}
	}
}

func TestStagedColumns(t *testing.T) {
	table := registry.Table{PrimaryKey: []string{"B", "a"}, Columns: []registry.Column{
		{ID: 1, Name: "a", Required: true}, {ID: 2, Name: "b"}, {ID: 3, Name: "c", Required: true}}}
	for i, want := range []bool{true, false, false} {
		if got := StagedColumns(table)[i].Required; got != want {
			t.Errorf("column %d: required is %v", i, got)
		}
	}
	if key := KeyColumns(table); key[0].Name != "b" || key[1].Name != "a" {
		t.Errorf("key columns are %v", key)
	}
}
