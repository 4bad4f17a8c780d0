package registry

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/dms"
)

func anyTable() *rapid.Generator[Table] {
	return rapid.Custom(func(t *rapid.T) Table {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("ab<&>\"\\ü日 ")), 1, 5, -1)
		optional := rapid.Ptr(text, true)
		path := rapid.SampledFrom([]string{"", "dms/", "a b+c/d/"})
		return Table{
			ID:      dms.TableID{DB: rapid.StringMatching(`[a-z]{1,4}`).Draw(t, "db"), Table: text.Draw(t, "table")},
			Version: rapid.Uint64().Draw(t, "version"), Prefix: path.Draw(t, "prefix"), Path: path.Draw(t, "path"), Schema: rapid.SampledFrom([]string{"", "dbo"}).Draw(t, "schema"), Task: rapid.SampledFrom([]string{"", "arn:x"}).Draw(t, "task"),
			Flag: rapid.SampledFrom([]Flag{FlagLambda, FlagGlue, FlagPaused}).Draw(t, "flag"),
			Job:  Job{Glue: rapid.SampledFrom([]string{"", "arn:y"}).Draw(t, "glue")},
			DMS: Settings{
				Format: FormatParquet, Header: rapid.Bool().Draw(t, "header"), Delimiter: ",", Null: rapid.SampledFrom([]string{"", "NULL"}).Draw(t, "null"),
				OpColumn: optional.Draw(t, "op"), TimestampColumn: optional.Draw(t, "ts"), CDCPath: optional.Draw(t, "cdc"),
				DatePartition: rapid.Ptr(rapid.Just(DatePartition{Format: "YYYYMM", Separator: "none"}), true).Draw(t, "partition"),
			},
			Load: LoadRule{QuietPeriod: time.Duration(rapid.Int64Min(0).Draw(t, "quiet"))}, OnBadRow: "fail",
			PrimaryKey: rapid.SliceOf(text).Draw(t, "key"),
			Columns: rapid.SliceOf(rapid.Custom(func(t *rapid.T) Column {
				return Column{ID: rapid.Int().Draw(t, "id"), Name: text.Draw(t, "name"), Type: anyType().Draw(t, "type"), Required: rapid.Bool().Draw(t, "required")}
			})).Draw(t, "columns"),
			Layouts: rapid.SampledFrom([][]Layout{nil, {{Kind: dms.KindLoad, Columns: []string{"a"}}, {Kind: dms.KindTransaction, Columns: []string{"c"}}, {Kind: dms.KindChange, From: "20240705-000000000", Columns: []string{"b"}}}}).Draw(t, "layouts"),
		}
	})
}

func TestTableAsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := anyTable().Draw(t, "table")
		data, err := table.JSON()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseTable(data)
		if err != nil || !reflect.DeepEqual(back, table) {
			t.Fatalf("%+v came back as %+v, %v", table, back, err)
		}
		if again, err := back.JSON(); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%s, then %s", data, again)
		}
	})
}

func TestTableAsJSONIsCanonical(t *testing.T) {
	empty, none := reports(), reports()
	empty.PrimaryKey, empty.Layouts, none.PrimaryKey, none.Layouts = []string{}, []Layout{}, nil, nil
	a, _ := empty.JSON()
	b, _ := none.JSON()
	if !bytes.Equal(a, b) {
		t.Errorf("%s\n%s", a, b)
	}
	for _, want := range []string{`"id":"rms.reports"`, `"type":"long"`, `"primary_key":[]`, `"change_seq_column":"seq"`} {
		if !strings.Contains(string(a), want) {
			t.Errorf("%s is missing in %s", want, a)
		}
	}
	if _, err := ParseTable([]byte(`{"columns":[{"type":"strong"}]}`)); err == nil {
		t.Error("an unknown type was read")
	}
}
