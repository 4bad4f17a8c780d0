package transform

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// Change is one change that a row of a file makes to a key.
type Change struct {
	Row int64 // in the file, from 1
	// Op is the operation of the row: I, U or D.
	Op byte
	// Moved: the row is an update that gave its key another value, and this is the key
	// that it had before: the change removes it.
	Moved    bool
	Position dms.Position
	// Values are those of the row's columns, as far as they can be shown as text; nil
	// is null. They are valid as long as the Change is.
	Values []ChangeValue
}

// Removes reports whether the key has no row after the change.
func (c Change) Removes() bool { return c.Moved || c.Op == opRemove }

// ChangeValue is one column of a changed row, personal data perhaps.
type ChangeValue struct {
	Column string
	Text   *string
}

// ParseKey encodes a key given as text, a value for each column of the table's primary
// key, in the spellings that a CSV file of the table may have. The error names the
// column and what it takes.
func ParseKey(table registry.Table, values []string) ([]byte, error) {
	lay := newLayout(table, dms.KindLoad)
	switch {
	case len(lay.key) == 0:
		return nil, fmt.Errorf("table %s has no primary key", table.ID)
	case len(values) != len(lay.key):
		return nil, fmt.Errorf("the primary key of %s has %s, %s given", table.ID, columnsOf(len(lay.key)), valuesAre(len(values)))
	}
	b := newRowBuilder(lay)
	b.reset(1, opUpsert)
	var faults []error
	for k, i := range lay.key {
		if !b.setText(i, []byte(values[k])) {
			faults = append(faults, fmt.Errorf("%s: expected %s", lay.cols[i].name, expectation(lay.cols[i].typ)))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return bytes.Clone(b.finish().key()), nil
}

// EachChange reads the object of a job and gives do each change of one encoded key, in
// the order of the file. Rows at fault are passed over: they changed nothing. It
// stages nothing. Errors are those of Run, but for faults of rows.
func EachChange(ctx context.Context, cfg Config, deps Deps, job Job, key []byte, do func(Change) error) (err error) {
	if err := errors.Join(cfg.Validate(), job.check()); err != nil {
		return err
	}
	bucket, err := deps.bucketOf(job.File)
	if err != nil {
		return err
	}
	object, err := openObject(ctx, bucket, job.File.Object)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	t := newTransform(cfg, deps, job)
	src, err := openSource(ctx, object, job, cfg)
	if err != nil {
		return t.located(err)
	}
	table := refine(t.job.Table, src)
	if src.columns() != nil {
		bound, failure := bind(table, len(job.Table.Columns), t.kind, src)
		if failure != nil {
			return t.located(src.cause(failure))
		}
		f := &changeFinder{transform: t, table: table, lay: newLayout(table, t.kind), bound: bound, key: key, do: do}
		if err := src.each(ctx, bound, t.faults, f.converter().convertThrough(f)); err != nil {
			return t.located(src.cause(err))
		}
	}
	_, err = src.finish(ctx, job.File.Object)
	return t.located(err)
}

// changeFinder picks the changes of one key.
type changeFinder struct {
	*transform
	table registry.Table
	lay   *layout
	bound *binding
	key   []byte
	do    func(Change) error
	row   fileRow // the one that is being converted
}

func (f *changeFinder) converter() *converter {
	c := newConverter(f.table, f.kind, f.lay, f.bound, f.faults, f.change)
	c.passing = true
	return c
}

// convertThrough converts rows, and lets f see them.
func (c *converter) convertThrough(f *changeFinder) func(fileRow) error {
	return func(r fileRow) error {
		f.row = r
		return c.convert(r)
	}
}

func (f *changeFinder) change(r record) error {
	if !bytes.Equal(r.key(), f.key) {
		return nil
	}
	position, err := f.lay.appendPosition(nil, r, f.kind, f.order)
	if err != nil {
		return err
	}
	c := Change{Row: r.row(), Op: opInsert, Position: dms.Position(position)}
	if op := f.bound.op; op >= 0 && !f.row.null(op) && len(f.row.text(op)) == 1 {
		c.Op = f.row.text(op)[0] &^ 0x20
	}
	c.Moved = r.op() == opDelete && c.Op == opUpdate
	for i, field := range f.bound.fields {
		if field < 0 {
			continue
		}
		v := ChangeValue{Column: f.lay.cols[i].name}
		if !f.row.null(field) {
			text := string(f.row.shown(field))
			v.Text = &text
		}
		c.Values = append(c.Values, v)
	}
	return f.do(c)
}

// MayHold reports whether a staged file's key range has room for an encoded key.
func (s StagedParquet) MayHold(key []byte) bool {
	k := hex.EncodeToString(key)
	return s.MinKey <= k && k <= s.MaxKey
}

// Holds reports whether a staged file holds an encoded key; cols are the columns of the
// key, in its order. It reads those columns alone, up to the key.
func (r *StagedReader) Holds(ctx context.Context, cols []registry.Column, key []byte) (held bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read staged file %s: %w: its pages are damaged: %v", r.staged.Key, ErrCorrupt, p)
		}
	}()
	group := parquet.Group{}
	types := make([]registry.Type, len(cols))
	for i, c := range cols {
		field := fieldNamed(r.file.Schema(), c.Name)
		if field == nil {
			return false, fmt.Errorf("read staged file %s: %w: it has no column %s", r.staged.Key, ErrCorrupt, c.Name)
		}
		group[field.Name()], types[i] = field, c.Type
	}
	schema := parquet.NewSchema(r.file.Schema().Name(), group)
	conversion, err := parquet.Convert(schema, r.file.Schema())
	if err != nil {
		return false, fmt.Errorf("read staged file %s: %w", r.staged.Key, err)
	}
	places := make([]int, len(cols))
	for i, c := range cols {
		leaf, _ := schema.Lookup(fieldNamed(schema, c.Name).Name())
		places[i] = leaf.ColumnIndex
	}
	for _, g := range r.file.RowGroups() {
		held, beyond, err := holdsIn(ctx, parquet.ConvertRowGroup(g, conversion), types, places, key)
		if err != nil {
			return false, fmt.Errorf("read staged file %s: %w", r.staged.Key, err)
		}
		if held || beyond {
			return held, nil
		}
	}
	return false, nil
}

func fieldNamed(schema *parquet.Schema, name string) parquet.Field {
	for _, f := range schema.Fields() {
		if sameName(f.Name(), name) {
			return f
		}
	}
	return nil
}

// holdsIn looks for a key among sorted rows; beyond: all that follow are above it.
func holdsIn(ctx context.Context, group parquet.RowGroup, types []registry.Type, places []int, key []byte) (held, beyond bool, err error) {
	rows := group.Rows()
	defer func() { err = errors.Join(err, rows.Close()) }()
	buf := make([]parquet.Row, readBatch)
	parts := make([]parquet.Value, len(places))
	var at []byte
	for {
		if err := ctx.Err(); err != nil {
			return false, false, err
		}
		n, err := rows.ReadRows(buf)
		for _, row := range buf[:n] {
			for i, p := range places {
				parts[i] = row[p]
			}
			var bad error
			if at, bad = EncodeKey(at[:0], types, parts); bad != nil {
				return false, false, bad
			}
			if c := bytes.Compare(at, key); c >= 0 {
				return c == 0, true, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return false, false, nil
		}
		if err != nil {
			return false, false, err
		}
	}
}
