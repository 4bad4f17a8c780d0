package transform

import (
	"math"

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
	at       int // in the schema
	required bool
}

func (c userColumn) values(dst []parquet.Value, scratch []byte, b *recordBatch) ([]parquet.Value, []byte, error) {
	level := 1
	if c.required {
		level = 0
	}
	for n := range b.len() {
		r := b.at(n)
		if r.null(c.lay, c.i) {
			dst = append(dst, parquet.Value{}.Level(0, 0, c.at))
			continue
		}
		dst = append(dst, c.value(r).Level(0, level, c.at))
	}
	return dst, scratch, nil
}

func (c userColumn) value(r record) parquet.Value {
	col := &c.lay.cols[c.i]
	if col.variable {
		if col.width > 0 {
			return parquet.FixedLenByteArrayValue(r.bytes(c.lay, c.i))
		}
		return parquet.ByteArrayValue(r.bytes(c.lay, c.i))
	}
	w := r.word(c.lay, c.i)
	switch col.typ.Kind {
	case registry.Boolean:
		return parquet.BooleanValue(w == 1)
	case registry.Int, registry.Date:
		return parquet.Int32Value(int32(w))
	case registry.Float:
		return parquet.FloatValue(math.Float32frombits(uint32(w)))
	case registry.Double:
		return parquet.DoubleValue(math.Float64frombits(w))
	case registry.Decimal:
		if col.typ.Precision <= 9 {
			return parquet.Int32Value(int32(w))
		}
	}
	return parquet.Int64Value(int64(w))
}

// constantColumn has the same text in every row.
type constantColumn struct{ value parquet.Value }

func (c constantColumn) values(dst []parquet.Value, scratch []byte, b *recordBatch) ([]parquet.Value, []byte, error) {
	for range b.len() {
		dst = append(dst, c.value)
	}
	return dst, scratch, nil
}

// rowColumn is _blotter_row.
type rowColumn struct{ at int }

func (c rowColumn) values(dst []parquet.Value, scratch []byte, b *recordBatch) ([]parquet.Value, []byte, error) {
	for n := range b.len() {
		dst = append(dst, parquet.Int64Value(b.at(n).row()).Level(0, 0, c.at))
	}
	return dst, scratch, nil
}

// positionColumn is _blotter_position where rows of a file differ in it.
type positionColumn struct {
	lay   *layout
	kind  dms.FileKind
	order dms.FileOrder
	at    int
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
		dst = append(dst, parquet.ByteArrayValue(scratch[from:len(scratch):len(scratch)]).Level(0, 0, c.at))
	}
	return dst, scratch, nil
}

// provenanceSources gives the sources of the columns that Blotter adds, the
// first of them at place at of the schema.
func provenanceSources(lay *layout, file File, at int) []columnSource {
	text := func(s string, at int) columnSource {
		return constantColumn{value: parquet.ByteArrayValue([]byte(s)).Level(0, 0, at)}
	}
	sources := []columnSource{text(string(file.ID), at), rowColumn{at: at + 1}}
	switch {
	case file.Kind == dms.KindLoad:
		return append(sources, text(string(dms.LoadPosition(file.Order)), at+2))
	case lay.orderLen == 0:
		return append(sources, text("1/"+string(file.Order), at+2))
	}
	return append(sources, positionColumn{lay: lay, kind: file.Kind, order: file.Order, at: at + 2})
}
