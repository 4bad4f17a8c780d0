package lake_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
)

// TestRowsHashIsOfASet: order does not count, what came and went leaves nothing, and
// other rows give another hash.
func TestRowsHashIsOfASet(t *testing.T) {
	type row struct {
		file   dms.FileID
		number int64
	}
	hash := func(rows []row) (h lake.RowsHash) {
		for _, r := range rows {
			h.Add(r.file, r.number)
		}
		return h
	}
	rapid.Check(t, func(rt *rapid.T) {
		rows := rapid.SliceOfNDistinct(rapid.Custom(func(rt *rapid.T) row {
			return row{dms.FileID(rapid.StringMatching(`[ab]{0,2}`).Draw(rt, "file")), rapid.Int64Range(1, 300).Draw(rt, "row")}
		}), 1, 20, func(r row) row { return r }).Draw(rt, "rows")
		h := hash(rows)
		if other := hash(rapid.Permutation(rows).Draw(rt, "order")); other != h {
			rt.Fatal("another order gives another hash")
		}
		if read, err := lake.ParseRowsHash(h.String()); err != nil || read != h {
			rt.Fatalf("%s is read as %s, %v", h, read, err)
		}
		left := rapid.IntRange(0, len(rows)-1).Draw(rt, "left")
		for _, r := range rows[left:] {
			h.Remove(r.file, r.number)
		}
		if h != hash(rows[:left]) {
			rt.Fatal("rows that went are still in the hash")
		}
		if h == hash(rows[:left+1]) {
			rt.Fatal("one row more gives the same hash")
		}
	})
}

func TestRowsHashIsWrittenInHex(t *testing.T) {
	var none lake.RowsHash
	if got := none.String(); got != strings.Repeat("0", 128) {
		t.Errorf("no rows give %s", got)
	}
	for _, bad := range []string{"", "00", strings.Repeat("0", 127) + "x", strings.Repeat("0", 130)} {
		if _, err := lake.ParseRowsHash(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
