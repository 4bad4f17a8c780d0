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
// the order of the file. Rows at fault are passed over, and counted: they changed nothing. It
// stages nothing. Errors are those of Run, but for faults of rows.
func EachChange(ctx context.Context, cfg Config, deps Deps, job Job, key []byte, do func(Change) error) (passed int64, err error) {
	if err := errors.Join(cfg.Validate(), job.check()); err != nil {
		return 0, err
	}
	bucket, err := deps.bucketOf(job.File)
	if err != nil {
		return 0, err
	}
	object, err := openObject(ctx, bucket, job.File.Object)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	t := newTransform(cfg, deps, job)
	src, err := openSource(ctx, object, job, cfg)
	if err != nil {
		return 0, t.located(err)
	}
	table := refine(t.job.Table, src)
	if src.columns() != nil {
		bound, failure := bind(table, len(job.Table.Columns), t.kind, src)
		if failure != nil {
			return 0, t.located(src.cause(failure))
		}
		f := &changeFinder{transform: t, table: table, lay: newLayout(table, t.kind), bound: bound, key: key, do: do}
		if err := src.each(ctx, bound, t.faults, f.converter(&passed).convertThrough(f)); err != nil {
			return passed, t.located(src.cause(err))
		}
	}
	_, err = src.finish(ctx, job.File.Object)
	return passed, t.located(err)
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

func (f *changeFinder) converter(passed *int64) *converter {
	c := newConverter(f.table, f.kind, f.lay, f.bound, f.faults, f.change)
	c.passing, c.told = true, func([]Failure) { *passed++ }
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

// StagedChange is what a staged file holds of a key: the last change of it in its file.
type StagedChange struct {
	Row      int64
	Position dms.Position
}

// Find looks for an encoded key in a staged file, and gives nil if it is not there; cols
// are the columns of the key, in its order. It reads those columns alone, up to the key.
func (r *StagedReader) Find(ctx context.Context, cols []registry.Column, key []byte) (found *StagedChange, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read staged file %s: %w: its pages are damaged: %v", r.staged.Key, ErrCorrupt, p)
		}
	}()
	names := []string{registry.ColumnRow, registry.ColumnPosition}
	s := keySearch{key: key, types: make([]registry.Type, len(cols))}
	for i, c := range cols {
		names, s.types[i] = append(names, c.Name), c.Type
	}
	group := parquet.Group{}
	for _, name := range names {
		field := fieldNamed(r.file.Schema(), name)
		if field == nil {
			return nil, fmt.Errorf("read staged file %s: %w: it has no column %s", r.staged.Key, ErrCorrupt, name)
		}
		group[field.Name()] = field
	}
	schema := parquet.NewSchema(r.file.Schema().Name(), group)
	conversion, err := parquet.Convert(schema, r.file.Schema())
	if err != nil {
		return nil, fmt.Errorf("read staged file %s: %w", r.staged.Key, err)
	}
	for _, name := range names {
		leaf, _ := schema.Lookup(fieldNamed(schema, name).Name())
		s.places = append(s.places, leaf.ColumnIndex)
	}
	for _, g := range r.file.RowGroups() {
		found, beyond, err := s.in(ctx, parquet.ConvertRowGroup(g, conversion))
		if err != nil {
			return nil, fmt.Errorf("read staged file %s: %w", r.staged.Key, err)
		}
		if found != nil || beyond {
			return found, nil
		}
	}
	return nil, nil
}

func fieldNamed(schema *parquet.Schema, name string) parquet.Field {
	for _, f := range schema.Fields() {
		if sameName(f.Name(), name) {
			return f
		}
	}
	return nil
}

// keySearch looks for a key among sorted rows.
type keySearch struct {
	key    []byte
	types  []registry.Type // of the key's columns
	places []int           // of the row's number, of the position, and of the key's columns
}

// in looks in a row group; beyond: all that follow are above the key.
func (s keySearch) in(ctx context.Context, group parquet.RowGroup) (found *StagedChange, beyond bool, err error) {
	rows := group.Rows()
	defer func() { err = errors.Join(err, rows.Close()) }()
	buf := make([]parquet.Row, readBatch)
	parts := make([]parquet.Value, len(s.types))
	var at []byte
	for {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		n, err := rows.ReadRows(buf)
		for _, row := range buf[:n] {
			for i, p := range s.places[2:] {
				parts[i] = row[p]
			}
			var bad error
			if at, bad = EncodeKey(at[:0], s.types, parts); bad != nil {
				return nil, false, bad
			}
			if c := bytes.Compare(at, s.key); c > 0 {
				return nil, true, nil
			} else if c == 0 {
				return &StagedChange{Row: row[s.places[0]].Int64(), Position: dms.Position(row[s.places[1]].ByteArray())}, true, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
	}
}
