package registry

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func withColumns(columns ...Column) Table {
	t := reports()
	t.Columns, t.Provenance = columns, Provenance{}
	return t
}

func TestAssignIDs(t *testing.T) {
	first, err := AssignIDs(nil, withColumns(Column{Name: "id", Type: Type{Kind: Int}, Required: true}, Column{Name: "a", Type: Type{Kind: String}}))
	if err != nil || first.Columns[0].ID != 1 || first.Columns[1].ID != 2 || first.Provenance != (Provenance{File: 3, Row: 4, Position: 5, Next: 6}) {
		t.Fatalf("%+v, %v", first, err)
	}
	asked := withColumns(Column{Name: "b", Type: Type{Kind: Date}}, Column{Name: "ID", Type: Type{Kind: Long}})
	second, err := AssignIDs(&first, asked)
	want := []Column{{ID: 6, Name: "b", Type: Type{Kind: Date}}, {ID: 1, Name: "id", Type: Type{Kind: Long}}}
	if err != nil || !reflect.DeepEqual(second.Columns, want) || second.Provenance != (Provenance{File: 3, Row: 4, Position: 5, Next: 7}) {
		t.Fatalf("%+v, %v", second, err)
	}
	if asked.Columns[0].ID != 0 {
		t.Error("the argument was changed")
	}
	// A column that was gone comes back as another.
	third, err := AssignIDs(&second, withColumns(Column{Name: "id", Type: Type{Kind: Long}}, Column{Name: "a", Type: Type{Kind: String}}))
	if err != nil || third.Columns[1].ID != 7 || third.Provenance.Next != 8 {
		t.Fatalf("%+v, %v", third, err)
	}
	kept, err := AssignIDs(&third, withColumns())
	if err != nil || !reflect.DeepEqual(kept.Columns, third.Columns) || kept.Provenance != third.Provenance {
		t.Fatalf("%+v, %v", kept, err)
	}
}

func TestAssignIDsRefuses(t *testing.T) {
	first, _ := AssignIDs(nil, withColumns(Column{Name: "id", Type: Type{Kind: Long}}, Column{Name: "amount", Type: Type{Kind: Decimal, Precision: 10, Scale: 2}}))
	_, err := AssignIDs(&first, withColumns(
		Column{Name: "id", Type: Type{Kind: Int}}, Column{Name: "amount", Type: Type{Kind: Decimal, Precision: 12, Scale: 2}, Required: true}, Column{Name: "x", Type: Type{Kind: Date}, Required: true}))
	var schema *SchemaError
	if !errors.As(err, &schema) || len(schema.Reasons) != 3 {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{
		"column id cannot change from long to int", "column amount cannot become not null", "the new column x must allow null",
		"registered so far: (id long, amount decimal(10, 2))", "now: (id int, amount decimal(12, 2) not null, x date not null)",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

// TestAssignIDsProperties: over any history of registrations, an id stays with
// one name, and none is used twice.
func TestAssignIDsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history := rapid.SliceOfN(rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 4, rapid.ID[string]), 1, 6).Draw(t, "history")
		owner := map[int]string{}
		var prev *Table
		for version, names := range history {
			var columns []Column
			for _, n := range names {
				columns = append(columns, Column{Name: n, Type: Type{Kind: String}})
			}
			next, err := AssignIDs(prev, withColumns(columns...))
			if err != nil {
				t.Fatal(err)
			}
			if version == 0 {
				owner[next.Provenance.File], owner[next.Provenance.Row], owner[next.Provenance.Position] = ColumnFile, ColumnRow, ColumnPosition
			} else if p := prev.Provenance; next.Provenance.File != p.File || next.Provenance.Row != p.Row || next.Provenance.Position != p.Position {
				t.Fatalf("provenance moved: %+v", next.Provenance)
			}
			for _, c := range next.Columns {
				if other, taken := owner[c.ID]; taken && other != c.Name || c.ID >= next.Provenance.Next {
					t.Fatalf("id %d of %s belongs to %s", c.ID, c.Name, other)
				}
				owner[c.ID] = c.Name
				if prev != nil {
					if old, ok := prev.Column(c.Name); ok && old.ID != c.ID {
						t.Fatalf("%s had id %d, has %d", c.Name, old.ID, c.ID)
					}
				}
			}
			prev = &next
		}
	})
}

func TestRekeysAndReorders(t *testing.T) {
	same, key, order := reports(), reports(), reports()
	same.PrimaryKey = []string{"ID"}
	key.PrimaryKey = []string{"id", "status"}
	order.DMS.ChangeSeqColumn = nil
	if why := Rekeys(reports(), same) + Rekeys(reports(), order) + Reorders(reports(), key); why != "" {
		t.Error(why)
	}
	if why := Rekeys(reports(), key); why != "the primary key changes from (id) to (id, status)" {
		t.Error(why)
	}
	if why := Reorders(reports(), order); why != "the order of changes goes by timestamp instead of change_seq" {
		t.Error(why)
	}
	// Another column of the same kind orders otherwise, too.
	spelled, column, unused := reports(), reports(), reports()
	upper, other := strings.ToUpper(*spelled.DMS.ChangeSeqColumn), "other"
	spelled.DMS.ChangeSeqColumn, column.DMS.ChangeSeqColumn, unused.DMS.TimestampColumn = &upper, &other, &other
	if why := Reorders(reports(), spelled) + Reorders(reports(), unused); why != "" {
		t.Error(why)
	}
	if why := Reorders(reports(), column); why != "the order of changes goes by the column other instead of seq" {
		t.Error(why)
	}
	stamped, restamped := order, order
	restamped.DMS.TimestampColumn = &other
	if why := Reorders(stamped, restamped); why != "the order of changes goes by the column other instead of ts" {
		t.Error(why)
	}
}
