package transform

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/registry"
)

// TestEncodeKeyOrder lists values of each type in ascending order.
func TestEncodeKeyOrder(t *testing.T) {
	dec := registry.Type{Kind: registry.Decimal, Precision: 20, Scale: 2}
	tests := []struct {
		name   string
		typ    registry.Type
		values []parquet.Value
	}{
		{"boolean", registry.Type{Kind: registry.Boolean}, []parquet.Value{parquet.BooleanValue(false), parquet.BooleanValue(true)}},
		{"int", registry.Type{Kind: registry.Int}, []parquet.Value{
			parquet.Int32Value(math.MinInt32), parquet.Int32Value(-1), parquet.Int32Value(0), parquet.Int32Value(9), parquet.Int32Value(10)}},
		{"long", registry.Type{Kind: registry.Long}, []parquet.Value{
			parquet.Int64Value(math.MinInt64), parquet.Int32Value(-1), parquet.Int64Value(0), parquet.Int64Value(math.MaxInt64)}},
		{"double", registry.Type{Kind: registry.Double}, []parquet.Value{
			parquet.DoubleValue(math.Inf(-1)), parquet.DoubleValue(-1.5), parquet.DoubleValue(math.Copysign(0, -1)), parquet.DoubleValue(0),
			parquet.FloatValue(1.5), parquet.DoubleValue(math.Inf(1)), parquet.DoubleValue(math.NaN())}},
		{"decimal", dec, []parquet.Value{
			parquet.FixedLenByteArrayValue([]byte{0x80, 0, 0, 0, 0, 0, 0, 0, 0}), parquet.Int64Value(-5), parquet.Int32Value(0),
			parquet.Int32Value(7), parquet.FixedLenByteArrayValue([]byte{0, 1, 0, 0, 0, 0, 0, 0, 0})}},
		{"string", registry.Type{Kind: registry.String}, []parquet.Value{
			parquet.ByteArrayValue(nil), parquet.ByteArrayValue([]byte{0}), parquet.ByteArrayValue([]byte{0, 0}), parquet.ByteArrayValue([]byte{0, 1}),
			parquet.ByteArrayValue([]byte{1}), parquet.ByteArrayValue([]byte("a")), parquet.ByteArrayValue([]byte("a\x00")), parquet.ByteArrayValue([]byte("ab")), parquet.ByteArrayValue([]byte("é"))}},
		{"date", registry.Type{Kind: registry.Date}, []parquet.Value{parquet.Int32Value(-719162), parquet.Int32Value(2932896)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var last []byte
			for i, v := range tt.values {
				key, err := EncodeKey(nil, []registry.Type{tt.typ}, []parquet.Value{v})
				if err != nil {
					t.Fatal(err)
				}
				if i > 0 && bytes.Compare(last, key) >= 0 {
					t.Errorf("value %d (%x) does not come after the one before (%x)", i, key, last)
				}
				last = key
			}
		})
	}
}

func TestEncodeKeyRefuses(t *testing.T) {
	str := []registry.Type{{Kind: registry.String}}
	if _, err := EncodeKey(nil, str, []parquet.Value{parquet.NullValue()}); !errors.Is(err, ErrNullKey) {
		t.Errorf("null: %v", err)
	}
	if _, err := EncodeKey(nil, str, []parquet.Value{parquet.Int32Value(1)}); err == nil {
		t.Error("an int in a string column was taken")
	}
	if _, err := EncodeKey(nil, str, nil); err == nil {
		t.Error("too few values were taken")
	}
}

// TestEncodeKeyCompares checks against the plain meaning of the types, for
// pairs of composite keys (string, decimal, long).
func TestEncodeKeyCompares(t *testing.T) {
	types := []registry.Type{{Kind: registry.String}, {Kind: registry.Decimal, Precision: 38}, {Kind: registry.Long}}
	type key struct {
		s string
		d *big.Int
		n int64
	}
	gen := rapid.Custom(func(rt *rapid.T) key {
		return key{
			s: string(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xff}), 0, 3).Draw(rt, "s")),
			d: big.NewInt(rapid.Int64Range(-3, 3).Draw(rt, "d")),
			n: rapid.Int64().Draw(rt, "n"),
		}
	})
	encode := func(k key) []byte {
		var d [16]byte
		putBigDecimal(d[:], k.d)
		b, err := EncodeKey(nil, types, []parquet.Value{
			parquet.ByteArrayValue([]byte(k.s)), parquet.FixedLenByteArrayValue(d[:]), parquet.Int64Value(k.n)})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	rapid.Check(t, func(rt *rapid.T) {
		a, b := gen.Draw(rt, "a"), gen.Draw(rt, "b")
		want := strings.Compare(a.s, b.s)
		if want == 0 {
			want = a.d.Cmp(b.d)
		}
		if want == 0 && a.n != b.n {
			want = 1
			if a.n < b.n {
				want = -1
			}
		}
		if got := bytes.Compare(encode(a), encode(b)); got != want {
			rt.Fatalf("%v and %v compare as %d, want %d", a, b, got, want)
		}
	})
}

// putBigDecimal writes two's complement big-endian bytes.
func putBigDecimal(dst []byte, n *big.Int) {
	if n.Sign() < 0 {
		n = new(big.Int).Add(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(dst))))
	}
	n.FillBytes(dst)
}
