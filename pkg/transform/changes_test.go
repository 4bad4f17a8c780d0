package transform

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
)

// Each change of a key is given with its row and operation, and none of another key;
// rows at fault are passed over.
func TestEachChange(t *testing.T) {
	table := reports()
	table.DMS.BeforeImagePrefix = ptr("before_")
	table.DMS.Header = true
	b := newBench(t, table)
	f := b.put(changeKey, "Op,ts,id,status,amount,seq,before_id\n"+csvOf(
		[]string{"I", "2024-01-15 07:00:00", "2", "OTHER", "1.50", seqOf(5), ""},
		[]string{"i", "2024-01-15 07:00:00", "1", "NEW", "2", seqOf(6), ""},
		[]string{"U", "2024-01-15 07:00:00", "1", "not a number", "x", seqOf(7), "1"},
		[]string{"U", "2024-01-15 07:00:00", "1", "SAME", "", seqOf(8), "1"},
		[]string{"U", "2024-01-15 07:00:00", "3", "MOVED", "3", seqOf(9), "1"},
		[]string{"D", "2024-01-15 07:00:00", "1", "", "", seqOf(10), ""},
	))
	job := Job{Table: table, File: f, Token: 7}
	for _, tt := range []struct {
		key  string
		want []string
	}{
		{"1", []string{"3 I false id=1 status=NEW amount=2", "5 U false id=1 status=SAME amount=", "6 U true id=3 status=MOVED amount=3", "7 D true id=1 status= amount="}},
		{"3", []string{"6 U false id=3 status=MOVED amount=3"}},
		{"4", nil},
	} {
		key, err := ParseKey(table, []string{tt.key})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		passed, err := EachChange(t.Context(), b.cfg, Deps{Raw: b.raw}, job, key, func(c Change) error {
			s := fmt.Sprintf("%d %c %t", c.Row, c.Op, c.Removes())
			for _, v := range c.Values {
				text := ""
				if v.Text != nil {
					text = *v.Text
				}
				s += " " + v.Column + "=" + text
			}
			if want, _ := changePosition(dms.OrderByChangeSeq, seqOf(int(c.Row)+3), 0, f.Order); c.Position != want {
				t.Errorf("row %d has position %s, expected %s", c.Row, c.Position, want)
			}
			got = append(got, s)
			return nil
		})
		if err != nil || passed != 1 || !slices.Equal(got, tt.want) {
			t.Errorf("key %s: got %q and %d rows at fault (%v), expected %q and 1", tt.key, got, passed, err, tt.want)
		}
	}
}

// A key that is given as text is the one that its rows are staged under.
func TestStagedFilesHoldTheirKeys(t *testing.T) {
	b := newBench(t, reports())
	b.cfg.MaxGroupRows = 3
	f := b.put(changeKey, csvOf(
		[]string{"I", "2024-01-15 07:00:00", "-7", "A", "1", seqOf(1)}, []string{"I", "2024-01-15 07:00:00", "5", "A", "1", seqOf(2)},
		[]string{"I", "2024-01-15 07:00:00", "9", "A", "1", seqOf(3)}, []string{"I", "2024-01-15 07:00:00", "11", "A", "1", seqOf(4)},
		[]string{"I", "2024-01-15 07:00:00", "12", "A", "1", seqOf(5)},
	))
	staged := b.mustRun(f).Manifest.Rows[0]
	r, err := OpenStaged(t.Context(), b.staging, staged)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for text, want := range map[string][2]bool{"-8": {false, false}, "-7": {true, true}, "6": {true, false}, "12": {true, true}, "13": {false, false}} {
		key, err := ParseKey(b.table, []string{text})
		if err != nil {
			t.Fatal(err)
		}
		found, err := r.Find(t.Context(), KeyColumns(b.table), key)
		if err != nil || staged.MayHold(key) != want[0] || (found != nil) != want[1] {
			t.Errorf("key %s: it may be there %t, it is %v (%v); expected %v", text, staged.MayHold(key), found, err, want)
		}
		if row := map[string]int64{"-7": 1, "12": 5}[text]; found != nil && (found.Row != row || found.Position == "") {
			t.Errorf("key %s is said to be row %d at %q", text, found.Row, found.Position)
		}
	}
	if _, err := ParseKey(b.table, []string{"x"}); err == nil || !strings.Contains(err.Error(), "id: expected a whole number") {
		t.Errorf("of a key that is none it says %v", err)
	}
	if _, err := ParseKey(b.table, nil); err == nil || !strings.Contains(err.Error(), "has 1 column, 0 values are given") {
		t.Errorf("of no key it says %v", err)
	}
}
