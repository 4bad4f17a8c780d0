package transform

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
)

// parquetSource reads the rows of a flat Parquet file. Names and types come
// from the file; a type that can never fit its column is refused before any row
// is read.
type parquetSource struct {
	key    string
	object *watchedObject
	file   *parquet.File
	fields []fileColumn
	names  []string
	guard  parquetGuard
	dir    *scratch // for wide row groups
}

// watchedObject tells faults of the bucket from faults of the content.
type watchedObject struct {
	objects.Reader
	fault error
}

func (w *watchedObject) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > w.Info().Size {
		return 0, errors.New("an offset in it lies outside of it")
	}
	n, err := w.Reader.ReadAt(p, off)
	if err != nil && err != io.EOF { // a bucket's own wrapping of EOF is a fault
		w.fault = err
	}
	return n, err
}

func newParquetSource(object objects.Reader, job Job, scratchDir string) (s *parquetSource, err error) {
	s = &parquetSource{key: job.File.Object.Key, object: &watchedObject{Reader: object}, dir: &scratch{parent: scratchDir}}
	defer s.recoverDamage(&err)
	size := object.Info().Size
	s.guard = parquetGuard{r: s.object, size: size, limit: maxGroupMemory}
	if err := s.guard.footer(); err != nil {
		return nil, s.damage(err)
	}
	if s.file, err = parquet.OpenFile(s.object, size, parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true)); err != nil {
		return nil, s.damage(err)
	}
	elements := s.file.Metadata().Schema[1:] // of a flat file: the columns behind the root
	for i, field := range s.file.Schema().Fields() {
		if !field.Leaf() || field.Repeated() {
			return nil, &Failure{Code: CodeFormat, ObjectKey: s.key, Column: field.Name(), Message: "the Parquet file has nested columns",
				Expected: "flat columns, as DMS writes them", Hint: "skip the file: no table can take it"}
		}
		s.names = append(s.names, field.Name())
		column := newFileColumn(field)
		if field.Type().LogicalType() == nil && elements[i].LogicalType.Value != nil {
			column = fileColumn{class: classOther, shown: elements[i].LogicalType.String()} // the library knows no such values
		}
		s.fields = append(s.fields, column)
	}
	return s, nil
}

func (s *parquetSource) columns() []string { return s.names }

// cause: what a page says is not brought into question by the rest of the file,
// as the text of a compressed CSV file is.
func (s *parquetSource) cause(err error) error { return err }

func (s *parquetSource) typeOf(field int) (registry.Type, bool) { return s.fields[field].own() }

// damage classifies a fault of reading: a bucket's may pass, the content's not.
func (s *parquetSource) damage(err error) error {
	if s.object.fault != nil {
		return fmt.Errorf("read raw object %s: %w", s.key, s.object.fault)
	}
	if own := (*scratchError)(nil); errors.As(err, &own) {
		return fmt.Errorf("read raw object %s: %w", s.key, err)
	}
	if unread := (*unreadError)(nil); errors.As(err, &unread) {
		return &Failure{Code: CodeFormat, ObjectKey: s.key, Message: "the file is written in a way that is not read: " + err.Error(),
			Expected: "Parquet as DMS writes it: " + unread.expected, Hint: "have the file written like that, or skip it"}
	}
	return &Failure{Code: CodeFormat, ObjectKey: s.key, Message: "the file is no whole Parquet file: " + strings.TrimPrefix(err.Error(), "parquet: "),
		Expected: "Parquet as DMS writes it", Hint: "check the registered format, have DMS write the file again, or skip it"}
}

// recoverDamage turns a panic into a failure of the file: damaged pages can
// send the Parquet reader astray, and one bad file must not end the process.
func (s *parquetSource) recoverDamage(err *error) {
	if p := recover(); p != nil {
		*err = s.damage(fmt.Errorf("its pages are damaged: %v", p))
	}
}

// So many rows of a Parquet file are decoded at a time, but as few as have so many
// bytes: the pages of all of them are held meanwhile.
const (
	rowsAtOnce  = 256
	bytesAtOnce = 16 << 20
)

func (s *parquetSource) each(ctx context.Context, b *binding, bad *faults, do func(fileRow) error) (err error) {
	if f := s.check(b); f != nil {
		return f
	}
	defer func() { err = errors.Join(err, s.dir.remove()) }()
	row := &valueRow{fields: s.fields}
	groups := s.file.Metadata().RowGroups
	for i, group := range s.file.RowGroups() {
		if group.NumRows() == 0 {
			continue // it may have no pages at all
		}
		size, wide, err := s.guard.group(&groups[i], s.file.Schema().Fields())
		if err != nil {
			return s.damage(err)
		}
		if wide {
			if err := s.wide(ctx, group, row, do); err != nil {
				return err
			}
			continue
		}
		if err := s.group(ctx, group, min(max(bytesAtOnce/max(size, 1), 1), rowsAtOnce), row, do); err != nil {
			return err
		}
	}
	return nil
}

// check refuses columns whose type can never fit, and before-images of the key
// that can never be one.
func (s *parquetSource) check(b *binding) *Failure {
	for i, c := range b.table.Columns {
		if field := b.fields[i]; field >= 0 && !s.fields[field].fits(c.Type.Kind) {
			return s.misfit(field, c.Name, c.Type, b.table)
		}
	}
	for k, name := range b.table.PrimaryKey {
		c, _ := b.table.Column(name)
		if field := b.before[k]; field >= 0 && !s.fields[field].fits(c.Type.Kind) {
			return s.misfit(field, s.names[field], c.Type, b.table)
		}
	}
	return nil
}

func (s *parquetSource) misfit(field int, column string, t registry.Type, table registry.Table) *Failure {
	return &Failure{Code: CodeColumnType, ObjectKey: s.key, Column: column,
		Message:  fmt.Sprintf("the file's column is %s, the table's is registered as %s; %s", s.fields[field].shown, t, s.showBoth(table)),
		Expected: "a type that turns into " + t.String() + " without loss",
		Hint: "if the table holds no rows yet, register the type that the source has, apply it and retry the file. Else it keeps its type " +
			"(`blotter table schema` shows it): have the task convert the column or write it under another name, and skip this file"}
}

func (s *parquetSource) unknownType(field int, table registry.Table) *Failure {
	if _, known := s.typeOf(field); known {
		return nil
	}
	return &Failure{Code: CodeColumnType, ObjectKey: s.key, Column: shownName(s.names[field]),
		Message:  fmt.Sprintf("the file's column is %s, which no column of a table can be; %s", s.fields[field].shown, s.showBoth(table)),
		Expected: "a type that a table can have", Hint: "leave the column out in the task, or convert it there; then skip this file"}
}

// showBoth gives names and types of the file's columns and the table's.
func (s *parquetSource) showBoth(table registry.Table) string {
	return "file: " + s.showColumns() + "; table, as registered: " + registry.ShowColumns(table.Columns)
}

// showColumns gives names and types of the file's columns.
func (s *parquetSource) showColumns() string {
	list := make([]string, len(s.names))
	for i, name := range s.names {
		list[i] = name + " " + s.fields[i].shown
	}
	return "(" + strings.Join(list, ", ") + ")"
}

// group reads the rows of a row group, some at a time.
func (s *parquetSource) group(ctx context.Context, group parquet.RowGroup, atOnce int64, row *valueRow, do func(fileRow) error) (err error) {
	defer s.recoverDamage(&err)
	rows := group.Rows()
	defer func() { err = errors.Join(err, rows.Close()) }()
	buf := make([]parquet.Row, atOnce)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := rows.ReadRows(buf)
		for _, values := range buf[:n] {
			row.row++
			if row.values = values; len(values) != len(s.fields) {
				return s.damage(fmt.Errorf("row %d has %d values", row.row, len(values)))
			}
			if err := s.guard.setBooleans(values); err != nil {
				return s.damage(fmt.Errorf("row %d: %w", row.row, err))
			}
			if err := do(row); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return s.damage(err)
		}
	}
}

// wide reads the rows of a row group whose columns are decoded one by one.
func (s *parquetSource) wide(ctx context.Context, group parquet.RowGroup, row *valueRow, do func(fileRow) error) (err error) {
	w, err := newWideGroup(s.dir, maxWideScratch, maxWideRow)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := s.layWide(ctx, w, group); err != nil {
		return err
	}
	w.rewind()
	for n := range group.NumRows() {
		if n%rowsAtOnce == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if row.values, err = w.next(); err == nil {
			err = s.guard.setBooleans(row.values)
		}
		if err != nil {
			return s.damage(fmt.Errorf("row %d: %w", row.row+1, err))
		}
		row.row++
		if err := do(row); err != nil {
			return err
		}
	}
	return nil
}

func (s *parquetSource) layWide(ctx context.Context, w *wideGroup, group parquet.RowGroup) (err error) {
	defer s.recoverDamage(&err)
	if err := w.lay(ctx, group); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return s.damage(err)
	}
	return nil
}

// finish reads the object once more, for its hash.
func (s *parquetSource) finish(ctx context.Context, o dms.Object) (Input, error) {
	raw := &hashingReader{ctx: ctx, r: io.NewSectionReader(s.object, 0, s.object.Info().Size), hash: sha256.New()}
	if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{raw}, make([]byte, inputBuffer)); err != nil {
		return Input{}, fmt.Errorf("read raw object %s: %w", o.Key, err)
	}
	return raw.input(o, s.object.Info().Size)
}

var _ typedSource = (*parquetSource)(nil)
