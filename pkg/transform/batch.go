package transform

import (
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// An encode batch ends with either of these. The bytes bound a page, since a
// page ends only between batches.
const (
	encodeRows  = 1024
	encodeBytes = 2 << 20
)

// recordBatch is a copy of some records, to be encoded column by column.
type recordBatch struct {
	data []byte
	ends []int
}

func (b *recordBatch) add(r record) {
	b.data = append(b.data, r...)
	b.ends = append(b.ends, len(b.data))
}

func (b *recordBatch) isFull() bool { return len(b.ends) >= encodeRows || len(b.data) >= encodeBytes }

func (b *recordBatch) len() int { return len(b.ends) }

func (b *recordBatch) at(i int) record {
	from := 0
	if i > 0 {
		from = b.ends[i-1]
	}
	return b.data[from:b.ends[i]]
}

// reset empties the batch. What one huge row made it grow to is given back.
func (b *recordBatch) reset() {
	if cap(b.data) > 4*encodeBytes {
		b.data = nil
	}
	b.data, b.ends = b.data[:0], b.ends[:0]
}

// columnSource makes the values of one staged column out of records.
type columnSource interface {
	// values appends the column's values for all records of a batch; bytes may be
	// kept in scratch, which is given back.
	values(dst []parquet.Value, scratch []byte, b *recordBatch) ([]parquet.Value, []byte, error)
}

// userColumn is a column of the table: column i of the records.
type userColumn struct {
	lay      *layout
	i        int
	required bool
}

// values is the hot loop of encoding. Column writers look at the definition
// level alone, which is 0 unless set.
func (c userColumn) values(dst []parquet.Value, scratch []byte, b *recordBatch) ([]parquet.Value, []byte, error) {
	nullByte, nullBit := c.lay.nulls+c.i/8, byte(1)<<(c.i%8)
	valueOf := c.maker()
	dst = slices.Grow(dst, b.len())
	from := 0
	for _, end := range b.ends {
		r := record(b.data[from:end])
		from = end
		if r[nullByte]&nullBit != 0 {
			dst = append(dst, parquet.Value{})
			continue
		}
		v := valueOf(r, r.word(c.lay, c.i))
		if !c.required {
			v = v.Level(0, 1, 0)
		}
		dst = append(dst, v)
	}
	return dst, scratch, nil
}

func (c userColumn) value(r record) parquet.Value { return c.maker()(r, r.word(c.lay, c.i)) }

// maker gives the function that makes a value of a record and the column's slot.
func (c userColumn) maker() func(r record, slot uint64) parquet.Value {
	col := &c.lay.cols[c.i]
	switch {
	case col.width > 0:
		return func(r record, slot uint64) parquet.Value { return parquet.FixedLenByteArrayValue(r.span(slot)) }
	case col.variable:
		return func(r record, slot uint64) parquet.Value { return parquet.ByteArrayValue(r.span(slot)) }
	}
	switch col.typ.Kind {
	case registry.Boolean:
		return func(_ record, slot uint64) parquet.Value { return parquet.BooleanValue(slot == 1) }
	case registry.Int, registry.Date:
		return int32Value
	case registry.Float:
		return func(_ record, slot uint64) parquet.Value {
			return parquet.FloatValue(math.Float32frombits(uint32(slot)))
		}
	case registry.Double:
		return func(_ record, slot uint64) parquet.Value { return parquet.DoubleValue(math.Float64frombits(slot)) }
	case registry.Decimal:
		if col.typ.Precision <= 9 {
			return int32Value
		}
	}
	return func(_ record, slot uint64) parquet.Value { return parquet.Int64Value(int64(slot)) }
}

func int32Value(_ record, slot uint64) parquet.Value { return parquet.Int32Value(int32(slot)) }

// constantColumn has the same text in every row.
type constantColumn struct{ value parquet.Value }

func (c constantColumn) values(dst []parquet.Value, scratch []byte, b *recordBatch) ([]parquet.Value, []byte, error) {
	for range b.len() {
		dst = append(dst, c.value)
	}
	return dst, scratch, nil
}

// rowColumn is _blotter_row.
type rowColumn struct{}

func (c rowColumn) values(dst []parquet.Value, scratch []byte, b *recordBatch) ([]parquet.Value, []byte, error) {
	for n := range b.len() {
		dst = append(dst, parquet.Int64Value(b.at(n).row()))
	}
	return dst, scratch, nil
}

// positionColumn is _blotter_position where rows of a file differ in it.
type positionColumn struct {
	lay   *layout
	kind  dms.FileKind
	order dms.FileOrder
}

func (c positionColumn) values(dst []parquet.Value, scratch []byte, b *recordBatch) ([]parquet.Value, []byte, error) {
	// All positions of a file are equally long. With room for all of them no
	// append moves those before.
	room := b.len() * (len(c.order) + dms.SeqDigits + 2)
	if cap(scratch) < room {
		scratch = make([]byte, 0, room)
	}
	scratch = scratch[:0]
	for n := range b.len() {
		from := len(scratch)
		var err error
		if scratch, err = c.lay.appendPosition(scratch, b.at(n), c.kind, c.order); err != nil {
			return dst, scratch, err
		}
		dst = append(dst, parquet.ByteArrayValue(scratch[from:len(scratch):len(scratch)]))
	}
	return dst, scratch, nil
}

// provenanceSources gives the sources of the columns that Blotter adds.
func provenanceSources(lay *layout, file dms.File) []columnSource {
	text := func(s string) columnSource { return constantColumn{value: parquet.ByteArrayValue([]byte(s))} }
	sources := []columnSource{text(string(file.ID)), rowColumn{}}
	kind, order := file.Place()
	switch {
	case kind == dms.KindLoad:
		return append(sources, text(string(dms.LoadPosition(order))))
	case lay.orderLen == 0:
		return append(sources, text("1/"+string(order)))
	}
	return append(sources, positionColumn{lay: lay, kind: kind, order: order})
}
