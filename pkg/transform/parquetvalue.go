package transform

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/openblotter/blotter/pkg/registry"
)

// valueClass is what a column of a Parquet file holds.
type valueClass uint8

const (
	classOther valueClass = iota // nothing that a table can take
	classBool
	classInteger
	classFloat
	classDouble
	classDecimal
	classDate
	classTimestamp
	classTime // of day
	classUUID
	classText
	classBytes
)

// fileColumn is a column of a Parquet file.
type fileColumn struct {
	class    valueClass
	wide     bool  // an integer of 64 bits
	unsigned bool  // an integer whose largest values look negative
	digits   int   // of a decimal
	scale    int   // of a decimal
	utc      bool  // of a timestamp: an instant
	perSec   int64 // units of a timestamp or a time of day in a second
	shown    string
}

func newFileColumn(field parquet.Field) fileColumn {
	t := field.Type()
	c := fileColumn{shown: t.String(), wide: t.Kind() == parquet.Int64}
	switch t.Kind() {
	case parquet.Boolean:
		c.class = classBool
	case parquet.Int32, parquet.Int64:
		c.class = classInteger
	case parquet.Int96:
		c.class, c.perSec = classTimestamp, nanosPerSec // it has no other use
	case parquet.Float:
		c.class = classFloat
	case parquet.Double:
		c.class = classDouble
	case parquet.ByteArray, parquet.FixedLenByteArray:
		c.class = classBytes
	}
	if logical := t.LogicalType(); logical != nil {
		c.logical(logical.Value)
	}
	return c
}

func (c *fileColumn) logical(value any) {
	switch l := value.(type) {
	case *format.StringType, *format.EnumType, *format.JsonType:
		c.class = classText
	case *format.DecimalType:
		if l.Scale < 0 || l.Scale > l.Precision {
			c.class = classOther // which the format rules out
			return
		}
		c.class, c.digits, c.scale = classDecimal, int(l.Precision), int(l.Scale)
	case *format.DateType:
		c.class = classDate
	case *format.TimestampType:
		c.class, c.utc, c.perSec = classTimestamp, l.IsAdjustedToUTC, unitsPerSec(l.Unit)
	case *format.TimeType:
		c.class, c.perSec = classTime, unitsPerSec(l.Unit)
	case *format.UUIDType:
		c.class = classUUID
	case *format.IntType:
		c.unsigned = !l.IsSigned && l.BitWidth >= 32
	default:
		c.class = classOther
	}
}

func unitsPerSec(unit format.TimeUnit) int64 {
	switch unit.Value.(type) {
	case *format.MilliSeconds:
		return 1_000
	case *format.MicroSeconds:
		return microsPerSec
	}
	return nanosPerSec
}

// fits tells whether values of the column can be values of a type. Text is read
// as in CSV, whatever the type but binary.
func (c fileColumn) fits(k registry.Kind) bool {
	switch c.class {
	case classText:
		return k != registry.Binary
	case classBytes, classUUID:
		return k == registry.Binary || k == registry.String
	case classTime:
		return k == registry.String
	case classBool:
		return k == registry.Boolean
	case classInteger:
		return k == registry.Int || k == registry.Long || k == registry.Decimal || k == registry.Boolean
	case classDecimal:
		return k == registry.Int || k == registry.Long || k == registry.Decimal
	case classFloat, classDouble:
		return k == registry.Float || k == registry.Double
	case classDate, classTimestamp:
		return k == registry.Date || k == registry.Timestamp || k == registry.TimestampTZ
	}
	return false
}

// own gives the type that a table's column has if it is made for this one; false
// if there is none.
func (c fileColumn) own() (registry.Type, bool) {
	kind := func(k registry.Kind) (registry.Type, bool) { return registry.Type{Kind: k}, true }
	switch c.class {
	case classBool:
		return kind(registry.Boolean)
	case classInteger:
		switch {
		case c.wide && c.unsigned:
			return registry.Type{Kind: registry.Decimal, Precision: uint64Digits}, true
		case c.wide || c.unsigned:
			return kind(registry.Long)
		}
		return kind(registry.Int)
	case classFloat:
		return kind(registry.Float)
	case classDouble:
		return kind(registry.Double)
	case classDecimal:
		ok := c.digits >= 1 && c.digits <= longestDecimal
		return registry.Type{Kind: registry.Decimal, Precision: c.digits, Scale: c.scale}, ok
	case classDate:
		return kind(registry.Date)
	case classTimestamp:
		if c.utc {
			return kind(registry.TimestampTZ)
		}
		return kind(registry.Timestamp)
	case classText, classTime, classUUID:
		return kind(registry.String)
	case classBytes:
		return kind(registry.Binary)
	}
	return registry.Type{}, false
}

// valueRow is one row of a Parquet file.
type valueRow struct {
	fields  []fileColumn
	values  parquet.Row
	row     int64
	scratch []byte
}

func (r *valueRow) number() int64 { return r.row }

func (r *valueRow) null(field int) bool { return r.values[field].IsNull() }

func (r *valueRow) text(field int) []byte {
	b, _ := byteArray(r.values[field])
	return b
}

func (r *valueRow) shown(field int) []byte {
	if b, ok := byteArray(r.values[field]); ok {
		return b
	}
	return []byte(r.values[field].String())
}

func (r *valueRow) micros(field int) (int64, bool) {
	c, v := r.fields[field], r.values[field]
	switch c.class {
	case classText:
		return parseTimestamp(v.ByteArray(), registry.TimestampTZ)
	case classTimestamp:
		if v.Kind() == parquet.Int96 {
			return int96Micros(v.Int96())
		}
		return toMicros(v.Int64(), c.perSec)
	case classDate:
		days := int64(v.Int32())
		return days * microsPerDay, days >= firstDay && days <= lastDay
	}
	return 0, false
}

// set converts a value whose column fits the type (see fits).
func (r *valueRow) set(b *rowBuilder, i, field int) bool {
	c, v, kind := r.fields[field], r.values[field], b.lay.cols[i].typ.Kind
	switch c.class {
	case classText, classBytes:
		return r.setBytes(b, i, kind, v.ByteArray())
	case classUUID:
		if kind == registry.String {
			r.scratch = appendUUID(r.scratch[:0], v.ByteArray())
			return r.setBytes(b, i, kind, r.scratch)
		}
		return r.setBytes(b, i, kind, v.ByteArray())
	case classBool:
		b.setWord(i, 0)
		if v.Boolean() {
			b.setWord(i, 1)
		}
		return true
	case classInteger, classDecimal:
		text, ok := appendNumber(r.scratch[:0], v, c)
		r.scratch = text
		return ok && b.setText(i, text)
	case classFloat, classDouble:
		return setFloat(b, i, kind, v)
	case classTime:
		n, _ := wideInt(v)
		text, ok := appendClock(r.scratch[:0], n, c.perSec)
		r.scratch = text
		return ok && r.setBytes(b, i, kind, text)
	case classDate, classTimestamp:
		micros, ok := r.micros(field)
		if kind == registry.Date {
			b.setWord(i, uint64(micros/microsPerDay))
			return ok && micros%microsPerDay == 0
		}
		b.setWord(i, uint64(micros))
		return ok
	}
	return false
}

func (r *valueRow) setBytes(b *rowBuilder, i int, kind registry.Kind, v []byte) bool {
	switch kind {
	case registry.Binary:
		b.setBytes(i, v)
		return true
	case registry.String:
		b.setBytes(i, v)
		return utf8.Valid(v)
	}
	return b.setText(i, v)
}

// setFloat takes a float or double into a column of either type; a double into a
// float only if nothing is lost.
func setFloat(b *rowBuilder, i int, kind registry.Kind, v parquet.Value) bool {
	var f float64
	if v.Kind() == parquet.Float {
		f = float64(v.Float())
	} else {
		f = v.Double()
	}
	if kind == registry.Double {
		b.setDouble(i, f)
		return true
	}
	if kind != registry.Float {
		return false
	}
	b.setFloat(i, float32(f))
	return float64(float32(f)) == f || math.IsNaN(f)
}

// appendNumber spells out an integer, or the unscaled value of a decimal with
// an exponent: then parsing decides what fits, as it does for CSV. It reports
// false for bytes that are no number that any decimal could hold.
func appendNumber(dst []byte, v parquet.Value, c fileColumn) (text []byte, ok bool) {
	n, ok := wideInt(v)
	switch {
	case ok && c.unsigned && c.wide:
		dst = strconv.AppendUint(dst, uint64(n), 10)
	case ok && c.unsigned:
		dst = strconv.AppendUint(dst, uint64(uint32(n)), 10)
	case ok:
		dst = strconv.AppendInt(dst, n, 10)
	default:
		number, ok := unscaled(v.ByteArray())
		if !ok {
			return dst, false
		}
		dst = number.Append(dst, 10)
	}
	if c.scale > 0 {
		dst = append(dst, 'e', '-')
		dst = strconv.AppendInt(dst, int64(c.scale), 10)
	}
	return dst, true
}

var _ fileRow = (*valueRow)(nil)
