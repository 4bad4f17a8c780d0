package transform

import (
	"context"
	"fmt"
	"path"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
)

// source reads the rows of a file in some format.
type source interface {
	// columns names the file's columns in order; nil if the file has no rows and
	// tells of no columns.
	columns() []string
	// typeOf gives the type that the file itself has for a column; false if no
	// column of a table can have it. All that CSV knows is strings.
	typeOf(field int) (registry.Type, bool)
	// each passes every row to do, in file order, and notes in bad what is wrong
	// with rows that cannot be passed on. It ends with the first error of do, a
	// *Failure of the file as a whole, or a fault that may pass.
	each(ctx context.Context, b *binding, bad *faults, do func(fileRow) error) error
	// cause gives the fault behind a fault: where the file as a whole is damaged,
	// whatever else was found wrong in it comes of that.
	cause(err error) error
	// finish tells what was read, once each has ended well.
	finish(ctx context.Context, o dms.Object) (Input, error)
}

// typedSource is a source whose files tell the types of their columns.
type typedSource interface {
	source
	// unknownType refuses a column that nobody registered if no column of a table
	// can have its type; nil if one can.
	unknownType(field int, table registry.Table) *Failure
}

// openSource opens the content of an object in the table's format.
func openSource(ctx context.Context, object objects.Reader, job Job, cfg Config) (source, error) {
	if !job.File.Mending.IsZero() {
		in, err := openInput(ctx, object, job.File.Object.Key)
		if err != nil {
			return nil, err
		}
		return newMendedSource(in, job, cfg.MaxFieldBytes)
	}
	if f := otherFormat(job); f != nil {
		return nil, f
	}
	if job.Table.DMS.Format == registry.FormatParquet {
		return newParquetSource(object, job, cfg.ScratchDir)
	}
	in, err := openInput(ctx, object, job.File.Object.Key)
	if err != nil {
		return nil, err
	}
	return newCSVSource(in, job, cfg.MaxFieldBytes)
}

// otherFormat refuses a file whose name says another format than the registration.
func otherFormat(job Job) *Failure {
	name, why := dms.ParseName(path.Base(job.File.Object.Key), dms.NameRules{Place: dms.Anywhere})
	if why != nil || name.Format == job.Table.DMS.Format {
		return nil
	}
	return &Failure{Code: CodeFormat, ObjectKey: job.File.Object.Key,
		Message:  fmt.Sprintf("the name says %s, %s is registered", name.Format, job.Table.DMS.Format),
		Expected: "files in the registered format", Hint: "register the format that the task writes, apply it and retry the file, or skip it"}
}
