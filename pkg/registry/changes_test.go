package registry

import (
	"strings"
	"testing"
)

func TestChanges(t *testing.T) {
	const base = "database: d\ndms: {header: true}\ntables: [{name: a, primary_key: [id], columns: {id: int not null, fee: int}}]"
	read := func(text string) Table {
		tables, err := Parse([]byte(text), "t")
		if err != nil {
			t.Fatal(err)
		}
		return tables[0]
	}
	prev := read(base)
	if said := Changes(nil, prev); said != nil {
		t.Errorf("of a first registration: %q", said)
	}
	for _, tt := range []struct{ was, is, want string }{
		{"", "", ""},
		{"fee: int", "fee: bigint", "column fee is long instead of int"},
		{"fee: int", "fee: int not null", "column fee may not be null"},
		{"id: int not null", "id: bigint not null", "column id is long instead of int"},
		{"fee: int", "fee: int, note: text", "column note string is new"},
		{"id: int not null, fee: int", "fee: int, id: int not null", ""},
		{"fee: int", "price: int", "column price int is new; no longer registered: fee (what the table has of it stays"},
		{"header: true", "header: true, delimiter: ';'", "dms settings changed"},
		{"header: true}", "header: true}\non_bad_row: quarantine\nreports: {show_values: true}", "on_bad_row changed; reports.show_values changed"},
		{"columns:", "layouts: [{kind: load, columns: [id, fee]}], flag: G, columns:", "flag changed; layouts changed"},
		{"name: a", "name: a, path: b/", "folder changed"},
	} {
		said := strings.Join(Changes(&prev, read(strings.Replace(base, tt.was, tt.is, 1))), "; ")
		if !strings.HasPrefix(said, tt.want) || tt.want == "" && said != "" {
			t.Errorf("%s -> %s: %q", tt.was, tt.is, said)
		}
	}
}
