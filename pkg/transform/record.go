package transform

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// A record is one change in the form in which it is sorted, spilled and
// encoded: one block of bytes, so that millions of them cost the garbage
// collector nothing.
//
//	length  uint32   of the whole record
//	keyLen  uint32   of the key at its end
//	row     uint64
//	ties    uint32   changes of the key that share this one's position
//	op      byte     opUpsert or opDelete
//	order   orderLen bytes, the mode's part of the position; they compare as meant
//	nulls   a bit for each column
//	slots   8 bytes for each column: the value, or offset and length of it
//	values  of variable length
//	key     memcomparable
type record []byte

const (
	offLength = 0
	offKeyLen = 4
	offRow    = 8
	offTies   = 16
	offOp     = 20
	offOrder  = 21
)

// What a change does to its key.
const (
	opUpsert byte = iota
	opDelete
)

// layout tells where the parts of records lie; one for all records of a file.
type layout struct {
	cols     []layoutColumn
	key      []int // indices of the key columns; empty: file order
	mode     dms.OrderMode
	orderLen int
	nulls    int // offset of the null bits
	slots    int // offset of the slots
	head     int // offset of the values
}

type layoutColumn struct {
	name     string
	typ      registry.Type
	variable bool // the slot holds offset and length
	width    int  // of a decimal in bytes, 0 if it fits the slot
}

// maxBound is the longest value that may stand as a bound in the statistics of a
// staged file.
const maxBound = 1 << 10

// timestampOrderLen is the width of a commit time in records.
const timestampOrderLen = 8

// newLayout plans the records of a file: load files have no mode's part, since
// all their rows share one position.
func newLayout(t registry.Table, kind dms.FileKind) *layout {
	l := &layout{mode: t.DMS.OrderMode()}
	if kind == dms.KindChange {
		switch l.mode {
		case dms.OrderByChangeSeq:
			l.orderLen = dms.SeqDigits
		case dms.OrderByTimestamp:
			l.orderLen = timestampOrderLen
		}
	}
	for _, c := range t.Columns {
		lc := layoutColumn{name: c.Name, typ: c.Type}
		switch c.Type.Kind {
		case registry.String, registry.Binary:
			lc.variable = true
		case registry.Decimal:
			if c.Type.Precision > 18 {
				lc.variable, lc.width = true, decimalWidth(c.Type.Precision)
			}
		}
		l.cols = append(l.cols, lc)
	}
	for _, name := range t.PrimaryKey {
		l.key = append(l.key, slices.IndexFunc(t.Columns, func(c registry.Column) bool { return sameName(c.Name, name) }))
	}
	l.nulls = offOrder + l.orderLen
	l.slots = l.nulls + (len(l.cols)+7)/8
	l.head = l.slots + 8*len(l.cols)
	return l
}

func (r record) row() int64 { return int64(binary.LittleEndian.Uint64(r[offRow:])) }

func (r record) ties() uint32 { return binary.LittleEndian.Uint32(r[offTies:]) }

func (r record) setTies(n uint32) { binary.LittleEndian.PutUint32(r[offTies:], n) }

func (r record) op() byte { return r[offOp] }

func (r record) key() []byte {
	return r[len(r)-int(binary.LittleEndian.Uint32(r[offKeyLen:])):]
}

func (r record) order(l *layout) []byte { return r[offOrder : offOrder+l.orderLen] }

func (r record) word(l *layout, i int) uint64 {
	return binary.LittleEndian.Uint64(r[l.slots+8*i:])
}

// bytes gives the value of a variable column.
func (r record) bytes(l *layout, i int) []byte {
	return r.span(r.word(l, i))
}

// span gives what the slot of a variable column names.
func (r record) span(slot uint64) []byte {
	from := int(uint32(slot))
	to := from + int(slot>>32)
	return r[from:to:to]
}

// compare orders records by key, position and row.
func (l *layout) compare(a, b record) int {
	if c := bytes.Compare(a.key(), b.key()); c != 0 {
		return c
	}
	return l.comparePosition(a, b)
}

func (l *layout) comparePosition(a, b record) int {
	if c := bytes.Compare(a.order(l), b.order(l)); c != 0 {
		return c
	}
	switch ra, rb := a.row(), b.row(); {
	case ra < rb:
		return -1
	case ra > rb:
		return 1
	}
	return 0
}

// position gives the whole position of a record's row.
func (l *layout) appendPosition(dst []byte, r record, kind dms.FileKind, order dms.FileOrder) ([]byte, error) {
	if kind == dms.KindLoad {
		return append(dst, dms.LoadPosition(order)...), nil
	}
	var micros int64
	var seq []byte
	switch l.mode {
	case dms.OrderByChangeSeq:
		seq = r.order(l)
	case dms.OrderByTimestamp:
		micros = int64(binary.BigEndian.Uint64(r.order(l)) ^ 1<<63)
	}
	return dms.AppendChangePosition(dst, l.mode, seq, micros, order)
}

// rowBuilder builds one record after another in the same memory.
type rowBuilder struct {
	lay *layout
	rec []byte
	// long tells which columns had a value too long for a bound in statistics.
	long []bool
}

func newRowBuilder(lay *layout) *rowBuilder {
	return &rowBuilder{lay: lay, long: make([]bool, len(lay.cols))}
}

// reset begins a record whose columns are all null.
func (b *rowBuilder) reset(row int64, op byte) {
	b.rec = slices.Grow(b.rec[:0], b.lay.head)[:b.lay.head]
	clear(b.rec)
	binary.LittleEndian.PutUint64(b.rec[offRow:], uint64(row))
	b.rec[offOp] = op
	for i := range b.lay.cols {
		b.rec[b.lay.nulls+i/8] |= 1 << (i % 8)
	}
}

func (b *rowBuilder) setOp(op byte) { b.rec[offOp] = op }

// setOrder sets the mode's part of the position.
func (b *rowBuilder) setOrder(part []byte) { copy(b.rec[offOrder:], part) }

func (b *rowBuilder) setMicros(micros int64) {
	binary.BigEndian.PutUint64(b.rec[offOrder:], uint64(micros)^1<<63)
}

func (b *rowBuilder) setWord(i int, w uint64) {
	binary.LittleEndian.PutUint64(b.rec[b.lay.slots+8*i:], w)
	b.rec[b.lay.nulls+i/8] &^= 1 << (i % 8)
}

func (b *rowBuilder) setFloat(i int, f float32) { b.setWord(i, uint64(math.Float32bits(f))) }

func (b *rowBuilder) setDouble(i int, f float64) { b.setWord(i, math.Float64bits(f)) }

func (b *rowBuilder) setBytes(i int, v []byte) {
	at := len(b.rec)
	b.rec = append(b.rec, v...)
	b.setSpan(i, at)
}

// setSpan makes what was appended since offset `at` the value of column i.
func (b *rowBuilder) setSpan(i, at int) {
	n := len(b.rec) - at
	if n > maxBound {
		b.long[i] = true
	}
	b.setWord(i, uint64(at)|uint64(n)<<32)
}

func (b *rowBuilder) word(i int) uint64 { return record(b.rec).word(b.lay, i) }

// finish appends the key and gives the record, valid until the next reset. The
// key of a table without one is the row number: it keeps rows in file order.
func (b *rowBuilder) finish() record {
	at := len(b.rec)
	if len(b.lay.key) == 0 {
		b.rec = appendKeyInt(b.rec, record(b.rec).row())
	} else {
		b.rec = b.appendKeyOf(b.rec)
	}
	binary.LittleEndian.PutUint32(b.rec[offKeyLen:], uint32(len(b.rec)-at))
	binary.LittleEndian.PutUint32(b.rec[offLength:], uint32(len(b.rec)))
	return b.rec
}
