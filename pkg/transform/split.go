package transform

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
)

// The fields before a row's own in a transaction file: operation, table, schema
// (DMS user guide, "Capturing data changes (CDC) including transaction order on
// the S3 target").
const (
	fieldOp = iota
	fieldTable
	fieldSchema
	fieldsBefore
)

// The bounds of what a split tells of its tables: it stands in events and in the
// state of the file.
const (
	maxParts     = 1000
	maxPartNames = 128 << 10 // bytes of all names together
	maxPartName  = 255       // bytes of one name
)

// splitter finds the parts of a transaction file.
type splitter struct {
	key    string
	file   dms.FileID
	faults *faults
	parts  []dms.TransactionPart // in the order of their first rows
	at     map[tableName]int     // their places
	names  int                   // bytes of all names
	counts Counts
}

type tableName struct{ schema, table string }

// split reads a transaction file whole and stages a manifest that names its
// parts, and no rows. What stands in a row's own fields is for the transforms of
// the parts to check.
func (t *transform) split(ctx context.Context) (*Result, error) {
	object, err := openObject(ctx, t.deps.Raw, t.job.File.Object)
	if err != nil {
		return nil, err
	}
	s := &splitter{key: t.job.File.Object.Key, file: t.job.File.ID, faults: t.faults, at: map[tableName]int{}}
	in, err := s.read(ctx, object, t)
	if err := errors.Join(err, object.Close()); err != nil {
		return nil, err
	}
	return writeManifest(ctx, t.deps.Staging, Manifest{
		Engine: Engine, Table: t.job.Table.ID, SpecVersion: t.job.Table.Version,
		FileID: t.job.File.ID, Token: t.job.Token, Kind: t.job.File.Kind, Order: t.job.File.Order,
		Input: in, Counts: s.counts, Parts: s.parts, Rows: []StagedParquet{}, Deletes: []StagedParquet{},
	})
}

func (s *splitter) read(ctx context.Context, object objects.Reader, t *transform) (Input, error) {
	in, err := openInput(ctx, object, s.key)
	if err != nil {
		return Input{}, t.located(err)
	}
	opt := dms.CSVOptions{MaxField: t.cfg.MaxFieldBytes}
	if d := t.job.Table.DMS.Delimiter; d != "" {
		opt.Delimiter = d[0]
	}
	src := &csvSource{in: in, key: s.key, names: []string{"operation", "table_name", "database_schema_name"},
		reader: dms.NewCSVReader(in.text, opt)}
	for {
		r, err := src.reader.Read()
		if errors.Is(err, io.EOF) && in.raw.err == nil {
			break
		}
		if err != nil {
			return Input{}, t.earlier(src.cause(src.failure(err)))
		}
		if err := s.row(r); err != nil {
			return Input{}, t.earlier(src.cause(err))
		}
	}
	if err := s.faults.failure(); err != nil {
		return Input{}, err
	}
	return in.finish(t.job.File.Object)
}

// row counts a row for its table. A row that is at fault is noted; an error ends
// the reading.
func (s *splitter) row(r dms.Record) error {
	s.counts.RowsRead++
	if n := r.Len(); n < fieldsBefore {
		s.faults.add(CodeColumnCount, r.Row(), "", nil, func(f *Failure) {
			f.Message = fmt.Sprintf("the row has %s, a transaction file has operation, table and schema before a row's own", columnsOf(n))
			f.Expected = fmt.Sprintf("%d columns or more", fieldsBefore)
			f.Hint = "check the delimiter, and whether PreserveTransactions is on; have DMS write the file again"
		})
		return nil
	}
	switch op := r.Field(fieldOp).Text; {
	case len(op) != 1:
		s.badOp(r)
	case op[0]&^0x20 == opInsert:
		s.counts.Inserts++
	case op[0]&^0x20 == opUpdate:
		s.counts.Updates++
	case op[0]&^0x20 == opRemove:
		s.counts.Deletes++
	default:
		s.badOp(r)
	}
	for _, field := range []int{fieldTable, fieldSchema} {
		if n := len(r.Field(field).Text); n == 0 || n > maxPartName {
			s.badName(r, field)
			return nil
		}
	}
	return s.count(r)
}

func (s *splitter) badOp(r dms.Record) {
	code, message := CodeOpUnknown, "the operation is none of I, U and D"
	if len(r.Field(fieldOp).Text) == 0 {
		code, message = CodeOpMissing, "missing Op: the row does not say what it did"
	}
	s.faults.add(code, r.Row(), "operation", r.Field(fieldOp).Text, func(f *Failure) {
		f.Message, f.Expected = message, "I, U or D"
		f.Hint = "a transaction file begins each row with operation, table and schema; check what else writes below the cdc_path"
	})
}

func (s *splitter) badName(r dms.Record, field int) {
	column := "table_name"
	if field == fieldSchema {
		column = "database_schema_name"
	}
	s.faults.add(CodeTransactionTable, r.Row(), column, nil, func(f *Failure) {
		f.Message = "the row does not name its table"
		f.Expected = fmt.Sprintf("operation, table and schema before the row's own columns, each name of 1 to %d bytes", maxPartName)
		f.Hint = "have DMS write the file again; a row shifted by a column looks like this"
	})
}

// count adds the row to its table's part.
func (s *splitter) count(r dms.Record) error {
	// The conversion to a key of a map allocates only for a new table.
	schema, table := r.Field(fieldSchema).Text, r.Field(fieldTable).Text
	if i, known := s.at[tableName{string(schema), string(table)}]; known {
		s.parts[i].Rows++
		return nil
	}
	s.names += len(schema) + len(table)
	if len(s.parts) == maxParts || s.names > maxPartNames {
		return &Failure{Code: CodeTransactionTables, ObjectKey: s.key, Row: r.Row(),
			Message:  fmt.Sprintf("the file holds rows of more than %d tables", len(s.parts)),
			Expected: fmt.Sprintf("at most %d tables in a transaction file, their names at most %d bytes together", maxParts, maxPartNames),
			Hint:     "divide the tables among several DMS tasks, each with a database and cdc_path of its own here; the column of table names may also be another than the second"}
	}
	part := dms.Part{FileID: s.file, Schema: string(schema), Table: string(table)}
	s.at[tableName{part.Schema, part.Table}] = len(s.parts)
	s.parts = append(s.parts, dms.TransactionPart{FileID: part.ID(), Schema: part.Schema, Table: part.Table, Rows: 1})
	return nil
}
