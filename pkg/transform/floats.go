package transform

import (
	"bytes"
	"math"
	"strconv"
	"unsafe"

	"github.com/openblotter/blotter/pkg/registry"
)

// What a float or a double tells by itself.
type floatWidth struct {
	bits   int
	sure   int     // digits that any text may have: spelled with as many again, its value is the text
	normal float64 // the least number of which that holds
}

var (
	floatWide  = floatWidth{32, 6, 0x1p-126}
	doubleWide = floatWidth{64, 15, 0x1p-1022}
)

// maxFloatDigits is how many significant digits the exact value of a double has at
// most: a text with more of them is none.
const maxFloatDigits = 767

// parseFloat gives the bits of the float or double that a text spells; false if
// it spells none. Such a number has infinitely many neighbours that it stands
// for, so what counts is that nothing is lost: spelled with as many digits as the
// text has, or with as few as tell it from all others, the value is the text
// again. So is whatever DMS prints of a number of this width; the digits of a
// double in a float are not, nor are more of them than the type holds, unless
// they are exact. A number beyond the range or too small for it is refused. NaN
// and infinities are taken by name.
func parseFloat(s []byte, kind registry.Kind) (uint64, bool) {
	for _, c := range s {
		if c == '_' || c == 'x' || c == 'X' {
			return 0, false // forms of Go that no source writes
		}
	}
	width := &doubleWide
	if kind == registry.Float {
		width = &floatWide
	}
	text := unsafe.String(unsafe.SliceData(s), len(s)) // not kept beyond this call
	f, err := strconv.ParseFloat(text, width.bits)
	if err != nil || !width.holds(f, s) {
		return 0, false
	}
	if kind == registry.Float {
		return uint64(math.Float32bits(float32(f))), true
	}
	return math.Float64bits(f), true
}

// holds reports whether f is all that the text of a number says; f is the value of
// this width that is nearest to it.
func (w *floatWidth) holds(f float64, text []byte) bool {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return true // by name: a number beyond the range does not get here
	}
	var buf [maxFloatDigits]byte
	said, n, exp, ok := significant(buf[:0], text)
	switch {
	case !ok || n > 0 && f == 0:
		return false
	case n <= w.sure && math.Abs(f) >= w.normal || n == 0:
		return true
	}
	for _, precision := range []int{min(n, maxFloatDigits) - 1, shortest} {
		var spelled, digits [maxFloatDigits + len("-d.e-324")]byte
		again, m, at, _ := significant(digits[:0], strconv.AppendFloat(spelled[:0], f, 'e', precision, w.bits))
		if at == exp && bytes.Equal(again, said) && (precision != shortest || m == n) {
			return true
		}
	}
	return false
}

// shortest is the precision of package strconv for as few digits as will do. Of a
// power of two they are not always those of the value.
const shortest = -1

// significant appends the digits of a number, but for zeros before and after
// them. The exponent is that of the first one. n is how many digits tell the
// number: zeros at the end of a whole number are among them, unless an exponent
// follows. It reports false for more digits than there may be.
func significant(dst, text []byte) (digits []byte, n, exp int, ok bool) {
	whole, zeros := true, 0 // zeros that stand behind the last digit that counts
	i := 0
	for ; i < len(text) && text[i] != 'e' && text[i] != 'E'; i++ {
		switch c := text[i]; {
		case c == '.':
			whole = false
			continue
		case c < '0' || c > '9':
			continue // the sign
		case c != '0':
			if len(dst)+zeros >= maxFloatDigits {
				return dst, 0, 0, false
			}
			for ; zeros > 0; zeros-- {
				dst = append(dst, '0')
			}
			dst = append(dst, c)
		case len(dst) > 0:
			zeros++
		case !whole:
			exp--
		}
		if whole && len(dst) > 0 {
			exp++
		}
	}
	n = len(dst)
	if i == len(text) {
		if n > 0 {
			n = max(n, exp)
		}
		return dst, n, exp, true
	}
	e, err := strconv.Atoi(string(text[i+1:]))
	return dst, n, exp + e, err == nil || n == 0
}
