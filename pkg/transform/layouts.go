package transform

import (
	"path"

	"github.com/openblotter/blotter/pkg/dms"
)

// headerlessColumns names the columns of a file without a header by the
// registered layout that fits its kind, the time in its name and its width.
func headerlessColumns(job Job, width int) ([]string, error) {
	file := job.File
	name, why := dms.ParseName(path.Base(file.Object.Key), dms.NameRules{Place: dms.Anywhere})
	if why != nil {
		return nil, &Failure{Code: CodeLayout, ObjectKey: file.Object.Key, Message: why.Detail,
			Expected: "a name that DMS writes", Hint: "skip the file"}
	}
	layout, err := job.Table.LayoutFor(file.Kind, name.Time, width)
	if err != nil {
		return nil, &Failure{Code: CodeLayout, ObjectKey: file.Object.Key, Row: 1, Message: err.Error()}
	}
	return layout.Columns, nil
}
