package transform

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// booleans decodes the booleans of one column in a row group. They are decoded here where
// a page of them is run-length encoded: parquet-go (v0.32.0, encoding/rle, decodeBits)
// repeats the byte of a run in place of its bit, and rounds a run up to whole bytes, so
// that values come out wrong, and those behind them at the wrong rows, without an error.
type booleans struct {
	pages []booleanPage
	runs  bool // a page is run-length encoded
	other bool // a page is neither that nor plain
	held  int64
}

// booleanPage is the values of one page, those that are not null.
type booleanPage struct {
	left int64 // values that were not taken yet
	next func() (bool, error)
}

// maxBooleans bounds what is kept of a column's booleans in a row group: bits of some 500
// million values.
const maxBooleans = 64 << 20

var errBooleansEnd = errors.New("a page ends before its booleans do")

// add takes in a page: its encoded values, of which it keeps a copy, and how many there
// are.
func (b *booleans) add(encoding format.Encoding, values []byte, n int64) error {
	if encoding == format.Plain && n >= 0 {
		values = values[:min(int64(len(values)), (n+7)/8)]
	}
	// Before the copy: a chunk of many pages, each small as it is packed, would need more
	// memory than there is.
	if b.held += int64(len(values)); b.held > maxBooleans {
		return &unreadError{what: fmt.Sprintf("the booleans of a row group have more than %d MiB", maxBooleans>>20), expected: "smaller row groups"}
	}
	kept := append([]byte(nil), values...)
	switch encoding {
	case format.Plain:
		b.pages = append(b.pages, booleanPage{left: n, next: (&plainBits{b: kept}).next})
		return nil
	case format.RLE:
		if n > 0 && len(kept) < 4 {
			return errBooleansEnd
		}
		if len(kept) >= 4 {
			size := int64(binary.LittleEndian.Uint32(kept))
			if kept = kept[4:]; size > int64(len(kept)) {
				return errBooleansEnd
			}
			kept = kept[:size]
		}
		b.runs = true
		b.pages = append(b.pages, booleanPage{left: n, next: (&bitRuns{b: kept}).next})
		return nil
	}
	b.other = true
	return nil
}

// take gives the next value.
func (b *booleans) take() (bool, error) {
	for len(b.pages) > 0 && b.pages[0].left == 0 {
		b.pages = b.pages[1:]
	}
	if len(b.pages) == 0 {
		return false, errBooleansEnd
	}
	b.pages[0].left--
	return b.pages[0].next()
}

// plainBits reads packed bits, the lowest of a byte first: booleans in plain encoding.
type plainBits struct {
	b  []byte
	at uint
}

func (r *plainBits) next() (bool, error) {
	if len(r.b) == 0 {
		return false, errBooleansEnd
	}
	bit := r.b[0]>>r.at&1 != 0
	if r.at++; r.at == 8 {
		r.b, r.at = r.b[1:], 0
	}
	return bit, nil
}

// bitRuns reads the hybrid of run lengths and packed bits, of one bit each (Parquet
// format, Encodings: RLE = 3).
type bitRuns struct {
	b      []byte
	left   uint64 // values of the run
	packed bool   // they lie there bit by bit
	value  bool   // … or are all this one
	at     uint
}

func (r *bitRuns) next() (bool, error) {
	for r.left == 0 {
		u, n := binary.Uvarint(r.b)
		if n <= 0 {
			return false, errBooleansEnd
		}
		r.b, r.left, r.packed, r.at = r.b[n:], u>>1, u&1 != 0, 0
		switch {
		case r.packed:
			r.left = min(r.left, uint64(len(r.b))) * 8 // the last group may lack bytes
		case len(r.b) == 0:
			return false, errBooleansEnd
		default:
			r.value, r.b = r.b[0]&1 != 0, r.b[1:]
		}
	}
	r.left--
	if !r.packed {
		return r.value, nil
	}
	bit := r.b[0]>>r.at&1 != 0
	if r.at++; r.at == 8 {
		r.b, r.at = r.b[1:], 0
	}
	return bit, nil
}

// ones counts the ones among the first n bits of runs: the values of a page that are not
// null, by its definition levels.
func ones(runs []byte, n int64) (count int64, err error) {
	r := bitRuns{b: runs}
	for range n {
		one, err := r.next()
		if err != nil {
			return 0, err
		}
		if one {
			count++
		}
	}
	return count, nil
}

// setBooleans puts the booleans that were decoded here into a row of the library's.
func (g *parquetGuard) setBooleans(row parquet.Row) error {
	for i, b := range g.booleans {
		if b == nil || row[i].IsNull() {
			continue
		}
		value, err := b.take()
		if err != nil {
			return err
		}
		row[i] = parquet.BooleanValue(value)
	}
	return nil
}
