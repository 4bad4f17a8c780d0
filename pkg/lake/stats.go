package lake

import (
	"encoding/binary"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/openblotter/blotter/pkg/registry"
)

// boundLength is to how many characters, or bytes of binary columns, bounds are
// cut: Iceberg's default.
const boundLength = 16

// fileStats is what a manifest tells of a data file's columns, by field id.
type fileStats struct {
	rows   int64
	sizes  map[int]int64
	values map[int]int64
	nulls  map[int]int64
	lower  map[int][]byte
	upper  map[int][]byte
	splits []int64
}

// columnBounds are those of one column while its row groups are read.
type columnBounds struct {
	lower, upper parquet.Value
	unknown      bool // some row group has values but no bounds
	seen         bool
}

// statistics reads the footer of a Parquet file whose fields carry ids.
func statistics(meta *format.FileMetaData, cols []registry.Column) fileStats {
	s := fileStats{
		rows: meta.NumRows, sizes: map[int]int64{}, values: map[int]int64{}, nulls: map[int]int64{},
		lower: map[int][]byte{}, upper: map[int][]byte{},
	}
	bounds := make([]columnBounds, len(cols))
	places := map[string]int{}
	for i, c := range cols {
		places[c.Name] = i
	}
	for _, group := range meta.RowGroups {
		for i, chunk := range group.Columns {
			m := &chunk.MetaData
			if i == 0 {
				offset := m.DataPageOffset
				if m.DictionaryPageOffset > 0 && m.DictionaryPageOffset < offset {
					offset = m.DictionaryPageOffset
				}
				s.splits = append(s.splits, offset)
			}
			place, ok := places[m.PathInSchema[len(m.PathInSchema)-1]]
			if !ok {
				continue
			}
			c := cols[place]
			s.sizes[c.ID] += m.TotalCompressedSize
			s.values[c.ID] += m.NumValues
			s.nulls[c.ID] += m.Statistics.NullCount
			bounds[place].add(c.Type, m)
		}
	}
	for i, c := range cols {
		b := bounds[i]
		if !b.seen || b.unknown {
			continue
		}
		if lower, upper, ok := icebergBounds(c.Type, b.lower, b.upper); ok {
			s.lower[c.ID] = lower
			if upper != nil {
				s.upper[c.ID] = upper
			}
		}
	}
	slices.Sort(s.splits)
	return s
}

// add takes in the bounds of one row group.
func (b *columnBounds) add(t registry.Type, m *format.ColumnMetaData) {
	if m.NumValues == m.Statistics.NullCount {
		return
	}
	lo, hi := m.Statistics.MinValue, m.Statistics.MaxValue
	if lo == nil || hi == nil {
		b.unknown = true
		return
	}
	kind, _ := physical(t)
	lower, upper := kind.Value(lo), kind.Value(hi)
	if !orderedBounds(t, lower, upper) {
		b.unknown = true
		return
	}
	if !b.seen || compareValues(t, lower, b.lower) < 0 {
		b.lower = lower.Clone()
	}
	if !b.seen || compareValues(t, upper, b.upper) > 0 {
		b.upper = upper.Clone()
	}
	b.seen = true
}

// orderedBounds refuses bounds that were not found in the order of the type:
// parquet-go compares fixed-length decimals as unsigned bytes, which is wrong
// when signs differ, and NaN has no order.
func orderedBounds(t registry.Type, lower, upper parquet.Value) bool {
	switch t.Kind {
	case registry.Float:
		return !math.IsNaN(float64(lower.Float())) && !math.IsNaN(float64(upper.Float()))
	case registry.Double:
		return !math.IsNaN(lower.Double()) && !math.IsNaN(upper.Double())
	case registry.Decimal:
		if kind, _ := physical(t); kind == parquet.FixedLenByteArray {
			lo, hi := lower.ByteArray(), upper.ByteArray()
			return len(lo) > 0 && len(hi) > 0 && lo[0]&0x80 == hi[0]&0x80
		}
	}
	return true
}

// compareValues orders two values of one column.
func compareValues(t registry.Type, a, b parquet.Value) int {
	switch kind, _ := physical(t); kind {
	case parquet.FixedLenByteArray:
		x, y := slices.Clone(a.ByteArray()), slices.Clone(b.ByteArray())
		x[0] ^= 0x80
		y[0] ^= 0x80
		return slices.Compare(x, y)
	case parquet.ByteArray:
		return slices.Compare(a.ByteArray(), b.ByteArray())
	case parquet.Int32:
		return int(min(max(int64(a.Int32())-int64(b.Int32()), -1), 1))
	case parquet.Int64:
		switch x, y := a.Int64(), b.Int64(); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	case parquet.Float:
		return compareFloats(float64(a.Float()), float64(b.Float()))
	case parquet.Double:
		return compareFloats(a.Double(), b.Double())
	}
	return parquet.BooleanType.Compare(a, b)
}

func compareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// icebergBounds serializes bounds as the Iceberg spec does (appendix D). The
// upper bound may be missing: a string cut at its greatest characters has none.
func icebergBounds(t registry.Type, lower, upper parquet.Value) (lo, hi []byte, ok bool) {
	switch t.Kind {
	case registry.String:
		return cutString(lower.ByteArray()), cutStringUp(upper.ByteArray()), utf8.Valid(lower.ByteArray()) && utf8.Valid(upper.ByteArray())
	case registry.Binary:
		return cutBytes(lower.ByteArray()), cutBytesUp(upper.ByteArray()), true
	case registry.Float:
		return serialize(t, parquet.FloatValue(negativeZero(lower.Float()))), serialize(t, parquet.FloatValue(positiveZero(upper.Float()))), true
	case registry.Double:
		return serialize(t, parquet.DoubleValue(negativeZero(lower.Double()))), serialize(t, parquet.DoubleValue(positiveZero(upper.Double()))), true
	}
	return serialize(t, lower), serialize(t, upper), true
}

// Zero bounds cover both zeros.
func negativeZero[F float32 | float64](f F) F {
	if f == 0 {
		return F(math.Copysign(0, -1))
	}
	return f
}

func positiveZero[F float32 | float64](f F) F {
	if f == 0 {
		return 0
	}
	return f
}

// serialize writes one value: little-endian numbers, decimals as the least
// big-endian two's complement, all others as they are.
func serialize(t registry.Type, v parquet.Value) []byte {
	if t.Kind == registry.Decimal {
		return shortest(widen(v, 16))
	}
	switch v.Kind() {
	case parquet.Boolean:
		if v.Boolean() {
			return []byte{1}
		}
		return []byte{0}
	case parquet.Int32:
		return binary.LittleEndian.AppendUint32(nil, uint32(v.Int32()))
	case parquet.Int64:
		return binary.LittleEndian.AppendUint64(nil, uint64(v.Int64()))
	case parquet.Float:
		return binary.LittleEndian.AppendUint32(nil, math.Float32bits(v.Float()))
	case parquet.Double:
		return binary.LittleEndian.AppendUint64(nil, math.Float64bits(v.Double()))
	}
	return slices.Clone(v.ByteArray())
}

// boundValue is the inverse of serialize; it reads the narrower forms of
// promoted columns too.
func boundValue(t registry.Type, b []byte) (parquet.Value, bool) {
	kind, width := physical(t)
	switch {
	case t.Kind == registry.Decimal && len(b) > 0 && len(b) <= 16:
		return parquet.FixedLenByteArrayValue(widen(parquet.FixedLenByteArrayValue(b), max(width, 16))), true
	case t.Kind == registry.Decimal:
		return parquet.Value{}, false
	case kind == parquet.ByteArray:
		return parquet.ByteArrayValue(b), true
	case kind == parquet.Boolean && len(b) == 1:
		return parquet.BooleanValue(b[0] != 0), true
	case (kind == parquet.Int32 || kind == parquet.Int64) && len(b) == 4:
		return parquet.Int32Value(int32(binary.LittleEndian.Uint32(b))), true
	case kind == parquet.Int64 && len(b) == 8:
		return parquet.Int64Value(int64(binary.LittleEndian.Uint64(b))), true
	case (kind == parquet.Float || kind == parquet.Double) && len(b) == 4:
		return parquet.FloatValue(math.Float32frombits(binary.LittleEndian.Uint32(b))), true
	case kind == parquet.Double && len(b) == 8:
		return parquet.DoubleValue(math.Float64frombits(binary.LittleEndian.Uint64(b))), true
	}
	return parquet.Value{}, false
}

// shortest drops leading bytes that only repeat the sign.
func shortest(b []byte) []byte {
	for len(b) > 1 && (b[0] == 0 && b[1]&0x80 == 0 || b[0] == 0xff && b[1]&0x80 != 0) {
		b = b[1:]
	}
	return b
}

func cutString(b []byte) []byte {
	end := 0
	for range boundLength {
		if end >= len(b) {
			break
		}
		_, n := utf8.DecodeRune(b[end:])
		end += n
	}
	return slices.Clone(b[:end])
}

// cutStringUp cuts and raises the last character that can be raised; nil if none can.
func cutStringUp(b []byte) []byte {
	cut := cutString(b)
	if len(cut) == len(b) {
		return cut
	}
	runes := []rune(string(cut))
	for i := len(runes) - 1; i >= 0; i-- {
		next := runes[i] + 1
		if next >= 0xd800 && next <= 0xdfff {
			next = 0xe000
		}
		if next <= utf8.MaxRune {
			runes[i] = next
			return []byte(string(runes[:i+1]))
		}
	}
	return nil
}

func cutBytes(b []byte) []byte { return slices.Clone(b[:min(len(b), boundLength)]) }

func cutBytesUp(b []byte) []byte {
	cut := cutBytes(b)
	if len(cut) == len(b) {
		return cut
	}
	for i := len(cut) - 1; i >= 0; i-- {
		if cut[i] != 0xff {
			cut[i]++
			return cut[:i+1]
		}
	}
	return nil
}

// build makes the manifest entry of a data file; order is its sort order, 0 for none.
func (s fileStats) build(location string, size int64, order int) (iceberg.DataFile, error) {
	b, err := iceberg.NewDataFileBuilder(*iceberg.UnpartitionedSpec, iceberg.EntryContentData, location, iceberg.ParquetFile, nil, nil, nil, s.rows, size)
	if err != nil {
		return nil, err
	}
	b.ColumnSizes(s.sizes).ValueCounts(s.values).NullValueCounts(s.nulls).LowerBoundValues(s.lower).UpperBoundValues(s.upper).SplitOffsets(s.splits)
	if order != table.UnsortedSortOrderID {
		b.SortOrderID(order)
	}
	return b.Build(), nil
}
