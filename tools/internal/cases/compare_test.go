package cases

import (
	"errors"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/registry"
)

func mustRead(t *testing.T, text string) Rows {
	t.Helper()
	rows, err := ReadCSV(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func column2(name string, kind registry.Kind) registry.Column {
	return registry.Column{Name: name, Type: registry.Type{Kind: kind}}
}

func TestCompareKeyed(t *testing.T) {
	spec := Spec{PrimaryKey: []string{"id"}, Columns: []registry.Column{
		column2("id", registry.Long), column2("note", registry.String),
		column2("lat", registry.Double), column2("speed", registry.Float), column2("count", registry.Int),
	}}
	const want = "id,note,lat,speed,count\n1,a,38.907192,32.38,3000000000\n2,\\N,0,1,2\n"
	tests := []struct {
		name, got string
		diff      Diff
		says      string
	}{
		{"equal, spelled otherwise", "ID,Note,Lat,speed,count\n2,\\N,-0,1e0,+2\n1,a,+3.8907192e+01,+3.23800011e+01,3000000000\n", Diff{}, "equal"},
		{"provenance aside", "id,note,lat,speed,count,_blotter_row\n1,a,38.907192,32.38,3000000000,7\n2,\\N,0,1,2,8\n", Diff{}, "equal"},
		{"empty is not null", "id,note,lat,speed,count\n1,a,38.907192,32.38,3000000000\n2,,0,1,2\n", Diff{Changed: 1}, `id="2": note is "", expected null`},
		{"missing and unexpected", "id,note,lat,speed,count\n1,a,38.907192,32.38,3000000000\n3,\\N,0,1,2\n", Diff{Missing: 1, Unexpected: 1}, "missing: id=\"2\""},
		{"a key twice", "id,note,lat,speed,count\n1,a,38.907192,32.38,3000000000\n2,\\N,0,1,2\n2,\\N,0,1,2\n", Diff{Repeated: 1}, "repeated: id=\"2\""},
		{"double at its width", "id,note,lat,speed,count\n1,a,38.9071920001,32.38,3000000000\n2,\\N,0,1,2\n", Diff{Changed: 1}, "lat is"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Compare(spec, mustRead(t, want), mustRead(t, tt.got))
			if err != nil {
				t.Fatal(err)
			}
			if d.Missing != tt.diff.Missing || d.Unexpected != tt.diff.Unexpected || d.Changed != tt.diff.Changed || d.Repeated != tt.diff.Repeated {
				t.Errorf("got %+v, expected %+v", d, tt.diff)
			}
			if !strings.Contains(d.String(), tt.says) {
				t.Errorf("%q does not say %q", d, tt.says)
			}
		})
	}
}

func TestCompareMultiset(t *testing.T) {
	spec := Spec{Columns: []registry.Column{column2("at", registry.Timestamp), column2("who", registry.String)}}
	const want = "at,who\n1,a\n1,a\n2,b\n"
	d, err := Compare(spec, mustRead(t, want), mustRead(t, "at,who\n2,b\n1,a\n1,a\n"))
	if err != nil || !d.Empty() {
		t.Errorf("equal rows in another order: %v, %v", d, err)
	}
	d, err = Compare(spec, mustRead(t, want), mustRead(t, "at,who\n2,b\n2,b\n1,a\n"))
	if err != nil || d.Missing != 1 || d.Unexpected != 1 {
		t.Errorf("one row doubled, another lost: %v, %v", d, err)
	}
}

func TestCompareHashed(t *testing.T) {
	text := strings.Repeat("long\n\"text\"", 100)
	want := "id,note\n1," + hash(text) + "\n"
	got := "id,note\n1,\"" + strings.ReplaceAll(text, `"`, `""`) + "\"\n"
	for _, spec := range []Spec{{PrimaryKey: []string{"id"}}, {}, {PrimaryKey: []string{"note"}}} {
		d, err := Compare(spec, mustRead(t, want), mustRead(t, got))
		if err != nil || !d.Empty() {
			t.Errorf("key %v: %v, %v", spec.PrimaryKey, d, err)
		}
		d, err = Compare(spec, mustRead(t, want), mustRead(t, strings.Replace(got, "long", "lung", 1)))
		if err != nil || d.Empty() {
			t.Errorf("key %v: another text is taken for the wanted one: %v", spec.PrimaryKey, err)
		}
	}
}

func TestCompareColumns(t *testing.T) {
	d, err := Compare(Spec{}, mustRead(t, "a,b\n1,2\n"), mustRead(t, "a,c\n1,2\n"))
	if err != nil || len(d.Columns) != 2 || d.Empty() {
		t.Errorf("%v, %v", d, err)
	}
}

func TestCompareErrors(t *testing.T) {
	spec := Spec{PrimaryKey: []string{"a"}}
	if _, err := Compare(spec, mustRead(t, "a,b\n1,2\n1,3\n"), mustRead(t, "a,b\n")); err == nil {
		t.Error("expected rows that repeat a key are taken")
	}
	if _, err := Compare(spec, mustRead(t, "b\n1\n"), mustRead(t, "b\n")); err == nil {
		t.Error("expected rows without the key are taken")
	}
	broken := errors.New("broken")
	got := Rows{Columns: []string{"a"}, Seq: func(yield func([]Cell, error) bool) { yield(nil, broken) }}
	if _, err := Compare(spec, mustRead(t, "a\n"), got); !errors.Is(err, broken) {
		t.Errorf("got %v, expected the reader's error", err)
	}
}

func TestReadCSV(t *testing.T) {
	rows := mustRead(t, "a,b\r\n\"x,\"\"y\"\"\",\"dos\r\nline\"\r\n\\N,\"\\N\"\n,\"\"\n padded ,back\\slash")
	want := [][]Cell{
		{{Text: `x,"y"`}, {Text: "dos\r\nline"}},
		{{Null: true}, {Text: `\N`}},
		{{}, {}},
		{{Text: " padded "}, {Text: `back\slash`}},
	}
	n := 0
	for row, err := range rows.Seq {
		if err != nil {
			t.Fatal(err)
		}
		for i, cell := range row {
			if cell != want[n][i] {
				t.Errorf("row %d, field %d: got %+v, expected %+v", n, i, cell, want[n][i])
			}
		}
		n++
	}
	if n != len(want) {
		t.Errorf("%d rows, expected %d", n, len(want))
	}
	for _, bad := range []string{"a\n\"x", "a,b\n1\n", "a\nx\"y\n", "a\n\"x\"y\n"} {
		var failed error
		for _, err := range mustRead(t, bad).Seq {
			failed = err
		}
		if failed == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if _, err := ReadCSV(strings.NewReader("")); err == nil {
		t.Error("a file without a header is taken")
	}
}
