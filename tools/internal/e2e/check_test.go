package e2e

import (
	"fmt"
	"slices"
	"testing"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	"github.com/openblotter/blotter/tools/internal/cases"
)

// maxFiles is more than any test has.
const maxFiles = 10_000

// readLog gives all events.
func readLog(t *testing.T, log *eventlog.Log) []eventlog.Record {
	t.Helper()
	var records []eventlog.Record
	for r, err := range log.Read(t.Context(), eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

// holds fails the test for everything that was found wrong.
func holds(t *testing.T, found []string, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

// publishedFiles counts by key how many files ended as published.
func publishedFiles(records []eventlog.Record) map[string]int {
	keys := map[string]string{}
	ended := map[string]bool{}
	for _, r := range records {
		switch e := r.Event.(type) {
		case *blotterv1.FileAccepted:
			keys[e.GetFile().GetFileId()] = e.GetFile().GetObject().GetKey()
		case *blotterv1.LockReleased:
			for _, f := range e.GetFiles() {
				ended[f.GetFileId()] = true
			}
		}
	}
	counts := map[string]int{}
	for id := range ended {
		counts[keys[id]]++
	}
	return counts
}

// compareRows reads a table back and compares it.
func compareRows(t *testing.T, l *lake.Lake, spec registry.Table, want cases.Rows) *cases.Diff {
	t.Helper()
	set, err := l.Rows(t.Context(), spec.ID)
	if err != nil {
		t.Fatal(err)
	}
	var got cases.Rows
	for _, c := range set.Columns {
		got.Columns = append(got.Columns, c.Name)
	}
	got.Seq = func(yield func([]cases.Cell, error) bool) {
		for row, err := range set.All(t.Context()) {
			cells := make([]cases.Cell, 0, len(row.Values))
			for i, v := range row.Values {
				cells = append(cells, cases.Cell{Null: v.IsNull(), Text: lake.FormatValue(set.Columns[i].Type, v)})
			}
			if !yield(cells, err) {
				return
			}
		}
	}
	diff, err := cases.Compare(cases.Spec{PrimaryKey: spec.PrimaryKey, Columns: spec.Columns}, want, got)
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", spec.ID, err))
	}
	slices.Sort(diff.Examples)
	return diff
}
