package lake

import (
	"encoding/binary"
	"fmt"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/registry"
)

// physical is how a type stands in Parquet (Iceberg spec, appendix A); width is
// that of a fixed-length array.
func physical(t registry.Type) (kind parquet.Kind, width int) {
	switch t.Kind {
	case registry.Boolean:
		return parquet.Boolean, 0
	case registry.Int, registry.Date:
		return parquet.Int32, 0
	case registry.Long, registry.Timestamp, registry.TimestampTZ:
		return parquet.Int64, 0
	case registry.Float:
		return parquet.Float, 0
	case registry.Double:
		return parquet.Double, 0
	case registry.Decimal:
		switch {
		case t.Precision <= 9:
			return parquet.Int32, 0
		case t.Precision <= 18:
			return parquet.Int64, 0
		}
		return parquet.FixedLenByteArray, decimalWidth(t.Precision)
	}
	return parquet.ByteArray, 0
}

// decimalWidths is, by precision, the least number of bytes whose two's
// complement holds every unscaled value.
var decimalWidths = [...]int{0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 5, 6, 6, 6, 7, 7, 8, 8, 9, 9, 9, 10, 10, 11, 11, 11, 12, 12, 13, 13, 13, 14, 14, 15, 15, 16, 16, 16}

func decimalWidth(precision int) int { return decimalWidths[precision] }

// conversion gives the way from a file's column to a type, nil where values fit
// as they are: Iceberg's promotions, and decimals in any of their three forms.
func conversion(from parquet.Type, to registry.Type) (func(parquet.Value) parquet.Value, error) {
	kind, width := physical(to)
	if from.Kind() == kind && (kind != parquet.FixedLenByteArray || from.Length() == width) {
		return nil, nil
	}
	switch {
	case from.Kind() == parquet.Int32 && kind == parquet.Int64 && (to.Kind == registry.Long || to.Kind == registry.Decimal):
		return func(v parquet.Value) parquet.Value { return parquet.Int64Value(int64(v.Int32())) }, nil
	case from.Kind() == parquet.Float && kind == parquet.Double:
		return func(v parquet.Value) parquet.Value { return parquet.DoubleValue(float64(v.Float())) }, nil
	case to.Kind == registry.Decimal && kind == parquet.FixedLenByteArray:
		switch from.Kind() {
		case parquet.Int32, parquet.Int64, parquet.FixedLenByteArray, parquet.ByteArray:
			return func(v parquet.Value) parquet.Value { return parquet.FixedLenByteArrayValue(widen(v, width)) }, nil
		}
	}
	return nil, fmt.Errorf("%s values cannot be read as %s", from.Kind(), to)
}

// widen gives a decimal's unscaled value in width bytes, two's complement.
func widen(v parquet.Value, width int) []byte {
	var b []byte
	switch v.Kind() {
	case parquet.Int32:
		b = binary.BigEndian.AppendUint32(nil, uint32(v.Int32()))
	case parquet.Int64:
		b = binary.BigEndian.AppendUint64(nil, uint64(v.Int64()))
	default:
		b = v.ByteArray()
	}
	out := make([]byte, width)
	if len(b) > width {
		b = b[len(b)-width:]
	}
	if len(b) > 0 && b[0]&0x80 != 0 {
		for i := range out[:width-len(b)] {
			out[i] = 0xff
		}
	}
	copy(out[width-len(b):], b)
	return out
}
