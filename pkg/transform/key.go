package transform

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/registry"
)

// ErrNullKey: a column of a key holds no value.
var ErrNullKey = errors.New("key column is null")

// decimalBytes is the width of an encoded decimal. The widths of encoded key
// parts depend on the kind of a type only, so that a key keeps its bytes when
// Iceberg promotes its column (int to long, float to double, a decimal to more
// digits).
const decimalBytes = 16

// EncodeKey appends the memcomparable form of a key to dst: encoded keys
// compare as bytes the way Iceberg compares the values, column by column in the
// order given. Equal keys have equal bytes, and no encoded key is a prefix of
// another one of the same types.
//
// The values are taken as they stand in staged files and in data files of the
// table: INT32 or INT64 for integers, dates, timestamps and short decimals,
// big-endian two's complement bytes for long decimals. Floats follow IEEE 754
// total order, so that -0 and 0 are two keys. A null fails with ErrNullKey; a
// value whose physical type does not belong to its column's type fails too.
func EncodeKey(dst []byte, types []registry.Type, values []parquet.Value) ([]byte, error) {
	if len(types) != len(values) {
		return dst, fmt.Errorf("encode key: %d values for %d columns", len(values), len(types))
	}
	for i, t := range types {
		var err error
		if dst, err = encodeKeyPart(dst, t, values[i]); err != nil {
			return dst, fmt.Errorf("encode key: column %d of %d: %w", i+1, len(types), err)
		}
	}
	return dst, nil
}

func encodeKeyPart(dst []byte, t registry.Type, v parquet.Value) ([]byte, error) {
	if v.IsNull() {
		return dst, ErrNullKey
	}
	switch t.Kind {
	case registry.Boolean:
		if v.Kind() == parquet.Boolean {
			return appendKeyBool(dst, v.Boolean()), nil
		}
	case registry.Int, registry.Long, registry.Date, registry.Timestamp, registry.TimestampTZ:
		if n, ok := wideInt(v); ok {
			return appendKeyInt(dst, n), nil
		}
	case registry.Float, registry.Double:
		switch v.Kind() {
		case parquet.Float:
			return appendKeyFloat(dst, float64(v.Float())), nil
		case parquet.Double:
			return appendKeyFloat(dst, v.Double()), nil
		}
	case registry.Decimal:
		if n, ok := wideInt(v); ok {
			return appendKeyDecimal(dst, signByte(n), binary.BigEndian.AppendUint64(nil, uint64(n))), nil
		}
		if b, ok := byteArray(v); ok && len(b) > 0 && len(b) <= decimalBytes {
			return appendKeyDecimal(dst, signByte(int64(int8(b[0]))), b), nil
		}
	case registry.String, registry.Binary:
		if b, ok := byteArray(v); ok {
			return appendKeyBytes(dst, b), nil
		}
	}
	return dst, fmt.Errorf("a %s column cannot hold %s", t, v.Kind())
}

// wideInt gives the value of either integer type.
func wideInt(v parquet.Value) (int64, bool) {
	switch v.Kind() {
	case parquet.Int32:
		return int64(v.Int32()), true
	case parquet.Int64:
		return v.Int64(), true
	}
	return 0, false
}

func byteArray(v parquet.Value) ([]byte, bool) {
	switch v.Kind() {
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return v.ByteArray(), true
	}
	return nil, false
}

func appendKeyBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// appendKeyInt turns the sign bit over: negative numbers come first.
func appendKeyInt(dst []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(n)^(1<<63))
}

func appendKeyFloat(dst []byte, f float64) []byte {
	bits := math.Float64bits(f)
	if bits>>63 == 1 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(dst, bits)
}

// appendKeyDecimal widens big-endian two's complement bytes to 16 and turns the
// sign bit over.
func appendKeyDecimal(dst []byte, sign byte, unscaled []byte) []byte {
	at := len(dst)
	for range decimalBytes - len(unscaled) {
		dst = append(dst, sign)
	}
	dst = append(dst, unscaled...)
	dst[at] ^= 0x80
	return dst
}

func signByte(n int64) byte {
	if n < 0 {
		return 0xff
	}
	return 0
}

// appendKeyBytes escapes zero bytes as 00 ff and ends with 00 00, so that a
// shorter string comes before a longer one that it begins.
func appendKeyBytes(dst, b []byte) []byte {
	for {
		i := bytes.IndexByte(b, 0)
		if i < 0 {
			dst = append(dst, b...)
			return append(dst, 0, 0)
		}
		dst = append(dst, b[:i]...)
		dst = append(dst, 0, 0xff)
		b = b[i+1:]
	}
}
