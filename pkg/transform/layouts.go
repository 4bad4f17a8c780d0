package transform

import (
	"errors"
	"path"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// headerlessColumns names the columns of a file without a header by the
// registered layout that fits its kind, the time in its name and its width. The
// number of its first row is for the failure.
func headerlessColumns(job Job, width int, row int64) ([]string, error) {
	file := job.File
	name, why := dms.ParseName(path.Base(file.Object.Key), dms.NameRules{Place: dms.Anywhere})
	if why != nil {
		return nil, &Failure{Code: CodeLayout, ObjectKey: file.Object.Key, Message: why.Detail,
			Expected: "a name that DMS writes", Hint: "skip the file"}
	}
	kind := file.Kind
	if !file.Part.IsZero() {
		kind = dms.KindTransaction
	}
	layout, err := job.Table.LayoutFor(kind, name.Time, width)
	var none *registry.LayoutError
	if errors.As(err, &none) {
		return nil, &Failure{Code: CodeLayout, ObjectKey: file.Object.Key, Row: row, Message: none.Message(), Expected: none.Expected(), Hint: none.Hint()}
	}
	return layout.Columns, err
}
