package lake

import (
	"encoding/hex"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/registry"
)

// FormatValue is AppendValue into a string.
func FormatValue(t registry.Type, v parquet.Value) string {
	return string(AppendValue(nil, t, v))
}

// AppendValue appends a value as text: integers plain, decimals with their
// scale, floats in the shortest form that reads back at their width, dates as
// YYYY-MM-DD, timestamps with six decimals, instants in UTC with +00:00,
// booleans as true and false, binary in lower-case hex, strings as they are. A
// null appends nothing: ask v.IsNull first.
func AppendValue(dst []byte, t registry.Type, v parquet.Value) []byte {
	if v.IsNull() {
		return dst
	}
	switch t.Kind {
	case registry.Boolean:
		return strconv.AppendBool(dst, v.Boolean())
	case registry.Int, registry.Long:
		return strconv.AppendInt(dst, integer(v), 10)
	case registry.Float:
		return appendFloat(dst, float64(v.Float()), 32)
	case registry.Double:
		return appendFloat(dst, v.Double(), 64)
	case registry.Decimal:
		return appendDecimal(dst, t.Scale, v)
	case registry.Date:
		return time.Unix(integer(v)*86400, 0).UTC().AppendFormat(dst, time.DateOnly)
	case registry.Timestamp:
		return time.UnixMicro(v.Int64()).UTC().AppendFormat(dst, "2006-01-02 15:04:05.000000")
	case registry.TimestampTZ:
		return time.UnixMicro(v.Int64()).UTC().AppendFormat(dst, "2006-01-02 15:04:05.000000-07:00")
	case registry.Binary:
		return hex.AppendEncode(dst, v.ByteArray())
	}
	return append(dst, v.ByteArray()...)
}

func integer(v parquet.Value) int64 {
	if v.Kind() == parquet.Int32 {
		return int64(v.Int32())
	}
	return v.Int64()
}

// appendFloat writes plain digits where that stays readable.
func appendFloat(dst []byte, f float64, width int) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-5 || a >= 1e16) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, width)
}

// appendDecimal sets the point into the unscaled value.
func appendDecimal(dst []byte, scale int, v parquet.Value) []byte {
	var digits string
	switch v.Kind() {
	case parquet.Int32, parquet.Int64:
		digits = strconv.FormatInt(integer(v), 10)
	default:
		digits = bigFromBytes(v.ByteArray()).String()
	}
	if rest, ok := strings.CutPrefix(digits, "-"); ok {
		dst, digits = append(dst, '-'), rest
	}
	if scale == 0 {
		return append(dst, digits...)
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	dst = append(dst, digits[:len(digits)-scale]...)
	dst = append(dst, '.')
	return append(dst, digits[len(digits)-scale:]...)
}

// bigFromBytes reads big-endian two's complement.
func bigFromBytes(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}
