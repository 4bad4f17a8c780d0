package transform

import (
	"bytes"
	"encoding/hex"
	"math/big"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/registry"
)

// appendRecord gives the bytes of the record as they are in the file, its line
// end apart: the reader takes RFC 4180 to the letter, so that fields and their
// quotes say what the bytes were.
func (r *textRow) appendRecord(dst []byte, _ []registry.Kind) []byte {
	for i := range r.len() {
		if i > 0 {
			dst = append(dst, r.batch.delimiter)
		}
		if r.ends[i].quoted {
			dst = appendQuoted(dst, r.text(i))
		} else {
			dst = append(dst, r.text(i)...)
		}
	}
	return dst
}

// appendQuoted appends a field in quotes, those in it doubled.
func appendQuoted(dst, text []byte) []byte {
	dst = append(dst, '"')
	for {
		i := bytes.IndexByte(text, '"')
		if i < 0 {
			break
		}
		dst = append(append(dst, text[:i+1]...), '"')
		text = text[i+1:]
	}
	return append(append(dst, text...), '"')
}

// appendRecord spells a row of a Parquet file as a CSV record: commas between
// fields, nothing at all for null, every value in quotes, in the spelling in
// which the same value is read from CSV (see appendFieldText).
func (r *valueRow) appendRecord(dst []byte, kinds []registry.Kind) []byte {
	var text []byte
	for i, v := range r.values {
		if i > 0 {
			dst = append(dst, ',')
		}
		if !v.IsNull() {
			text = r.fields[i].appendFieldText(text[:0], v, kinds[i])
			dst = appendQuoted(dst, text)
		}
	}
	return dst
}

// appendFieldText spells a value: numbers in full, floats in the shortest form
// that reads back, dates and timestamps as ISO 8601 has them (in UTC), binary as
// hexadecimal digits where the table's column is binary or there is none.
func (c fileColumn) appendFieldText(dst []byte, v parquet.Value, of registry.Kind) []byte {
	switch c.class {
	case classBool:
		return strconv.AppendBool(dst, v.Boolean())
	case classInteger, classDecimal:
		return c.appendDecimalText(dst, v)
	case classFloat:
		bits := 32
		if of == registry.Double {
			bits = 64 // which its value is read back as
		}
		return strconv.AppendFloat(dst, float64(v.Float()), 'g', -1, bits)
	case classDouble:
		return strconv.AppendFloat(dst, v.Double(), 'g', -1, 64)
	case classDate:
		return time.Unix(int64(v.Int32())*secondsPerDay, 0).UTC().AppendFormat(dst, time.DateOnly)
	case classTimestamp:
		if v.Kind() != parquet.Int96 {
			return appendInstant(dst, v.Int64(), c.perSec)
		}
		if micros, ok := int96Micros(v.Int96()); ok {
			return appendInstant(dst, micros, microsPerSec)
		}
	case classTime:
		if n, isInt := wideInt(v); isInt {
			if text, ok := appendClock(dst, n, c.perSec); ok {
				return text
			}
		}
	case classUUID:
		if of != registry.Binary {
			return appendUUID(dst, v.ByteArray())
		}
		return hex.AppendEncode(dst, v.ByteArray())
	case classBytes:
		if of == registry.Binary || of == 0 && c.isBinary() {
			return hex.AppendEncode(dst, v.ByteArray())
		}
	}
	if b, ok := byteArray(v); ok {
		return append(dst, b...)
	}
	return append(dst, v.String()...)
}

// isBinary reports whether a column that is made for this one is binary.
func (c fileColumn) isBinary() bool {
	own, known := c.own()
	return known && own.Kind == registry.Binary
}

func appendInstant(dst []byte, n, perSec int64) []byte {
	seconds, rest := n/perSec, n%perSec
	if rest < 0 {
		seconds, rest = seconds-1, rest+perSec
	}
	return time.Unix(seconds, rest*(int64(time.Second)/perSec)).UTC().AppendFormat(dst, "2006-01-02 15:04:05.999999999")
}

// appendDecimalText spells an unscaled number with its point; bytes that are no
// number as hexadecimal digits behind 0x, which no column of numbers takes.
func (c fileColumn) appendDecimalText(dst []byte, v parquet.Value) []byte {
	scale := c.scale
	c.scale = 0
	digits, ok := appendNumber(nil, v, c)
	if !ok {
		return hex.AppendEncode(append(dst, '0', 'x'), v.ByteArray())
	}
	if scale == 0 {
		return append(dst, digits...)
	}
	if digits[0] == '-' {
		dst, digits = append(dst, '-'), digits[1:]
	}
	for len(digits) <= scale {
		digits = append([]byte{'0'}, digits...)
	}
	point := len(digits) - scale
	return append(append(append(dst, digits[:point]...), '.'), digits[point:]...)
}

// maxUnscaled is how many bytes an unscaled number may have, those aside that
// repeat its sign: twice as many as the longest decimal of a table needs.
const maxUnscaled = 32

// unscaled reads big-endian two's complement bytes; false for none, and for more
// than maxUnscaled.
func unscaled(b []byte) (*big.Int, bool) {
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > maxUnscaled {
		return nil, false
	}
	n := new(big.Int).SetBytes(b)
	if b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n, true
}
