package transform

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go/format"
	"pgregory.net/rapid"
)

// bitRun is a run as a writer may lay it: so often a value, or groups of packed bits.
type bitRun struct {
	count  int
	value  bool
	packed []byte
}

// layRuns encodes runs, and gives their bits.
func layRuns(runs []bitRun) (encoded []byte, bits []bool) {
	for _, r := range runs {
		if r.packed != nil {
			encoded = append(binary.AppendUvarint(encoded, uint64(len(r.packed))<<1|1), r.packed...)
			for _, b := range r.packed {
				for i := range 8 {
					bits = append(bits, b>>i&1 != 0)
				}
			}
			continue
		}
		encoded = binary.AppendUvarint(encoded, uint64(r.count)<<1)
		one := byte(0)
		if r.value {
			one = 1
		}
		encoded = append(encoded, one)
		bits = append(bits, slices.Repeat([]bool{r.value}, r.count)...)
	}
	return encoded, bits
}

// TestBooleanRuns: runs of any length and packed groups, in pages of any number, give
// their bits in order, and no more than a page has.
func TestBooleanRuns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var b booleans
		var want []bool
		for range rapid.IntRange(1, 4).Draw(t, "pages") {
			runs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) bitRun {
				if rapid.Bool().Draw(t, "packed") {
					return bitRun{packed: rapid.SliceOfN(rapid.Byte(), 1, 5).Draw(t, "bytes")}
				}
				return bitRun{count: rapid.IntRange(1, 40).Draw(t, "count"), value: rapid.Bool().Draw(t, "value")}
			}), 1, 6).Draw(t, "runs")
			encoded, bits := layRuns(runs)
			n := rapid.IntRange(0, len(bits)).Draw(t, "values") // the rest pads the last group
			page := append(binary.LittleEndian.AppendUint32(nil, uint32(len(encoded))), encoded...)
			if err := b.add(format.RLE, page, int64(n)); err != nil {
				t.Fatal(err)
			}
			clear(page) // it is the guard's, who reads the next one into it
			want = append(want, bits[:n]...)
			count, err := ones(encoded, int64(len(bits)))
			if err != nil || count != int64(len(slices.DeleteFunc(slices.Clone(bits), func(bit bool) bool { return !bit }))) {
				t.Fatalf("%d ones of %v, %v", count, bits, err)
			}
		}
		for i, w := range want {
			if got, err := b.take(); err != nil || got != w {
				t.Fatalf("value %d is %t (%v), want %t", i, got, err, w)
			}
		}
		if _, err := b.take(); !errors.Is(err, errBooleansEnd) || !b.runs {
			t.Fatalf("behind the end: %v", err)
		}
	})
}

// TestDamagedBooleans: what ends too early is told.
func TestDamagedBooleans(t *testing.T) {
	t.Parallel()
	for name, page := range map[string][]byte{
		"no length":           {1, 0},
		"a length too long":   {9, 0, 0, 0, 2, 1},
		"no runs":             {0, 0, 0, 0},
		"a run with no value": {1, 0, 0, 0, 8 << 1},
		"no packed bytes":     {1, 0, 0, 0, 1<<1 | 1},
		"a header cut":        {1, 0, 0, 0, 0x80},
	} {
		var b booleans
		err := b.add(format.RLE, page, 1)
		if err == nil {
			_, err = b.take()
		}
		if !errors.Is(err, errBooleansEnd) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var many booleans
	var unread *unreadError
	page, pages := make([]byte, maxBooleans/4), 0
	err := error(nil)
	for ; err == nil && pages < 8; pages++ {
		err = many.add(format.RLE, page, 1)
	}
	if !errors.As(err, &unread) || pages != 5 {
		t.Errorf("page %d of a quarter of the bound each: %v", pages, err)
	}
	var b booleans
	if err := errors.Join(b.add(format.Plain, []byte{0b10}, 2), b.add(format.Plain, nil, 1)); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true} {
		if got, err := b.take(); err != nil || got != want {
			t.Errorf("plain value %d is %t, %v", i, got, err)
		}
	}
	if _, err := b.take(); !errors.Is(err, errBooleansEnd) || b.runs {
		t.Errorf("behind plain values: %v", err)
	}
}
