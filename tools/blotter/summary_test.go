package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/tally"
)

// A summary tells of objects that were passed over, and says a place once.
func TestSummaryTellsWhatIsOpen(t *testing.T) {
	failure := &blotterv1.Failure{Message: "a quote is never closed (row 2, field 5, byte 51)", Row: 2, Column: "note", Hint: "mend it"}
	s := &summary{at: inDir("there"), tables: []outcome{{
		Table:       tally.Table{Table: dms.TableID{DB: "rms", Table: "reports"}, Unnamed: 2},
		quarantined: []*lockmanager.File{{Failure: failure, Object: dms.Object{Key: "a.csv"}}},
	}}}
	var out bytes.Buffer
	s.printOpen(&out)
	for _, want := range []string{
		"rms.reports: 2 objects were passed over in its folder",
		"see: blotter log 'rms.reports' --event FileRejected --dir",
		"a quote is never closed (row 2, field 5, byte 51)\n  mend it\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	failure.Message = "the value is too large"
	if text := failureText(s.tables[0].quarantined[0]); !strings.HasPrefix(text, "the value is too large (row 2, column note)\n") {
		t.Errorf("it says %s", text)
	}
}

// What is written wrongly is answered with how it is written.
func TestWrongArguments(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"apply rms.yaml", "write: blotter apply"},
		{"cat", "write: blotter cat TABLE"},
		{"table shwo rms.reports", "did you mean `blotter table show`?"},
		{"table rms.reports", "`blotter table` knows no \"rms.reports\": see `blotter table --help`"},
	} {
		root := newRoot()
		root.SetArgs(strings.Fields(test.args))
		if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.args, err)
		}
	}
}
