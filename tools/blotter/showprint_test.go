package main

import (
	"bytes"
	"strings"
	"testing"

	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// Columns for what is rare are there when a file has it, and ties are explained.
func TestPrintFilesTellsWhatIsRare(t *testing.T) {
	for name, test := range map[string]struct {
		counts *blotterv1.RowCounts
		want   []string
		not    []string
	}{
		"neither": {&blotterv1.RowCounts{RowsRead: 5}, []string{"5"}, []string{"set aside", "│ ties │", "ties:"}},
		"ties":    {&blotterv1.RowCounts{RowsRead: 5, AmbiguousTies: 321}, []string{"│ ties │", "321", "ties: changes of one key"}, []string{"set aside"}},
		"blind":   {&blotterv1.RowCounts{RowsRead: 5, NoBeforeImage: 432}, []string{"│ no before-image │", "432", "dms.before_image_prefix"}, []string{"│ ties │"}},
		"both":    {&blotterv1.RowCounts{AmbiguousTies: 321, Rejected: 654}, []string{"set aside", "654", "│ ties │", "321"}, nil},
	} {
		var out bytes.Buffer
		(&tableView{}).printFiles(&out, "history", 2, []*lockmanager.File{{}, {Counts: test.counts}})
		for _, want := range test.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: %q is not in\n%s", name, want, &out)
			}
		}
		for _, not := range test.not {
			if strings.Contains(out.String(), not) {
				t.Errorf("%s: %q is in\n%s", name, not, &out)
			}
		}
	}
}
