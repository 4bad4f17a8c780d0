package transform

import (
	"fmt"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// fileRow is one row of a file, whatever the file's format. Fields are numbered
// as the file's columns.
type fileRow interface {
	number() int64
	null(field int) bool
	// text is a field as text: of operations and change sequences.
	text(field int) []byte
	// micros is a field as an instant.
	micros(field int) (int64, bool)
	// set gives column i of the record the field's value; false if that is not of
	// the column's type.
	set(b *rowBuilder, i, field int) bool
	// shown is the field for a failure; nil if it cannot be shown.
	shown(field int) []byte
	// appendRecord appends the row as a CSV record, without its line end; kinds
	// are those of the table's columns, 0 where there is none.
	appendRecord(dst []byte, kinds []registry.Kind) []byte
}

// converter turns the rows of a file into records, by the rules of its table.
type converter struct {
	table  registry.Table
	kind   dms.FileKind
	bind   *binding
	lay    *layout
	row    *rowBuilder
	old    *rowBuilder // the key that a before-image shows
	faults *faults
	counts Counts
	moves  bool // the file has before-images of key columns
	blind  bool // it has none, although they are registered
	// rejects takes rows at fault one by one; nil: one such row fails the file.
	rejects *rejects
	// passing: rows at fault are passed over.
	passing bool
	// told is given what is wrong with each row at fault; nil: nobody asks.
	told func([]Failure)
	emit func(record) error
}

func newConverter(t registry.Table, kind dms.FileKind, lay *layout, bind *binding, f *faults, emit func(record) error) *converter {
	c := &converter{table: t, kind: kind, bind: bind, lay: lay, faults: f, emit: emit,
		row: newRowBuilder(lay), old: newRowBuilder(lay)}
	for _, field := range bind.before {
		c.moves = c.moves || field >= 0
	}
	c.blind = !c.moves && t.DMS.BeforeImagePrefix != nil
	return c
}

// The operations of DMS.
const (
	opInsert = 'I'
	opUpdate = 'U'
	opRemove = 'D'
)

// convert checks a row and passes on what it changes, unless the row is at fault
// or an earlier one has failed the file.
func (c *converter) convert(r fileRow) error {
	if c.faults.isBad { // the source found it so
		return c.reject(r)
	}
	op, ok := c.operation(r)
	c.row.reset(r.number(), opUpsert)
	ok = c.order(r) && ok
	if op == opRemove {
		c.row.setOp(opDelete)
		ok = c.columns(r, c.lay.key) && ok
	} else {
		ok = c.columns(r, nil) && ok
	}
	ok = c.key(r) && ok
	if !ok {
		return c.reject(r)
	}
	rec := c.row.finish()
	var old record
	if op == opUpdate && c.moves {
		if old, ok = c.oldKey(r, rec); !ok {
			return c.reject(r)
		}
	}
	c.count(op)
	if c.failed() {
		return nil
	}
	if old != nil {
		c.counts.KeysMoved++
		if err := c.emit(old); err != nil {
			return err
		}
	}
	return c.emit(rec)
}

// failed reports whether the file is to be read only to count its bad rows.
func (c *converter) failed() bool {
	switch {
	case c.passing:
		return false
	case c.rejects == nil:
		return c.faults.any()
	}
	return c.counts.Rejected > MaxRejectedRows
}

// reject ends a row at fault: it is set aside, or the file has failed.
func (c *converter) reject(r fileRow) error {
	faults := c.faults.endRow()
	c.counts.RowsRead++
	if c.told != nil {
		c.told(faults)
	}
	if c.rejects == nil {
		return nil
	}
	c.counts.Rejected++
	if c.failed() {
		return nil
	}
	return c.rejects.add(r, faults)
}

func (c *converter) count(op byte) {
	c.counts.RowsRead++
	switch op {
	case opInsert:
		c.counts.Inserts++
	case opUpdate:
		c.counts.Updates++
		if c.blind {
			c.counts.NoBeforeImage++
		}
	case opRemove:
		c.counts.Deletes++
	}
}

// operation tells what a row does: I, U or D in either case. Rows of a file
// without an Op column are inserts, and so are rows of a load file whose Op is
// empty.
func (c *converter) operation(r fileRow) (byte, bool) {
	field := c.bind.op
	if field < 0 {
		return opInsert, true
	}
	var text []byte
	if !r.null(field) {
		text = r.text(field)
	}
	if len(text) == 0 {
		if c.kind == dms.KindLoad {
			return opInsert, true
		}
		c.fault(CodeOpMissing, r, field, "missing Op: the row does not say what it did", "I, U or D",
			"a row shifted by a column looks like this; check the layout and the DMS task")
		return opInsert, false
	}
	if len(text) == 1 {
		switch op := text[0] &^ 0x20; op {
		case opInsert:
			return op, true
		case opUpdate, opRemove:
			return op, c.keyed(r, field)
		}
	}
	c.fault(CodeOpUnknown, r, field, "the operation is none of I, U and D", "I, U or D", "check op_column and the layout")
	return opInsert, false
}

// keyed refuses changes that a table without a key cannot place.
func (c *converter) keyed(r fileRow, field int) bool {
	if len(c.lay.key) > 0 {
		return true
	}
	c.fault(CodeOpNoKey, r, field, "an update or delete came for a table without a primary key", "inserts only",
		"register the primary key, or have the task write inserts only")
	return false
}

// order sets the mode's part of the row's position.
func (c *converter) order(r fileRow) bool {
	field := c.bind.order
	if field < 0 || c.lay.orderLen == 0 {
		return true
	}
	if c.lay.mode == dms.OrderByChangeSeq {
		if !r.null(field) {
			if seq := r.text(field); isDigits(seq) && len(seq) == dms.SeqDigits {
				c.row.setOrder(seq)
				return true
			}
		}
		c.fault(CodeSequence, r, field, "the change sequence cannot order the row", fmt.Sprintf("%d digits", dms.SeqDigits),
			"check change_seq_column and the layout")
		return false
	}
	if !r.null(field) {
		if micros, ok := r.micros(field); ok {
			c.row.setMicros(micros)
			return true
		}
	}
	c.fault(CodeCommitTime, r, field, "the commit timestamp cannot order the row",
		expectation(registry.Type{Kind: registry.TimestampTZ}), "check timestamp_column and the layout")
	return false
}

func isDigits(s []byte) bool {
	for _, b := range s {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}

// columns fills in the given columns of the record, all if none are given. A
// delete fills in its key alone: DMS may write anything in the rest.
func (c *converter) columns(r fileRow, only []int) bool {
	ok := true
	if only != nil {
		for _, i := range only {
			ok = c.column(r, i, c.bind.fields[i], c.row) && ok
		}
		return ok
	}
	for i, field := range c.bind.fields {
		if field >= 0 && !r.null(field) && !r.set(c.row, i, field) {
			c.badValue(r, i, field)
			ok = false
		}
	}
	return ok
}

func (c *converter) column(r fileRow, i, field int, b *rowBuilder) bool {
	if field < 0 || r.null(field) || r.set(b, i, field) {
		return true
	}
	c.badValue(r, i, field)
	return false
}

func (c *converter) badValue(r fileRow, i, field int) {
	t := c.lay.cols[i].typ
	hint := "register a type that holds it and retry (once a file of the table is published, only a wider one of its kind: else skip the file); or have the source write the file anew and skip this one"
	if c.rejects != nil { // the file is published without the row: there is nothing to retry or skip
		hint = mendHint
	}
	if v := r.text(field); v != nil && len(v) == 0 && t.Kind != registry.Binary && c.table.DMS.Format == registry.FormatCSV {
		hint = "an empty field is not null under the registered null token; check CsvNullValue"
	}
	c.fault(codeOf(t.Kind), r, field, "a value does not fit "+t.String(), expectation(t), hint)
}

// mendHint is what to do about a value in a row that is set aside.
const mendHint = "mend it at the source; or export the row with `blotter rejected export`, mend it, and bring it in with `blotter rejected replay`"

// key refuses a row without a whole key.
func (c *converter) key(r fileRow) bool {
	ok := true
	for _, i := range c.lay.key {
		if field := c.bind.fields[i]; r.null(field) {
			c.fault(CodeKeyNull, r, field, "a key column is null", "a value in every column of the primary key",
				"such a row cannot be told from others; mend it at the source")
			ok = false
		}
	}
	return ok
}

// oldKey gives the removal of the key that an update had before; nil if its
// before-image shows no other one, false if it cannot be read. The removal has
// the row's own position and number. Key columns without a before-image, or with
// a null in it, did not change.
func (c *converter) oldKey(r fileRow, updated record) (record, bool) {
	c.old.reset(r.number(), opDelete)
	c.old.setOrder(updated.order(c.lay))
	for k, i := range c.lay.key {
		field := c.bind.before[k]
		if field < 0 || r.null(field) {
			field = c.bind.fields[i]
		}
		if !c.column(r, i, field, c.old) {
			return nil, false
		}
	}
	old := c.old.finish()
	if string(old.key()) == string(updated.key()) {
		return nil, true
	}
	return old, true
}

func (c *converter) fault(code string, r fileRow, field int, message, expected, hint string) {
	c.faults.add(code, r.number(), c.bind.names[field], r.shown(field), func(f *Failure) {
		f.Message, f.Expected, f.Hint = message, expected, hint
	})
}
