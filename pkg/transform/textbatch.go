package transform

import (
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// textBatch holds the fields of some rows, copied out of the CSV reader.
type textBatch struct {
	delimiter byte
	data      []byte
	ends      []fieldEnd // of every field, in order
	rows      []textRowSpan
}

// fieldEnd is where a field ends in data; the next one begins there.
type fieldEnd struct {
	at     uint32
	quoted bool
}

type textRowSpan struct {
	number int64
	field  int    // index of its first field
	start  uint32 // of its first field in data
	width  int
	bad    int // the first field that is not UTF-8, counted from 1; 0 if all are
}

func newTextBatch(delimiter byte) *textBatch { return &textBatch{delimiter: delimiter} }

func (b *textBatch) isFull() bool {
	return len(b.rows) >= batchRows || len(b.data) >= batchBytes || len(b.ends) >= batchFields
}

// reset empties the batch. What one huge row made it grow to is given back.
func (b *textBatch) reset() {
	if cap(b.data) > 8*batchBytes {
		b.data = nil
	}
	if cap(b.ends) > 4*batchFields {
		b.ends = nil
	}
	b.data, b.ends, b.rows = b.data[:0], b.ends[:0], b.rows[:0]
}

// add copies a row; skip fields after the first one are left out.
func (b *textBatch) add(r dms.Record, skip int) {
	n := r.Len()
	span := textRowSpan{number: r.Row(), field: len(b.ends), start: uint32(len(b.data)), width: n - skip}
	if field, bad := r.NotUTF8(); bad {
		if field > 0 {
			field = max(field-skip, 0)
		}
		span.bad = field + 1
	}
	b.rows = append(b.rows, span)
	for i := range n {
		if 1 <= i && i <= skip {
			continue
		}
		f := r.Field(i)
		b.data = append(b.data, f.Text...)
		b.ends = append(b.ends, fieldEnd{at: uint32(len(b.data)), quoted: f.Quoted})
	}
}

// textRow is one row of a batch.
type textRow struct {
	batch *textBatch
	token string // the text of null
	span  textRowSpan
	ends  []fieldEnd
}

func (r *textRow) at(i int) {
	r.span = r.batch.rows[i]
	r.ends = r.batch.ends[r.span.field : r.span.field+r.span.width]
}

func (r *textRow) len() int { return r.span.width }

// notUTF8 gives the first field that is not UTF-8.
func (r *textRow) notUTF8() (field int, found bool) { return r.span.bad - 1, r.span.bad > 0 }

func (r *textRow) number() int64 { return r.span.number }

func (r *textRow) text(field int) []byte {
	from := r.span.start
	if field > 0 {
		from = r.ends[field-1].at
	}
	return r.batch.data[from:r.ends[field].at]
}

// null: a quoted token is text.
func (r *textRow) null(field int) bool {
	return !r.ends[field].quoted && string(r.text(field)) == r.token
}

func (r *textRow) micros(field int) (int64, bool) {
	return parseTimestamp(r.text(field), registry.TimestampTZ)
}

func (r *textRow) set(b *rowBuilder, i, field int) bool { return b.setText(i, r.text(field)) }

func (r *textRow) shown(field int) []byte { return r.text(field) }

var _ fileRow = (*textRow)(nil)
