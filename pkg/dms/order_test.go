package dms

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const someID = FileID("0123456789abcdef0123456789abcdef")

func mustName(t *testing.T, rel string) Name {
	t.Helper()
	n, why := ParseName(rel, NameRules{Place: Anywhere})
	if why != nil {
		t.Fatalf("%s: %s", rel, why.Detail)
	}
	return n
}

// TestFileOrderSorts lists files in the order that they must have, whenever
// they were modified.
func TestFileOrderSorts(t *testing.T) {
	names := []string{
		"LOAD00000009.csv", "LOAD0000000A.csv", "LOAD0000000F.csv", "LOAD00000010.csv", "SEGMENT2_LOAD00000010.csv", "SEGMENT10_LOAD00000010.csv",
		"LOAD00000011.csv", "a/LOAD00000011.csv", "a b/LOAD00000011.csv", "b/LOAD00000011.csv", "LOADFFFFFFFFFFFFFFFF.csv",
		"19991231-235959999.csv", "20221023-013830913.csv", "20221023-0138309131.csv", "x/20221023-013830914.csv",
	}
	var last FileOrder
	for i, rel := range names {
		order := NewFileOrder(mustName(t, rel), time.Unix(int64(1_700_000_000-i), 0), someID)
		if order <= last {
			t.Errorf("%s: %s sorts before %s", rel, order, last)
		}
		last = order
	}
}

func TestFileOrderTies(t *testing.T) {
	name := mustName(t, "20221023-013830913.csv")
	at := time.Date(2022, 10, 23, 1, 39, 0, 5, time.UTC)
	want := FileOrder("T202210230138309130/20221023013900000000005/" + someID)
	if got := NewFileOrder(name, at, someID); got != want {
		t.Errorf("order %s, want %s", got, want)
	}
	if got := NewFileOrder(name, at.In(time.FixedZone("", 3600)), someID); got != want {
		t.Errorf("order %s in another zone", got)
	}
	if later := NewFileOrder(name, at.Add(1), "0"); later <= want {
		t.Error("LastModified counts before the file id")
	}
	if other := NewFileOrder(name, at, "0f"+someID[2:]); other <= want {
		t.Error("the file id breaks ties")
	}
}

func TestFileOrderTimesCompare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		second := rapid.Int64Range(-62_135_596_800, 253_402_300_799)
		nanos := rapid.Int64Range(0, 999_999_999)
		a := time.Unix(second.Draw(t, "a"), nanos.Draw(t, "ans"))
		b := time.Unix(second.Draw(t, "b"), nanos.Draw(t, "bns"))
		name := Name{Kind: KindLoad, Number: 1}
		if a.Compare(b) != cmp.Compare(NewFileOrder(name, a, "x"), NewFileOrder(name, b, "x")) {
			t.Fatalf("%v and %v compare otherwise as orders", a, b)
		}
	})
	early, late := NewFileOrder(Name{}, time.Unix(-1<<60, 0), "x"), NewFileOrder(Name{}, time.Unix(1<<50, 0), "x")
	if len(early) != len(late) || early >= late {
		t.Errorf("times beyond the calendar: %s, %s", early, late)
	}
}

// TestNamesHaveTheirOwnOrder: two names with one order part are one name but for
// its spelling, its folder (of a change) and its format.
func TestNamesHaveTheirOwnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		folder := rapid.StringOf(rapid.RuneFrom([]rune("a=/ -2")))
		gen := rapid.Custom(func(t *rapid.T) Name {
			return Name{Kind: KindLoad, Number: rapid.Uint64Range(0, 3).Draw(t, "n"), Segment: rapid.Uint64Range(0, 2).Draw(t, "s"), Folder: folder.Draw(t, "f")}
		})
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		orderA, orderB := NewFileOrder(a, time.Unix(0, 0), "x"), NewFileOrder(b, time.Unix(0, 0), "x")
		if (a == b) != (orderA == orderB) {
			t.Fatalf("%+v: %s, %+v: %s", a, orderA, b, orderB)
		}
		if c := cmp.Compare(a.Number, b.Number); c != 0 && c != cmp.Compare(orderA, orderB) {
			t.Fatalf("numbers come first: %s, %s", orderA, orderB)
		}
	})
}

func changePosition(mode OrderMode, seq string, micros int64, order FileOrder) (Position, error) {
	b, err := AppendChangePosition(nil, mode, []byte(seq), micros, order)
	return Position(b), err
}

func TestPositions(t *testing.T) {
	order := NewFileOrder(mustName(t, "20221023-013830913.csv"), time.Unix(0, 0), someID)
	seq := strings.Repeat("1234567", 5)
	for _, tt := range []struct {
		mode   OrderMode
		seq    string
		micros int64
		want   string
	}{
		{OrderByChangeSeq, seq, 0, "1" + seq + "/"},
		{OrderByTimestamp, "", 0, "18000000000000000/"},
		{OrderByTimestamp, "", -1, "17fffffffffffffff/"},
		{OrderByFile, "", 0, "1/"},
	} {
		got, err := changePosition(tt.mode, tt.seq, tt.micros, order)
		if want := Position(tt.want + string(order)); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", tt.mode, got, err, want)
		}
		if LoadPosition(order) >= got {
			t.Errorf("%s: a load row sorts after a change", tt.mode)
		}
	}
	for _, bad := range []string{"", "1", seq + "0", seq[:34], seq[:34] + "x", " " + seq[1:]} {
		if _, err := changePosition(OrderByChangeSeq, bad, 0, order); !errors.Is(err, ErrChangeSeq) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := changePosition(0, seq, 0, order); err == nil {
		t.Error("a position without a mode")
	}
}

func TestPositionsCompare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.SampledFrom([]FileOrder{"T1/2/a", "T1/2/b", "T2/1/a"})
		micros := rapid.Int64()
		seq := rapid.Map(rapid.SliceOfN(rapid.RuneFrom([]rune("019")), 35, 35), func(r []rune) string { return string(r) })
		am, bm, as, bs, ao, bo := micros.Draw(t, "am"), micros.Draw(t, "bm"), seq.Draw(t, "as"), seq.Draw(t, "bs"), order.Draw(t, "ao"), order.Draw(t, "bo")
		for mode, want := range map[OrderMode]int{
			OrderByChangeSeq: cmp.Or(cmp.Compare(as, bs), cmp.Compare(ao, bo)),
			OrderByTimestamp: cmp.Or(cmp.Compare(am, bm), cmp.Compare(ao, bo)),
			OrderByFile:      cmp.Compare(ao, bo),
		} {
			a, errA := changePosition(mode, as, am, ao)
			b, errB := changePosition(mode, bs, bm, bo)
			if errA != nil || errB != nil || cmp.Compare(a, b) != want {
				t.Fatalf("%s: %s and %s, want %d", mode, a, b, want)
			}
		}
	})
}

func TestAppendChangePositionAllocatesNothing(t *testing.T) {
	order := FileOrder("T202210230138309130/20221023013900000000005/" + someID)
	seq, buf := []byte(strings.Repeat("1234567", 5)), make([]byte, 0, 37+len(order))
	n := testing.AllocsPerRun(100, func() {
		if _, err := AppendChangePosition(buf, OrderByChangeSeq, seq, 0, order); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func ExampleNewFileOrder() {
	var orders []FileOrder
	for _, rel := range []string{"LOAD0000000A.csv", "20221023-013830913.csv", "LOAD00000009.csv"} {
		name, _ := ParseName(rel, NameRules{})
		orders = append(orders, NewFileOrder(name, time.Date(2022, 10, 23, 1, 39, 0, 0, time.UTC), "f00d"))
	}
	slices.Sort(orders)
	for _, o := range orders {
		fmt.Println(o)
	}
	// Output:
	// L00000000000000090000000000000000/20221023013900000000000/f00d
	// L000000000000000a0000000000000000/20221023013900000000000/f00d
	// T202210230138309130/20221023013900000000000/f00d
}

func TestTied(t *testing.T) {
	position := func(mode OrderMode, seq string, micros int64, order FileOrder) []byte {
		p, err := AppendChangePosition(nil, mode, []byte(seq), micros, order)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	seq := strings.Repeat("7", SeqDigits)
	one := position(OrderByTimestamp, "", 5, "a/1")
	for name, c := range map[string]struct {
		other []byte
		want  bool
	}{
		"another file, one time":    {position(OrderByTimestamp, "", 5, "b/1"), true},
		"the same file":             {one, false},
		"another time":              {position(OrderByTimestamp, "", 6, "b/1"), false},
		"a load":                    {[]byte(LoadPosition("a/1")), false},
		"a change sequence":         {position(OrderByChangeSeq, seq, 0, "b/1"), false},
		"by file":                   {position(OrderByFile, "", 0, "b/1"), false},
		"nothing":                   {nil, false},
		"a time that is a file's":   {append([]byte("1"), one[1:17]...), false},
		"before the oldest of time": {position(OrderByTimestamp, "", -5, "a/1"), false},
	} {
		if got := Tied(one, c.other); got != c.want || Tied(c.other, one) != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if a, b := position(OrderByChangeSeq, seq, 0, "a"), position(OrderByChangeSeq, seq, 0, "b"); Tied(a, b) {
		t.Error("one change that was written again is a tie")
	}
	if a, b := position(OrderByFile, "", 0, "a"), position(OrderByFile, "", 0, "b"); Tied(a, b) {
		t.Error("files tie where only they order")
	}
}

func TestCommitTime(t *testing.T) {
	at := time.Date(2024, 1, 15, 7, 0, 1, 230_000_000, time.UTC)
	position := func(mode OrderMode, seq string) Position {
		b, err := AppendChangePosition(nil, mode, []byte(seq), at.UnixMicro(), "T1/2/a")
		if err != nil {
			t.Fatal(err)
		}
		return Position(b)
	}
	for _, tt := range []struct {
		name     string
		position Position
		known    bool
	}{
		{"timestamp", position(OrderByTimestamp, ""), true},
		{"sequence", position(OrderByChangeSeq, "2024011507000123"+"0000000000000000007"), true},
		{"sequence without a time", position(OrderByChangeSeq, "00000000000000000000000000000000007"), false},
		{"file", position(OrderByFile, ""), false},
		{"load", LoadPosition("L1/2/a"), false},
	} {
		if got, known := tt.position.CommitTime(); known != tt.known || known && !got.Equal(at) {
			t.Errorf("%s: %s, %t", tt.name, got, known)
		}
	}
}
