package dms

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func rowSet(rows map[int64]bool) RowSet {
	var b RowSetBuilder
	for n := range int64(70) {
		if rows[n] {
			b.Add(n)
		}
	}
	return b.Set()
}

// TestRowSet: sets as text are sets.
func TestRowSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOf(rapid.Int64Range(1, 60))
		a, b := map[int64]bool{}, map[int64]bool{}
		for _, n := range rows.Draw(t, "a") {
			a[n] = true
		}
		for _, n := range rows.Draw(t, "b") {
			b[n] = true
		}
		both, without, with := map[int64]bool{}, map[int64]bool{}, map[int64]bool{}
		for n := range int64(70) {
			both[n], without[n], with[n] = a[n] && b[n], a[n] && !b[n], a[n] || b[n]
			if rowSet(a).Contains(n) != a[n] {
				t.Fatalf("%q contains %d: %t", rowSet(a), n, !a[n])
			}
		}
		x, y := rowSet(a), rowSet(b)
		if x.Both(y) != rowSet(both) || x.Without(y) != rowSet(without) || x.With(y) != rowSet(with) || x.Len() != int64(len(a)) {
			t.Fatalf("%q and %q: both %q, without %q, with %q, %d", x, y, x.Both(y), x.Without(y), x.With(y), x.Len())
		}
		if again, err := ParseRowSet(string(x)); again != x || err != nil {
			t.Fatalf("%q reads as %q (%v)", x, again, err)
		}
	})
}

func TestParseRowSet(t *testing.T) {
	for text, want := range map[string]RowSet{"": "", "3": "3", "9, 3-4 ,5": "3-5,9", "1-2,2-3": "1-3"} {
		if got, err := ParseRowSet(text); got != want || err != nil {
			t.Errorf("%q reads as %q (%v), want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"1-9223372036854775807,5-6", "9007199254740993", "0", "-1", "x", "5-4", "1,,2", "1-", "1-2-3"} {
		if got, err := ParseRowSet(text); err == nil {
			t.Errorf("%q reads as %q", text, got)
		}
	}
}

// TestOrderTellsLastModified: also behind the original of mended rows.
func TestOrderTellsLastModified(t *testing.T) {
	at := time.Date(2024, 3, 4, 5, 6, 7, 89, time.UTC)
	for _, rel := range []string{"part=1/a b/LOAD00000001.csv", "20240304-050607000.csv"} {
		name, why := ParseName(rel, NameRules{})
		if why != nil {
			t.Fatal(why.Detail)
		}
		o := NewFileOrder(name, at, "f")
		for _, order := range []FileOrder{o, MendedOrder(o, "m")} {
			if got, ok := order.LastModified(); !ok || !got.Equal(at) {
				t.Errorf("%s tells %v, %t", order, got, ok)
			}
			if order < o {
				t.Errorf("%s stands before %s", order, o)
			}
		}
	}
	if _, ok := FileOrder("x").LastModified(); ok {
		t.Error("what is no order tells a time")
	}
}

func TestMendedRowsKeepTheirPlace(t *testing.T) {
	own := File{Kind: KindChange, Order: "T2"}
	if kind, order := own.Place(); kind != KindChange || order != "T2" {
		t.Errorf("a file of its own stands at %v %s", kind, order)
	}
	mended := File{Kind: KindChange, Order: "L1/m", Mending: Mending{FileID: "f", Kind: KindLoad, Order: "L1"}}
	if kind, order := mended.Place(); kind != KindLoad || order != "L1" {
		t.Errorf("mended rows stand at %v %s", kind, order)
	}
}
