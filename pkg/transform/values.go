package transform

import (
	"encoding/binary"
	"encoding/hex"
	"math"

	"github.com/openblotter/blotter/pkg/registry"
)

// codeOf is the failure of a value that is not of its column's type.
func codeOf(k registry.Kind) string {
	switch k {
	case registry.Boolean:
		return CodeBoolean
	case registry.Int, registry.Long:
		return CodeInteger
	case registry.Float, registry.Double:
		return CodeFloat
	case registry.Decimal:
		return CodeDecimal
	case registry.Date:
		return CodeDate
	case registry.Timestamp, registry.TimestampTZ:
		return CodeTimestamp
	case registry.String:
		return CodeText
	}
	return CodeBinary
}

// expectation tells a person which spellings a type takes.
func expectation(t registry.Type) string {
	switch t.Kind {
	case registry.Boolean:
		return "true or false, t or f, yes or no, y or n, 1 or 0"
	case registry.Int:
		return "a whole number from -2147483648 to 2147483647"
	case registry.Long:
		return "a whole number from -9223372036854775808 to 9223372036854775807"
	case registry.Float:
		return "a number that a float of 32 bits holds: the 9 digits that DMS prints of one, or its exact value"
	case registry.Double:
		return "a number that a double of 64 bits holds: the 17 digits that DMS prints of one, or its exact value"
	case registry.Decimal:
		return "a number that " + t.String() + " holds exactly, without rounding"
	case registry.Date:
		return "a date as YYYY-MM-DD, years 0001 to 9999"
	case registry.Timestamp:
		return "YYYY-MM-DD HH:MM:SS[.ffffff] without a zone, exact to the microsecond, years 0001 to 9999"
	case registry.TimestampTZ:
		return "YYYY-MM-DD HH:MM:SS[.ffffff] with an optional zone such as +05:30, exact to the microsecond, years 0001 to 9999"
	case registry.String:
		return "text in UTF-8"
	}
	return "hexadecimal digits, two for each byte"
}

// setText parses the text of a field into column i of the row. It reports false
// if the text is no value of the column's type; then the row is of no use.
func (b *rowBuilder) setText(i int, s []byte) bool {
	c := &b.lay.cols[i]
	switch c.typ.Kind {
	case registry.String:
		b.setBytes(i, s)
		return true
	case registry.Boolean:
		v, ok := parseBool(s)
		b.setWord(i, v)
		return ok
	case registry.Int:
		n, ok := parseInteger(s, math.MinInt32, math.MaxInt32)
		b.setWord(i, uint64(n))
		return ok
	case registry.Long:
		n, ok := parseInteger(s, math.MinInt64, math.MaxInt64)
		b.setWord(i, uint64(n))
		return ok
	case registry.Float, registry.Double:
		bits, ok := parseFloat(s, c.typ.Kind)
		b.setWord(i, bits)
		return ok
	case registry.Decimal:
		return b.setDecimal(i, s)
	case registry.Date:
		n, ok := parseDate(s)
		b.setWord(i, uint64(n))
		return ok
	case registry.Timestamp, registry.TimestampTZ:
		n, ok := parseTimestamp(s, c.typ.Kind)
		b.setWord(i, uint64(n))
		return ok
	}
	return b.setHex(i, s)
}

func (b *rowBuilder) setDecimal(i int, s []byte) bool {
	c := &b.lay.cols[i]
	if c.width == 0 {
		n, ok := parseShortDecimal(s, c.typ.Precision, c.typ.Scale)
		b.setWord(i, uint64(n))
		return ok
	}
	at := len(b.rec)
	rec, ok := appendLongDecimal(b.rec, s, c.typ.Precision, c.typ.Scale, c.width)
	b.rec = rec
	b.setSpan(i, at)
	return ok
}

// setHex reads binary as DMS writes it to CSV: hexadecimal digits of either
// case, 0x before them allowed, or \x as PostgreSQL prints it.
func (b *rowBuilder) setHex(i int, s []byte) bool {
	if len(s) >= 2 && (s[0] == '0' && (s[1] == 'x' || s[1] == 'X') || s[0] == '\\' && s[1] == 'x') {
		s = s[2:]
	}
	at := len(b.rec)
	rec, err := hex.AppendDecode(b.rec, s)
	if err != nil {
		return false
	}
	b.rec = rec
	b.setSpan(i, at)
	return true
}

// parseBool reads the spellings of booleans that sources of DMS use, in any case.
func parseBool(s []byte) (uint64, bool) {
	var lower [5]byte
	if len(s) > len(lower) {
		return 0, false
	}
	for i, c := range s {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(s)]) {
	case "t", "true", "1", "y", "yes":
		return 1, true
	case "f", "false", "0", "n", "no":
		return 0, true
	}
	return 0, false
}

// appendKeyOf appends the memcomparable key of the row; EncodeKey gives the
// same bytes for the values as they are staged.
func (b *rowBuilder) appendKeyOf(dst []byte) []byte {
	for _, i := range b.lay.key {
		c := &b.lay.cols[i]
		word := b.word(i)
		switch {
		case c.variable && c.typ.Kind == registry.Decimal:
			v := record(b.rec).bytes(b.lay, i)
			dst = appendKeyDecimal(dst, signByte(int64(int8(v[0]))), v)
		case c.variable:
			dst = appendKeyBytes(dst, record(b.rec).bytes(b.lay, i))
		case c.typ.Kind == registry.Boolean:
			dst = appendKeyBool(dst, word == 1)
		case c.typ.Kind == registry.Float:
			dst = appendKeyFloat(dst, float64(math.Float32frombits(uint32(word))))
		case c.typ.Kind == registry.Double:
			dst = appendKeyFloat(dst, math.Float64frombits(word))
		case c.typ.Kind == registry.Decimal:
			var unscaled [8]byte
			binary.BigEndian.PutUint64(unscaled[:], word)
			dst = appendKeyDecimal(dst, signByte(int64(word)), unscaled[:])
		default:
			dst = appendKeyInt(dst, int64(word))
		}
	}
	return dst
}
