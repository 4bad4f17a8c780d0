package transform

import (
	"math/bits"
	"strconv"
)

// maxDigits is how many significant digits of a number are looked at: a number
// with more is refused.
const maxDigits = 64

// digits is a decimal number as it is spelled: its significant digits and the
// power of ten of the last of them.
type digits struct {
	d        [maxDigits]byte
	n        int
	exp      int
	negative bool
}

// parse reads an optional sign, digits with an optional point, and an optional
// exponent. It reports false for any other text, and for more digits or larger
// exponents than any type holds.
func (x *digits) parse(s []byte) bool {
	*x = digits{}
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		x.negative = s[0] == '-'
		s = s[1:]
	}
	seen, fraction, i := false, false, 0
	for ; i < len(s); i++ {
		c := s[i]
		if c == '.' && !fraction {
			fraction = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		seen = true
		if fraction {
			x.exp--
		}
		if c == '0' && x.n == 0 {
			continue
		}
		if x.n == maxDigits {
			return false
		}
		x.d[x.n] = c - '0'
		x.n++
	}
	return seen && x.parseExponent(s[i:])
}

func (x *digits) parseExponent(s []byte) bool {
	if len(s) == 0 {
		return true
	}
	if s[0] != 'e' && s[0] != 'E' || len(s) < 2 || len(s) > 6 {
		return false
	}
	e, err := strconv.ParseInt(string(s[1:]), 10, 32)
	x.exp += int(e)
	return err == nil
}

// unscaled gives the number times 10^scale, if it is a whole number of at most
// so many digits; the result has hi<<64|lo as its magnitude.
func (x *digits) unscaled(precision, scale int) (hi, lo uint64, ok bool) {
	n, shift := x.n, x.exp+scale
	for shift < 0 && n > 0 && x.d[n-1] == 0 {
		n--
		shift++
	}
	if n == 0 {
		return 0, 0, true
	}
	if shift < 0 || n+shift > precision {
		return 0, 0, false
	}
	for _, d := range x.d[:n] {
		hi, lo = timesTenPlus(hi, lo, uint64(d))
	}
	for range shift {
		hi, lo = timesTenPlus(hi, lo, 0)
	}
	return hi, lo, true
}

func timesTenPlus(hi, lo, d uint64) (uint64, uint64) {
	carry, low := bits.Mul64(lo, 10)
	low, c := bits.Add64(low, d, 0)
	return hi*10 + carry + c, low
}

// parseInteger reads a whole number of at least lo and at most hi; a fraction
// of zeros and an exponent are allowed, since DMS writes unscaled NUMERIC with
// six decimals and floats in scientific notation.
func parseInteger(s []byte, lowest, highest int64) (int64, bool) {
	if n, ok := plainInteger(s); ok {
		return n, n >= lowest && n <= highest
	}
	var x digits
	if !x.parse(s) {
		return 0, false
	}
	hi, lo, ok := x.unscaled(19, 0)
	if !ok || hi != 0 {
		return 0, false
	}
	n, ok := signed(lo, x.negative)
	return n, ok && n >= lowest && n <= highest
}

// plainInteger is the fast way for up to 18 digits and a sign.
func plainInteger(s []byte) (int64, bool) {
	negative := false
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		negative = s[0] == '-'
		s = s[1:]
	}
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

func signed(magnitude uint64, negative bool) (int64, bool) {
	if negative {
		return -int64(magnitude), magnitude <= 1<<63
	}
	return int64(magnitude), magnitude < 1<<63
}

// parseShortDecimal reads a decimal of at most 18 digits as its unscaled value.
// What would have to be rounded is refused.
func parseShortDecimal(s []byte, precision, scale int) (int64, bool) {
	var x digits
	if !x.parse(s) {
		return 0, false
	}
	hi, lo, ok := x.unscaled(precision, scale)
	if !ok || hi != 0 {
		return 0, false
	}
	return signed(lo, x.negative)
}

// appendLongDecimal reads a decimal of at most 38 digits and appends width
// bytes of its unscaled value, two's complement, big-endian.
func appendLongDecimal(dst, s []byte, precision, scale, width int) ([]byte, bool) {
	var x digits
	if !x.parse(s) {
		return dst, false
	}
	hi, lo, ok := x.unscaled(precision, scale)
	if !ok {
		return dst, false
	}
	return appendWide(dst, hi, lo, x.negative, width), true
}

func appendWide(dst []byte, hi, lo uint64, negative bool, width int) []byte {
	if negative {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}
	for i := width - 1; i >= 0; i-- {
		word := lo
		if i >= 8 {
			word = hi
		}
		dst = append(dst, byte(word>>(8*(i%8))))
	}
	return dst
}
