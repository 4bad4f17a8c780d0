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
	digits int // that tell any value of this width from all others
}

var (
	floatWide  = floatWidth{32, 9}
	doubleWide = floatWidth{64, 17}
)

// maxFloatDigits is how many significant digits the exact value of a double has at
// most: a text with more of them is none.
const maxFloatDigits = 767

// parseFloat gives the bits of the float or double that a text spells; false if
// it spells none. Such a number stands for all that are nearer to it than to its
// neighbours, and no more than 9 digits of a float, or 17 of a double, tell it from
// them: a text with no more digits is taken as the nearest value, as the source took
// it when the value was written there. A longer one was written by a type that holds
// more: it is taken if the value has its very digits, spelled with as many as the text
// has, or is told by it in full. A number beyond the range, or so small that it would
// become zero, is refused. NaN and infinities are taken by name.
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

// holds reports whether f stands for what the text of a number says; f is the value of
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
	case len(said) <= w.digits:
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
