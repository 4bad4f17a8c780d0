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
	t.Parallel()
	failure := &blotterv1.Failure{Message: "a quote is never closed (row 2, field 5, byte 51)", Row: 2, Column: "note", Hint: "mend it"}
	s := &summary{at: inDir("there"), tables: []outcome{{
		Table:       tally.Table{Table: dms.TableID{DB: "rms", Table: "reports"}, Unnamed: 2},
		quarantined: []*lockmanager.File{{Failure: failure, Object: dms.Object{Key: "a.csv"}}},
	}, {
		Table: tally.Table{Table: dms.TableID{DB: "rms", Table: "people"}}, gaps: 2, pause: &lockmanager.PauseRecord{Reason: "operator"},
	}}}
	var out bytes.Buffer
	s.printOpen(&out)
	for _, want := range []string{
		"rms.reports: 2 objects were passed over in its folder",
		"see: blotter log 'rms.reports' --event FileRejected --dir",
		"a quote is never closed (row 2, field 5, byte 51)\n  mend it\n",
		"rms.people is paused (operator)\n  see: ",
		"\nrms.people lacks 2 files that were skipped; see: blotter table show 'rms.people' --dir",
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
	t.Parallel()
	for _, test := range []struct{ args, want string }{
		{"apply rms.yaml", "write: blotter apply"},
		{"cat", "write: blotter cat TABLE"},
		{"table shwo rms.reports", "did you mean `blotter table show`?"},
		{"table rms.reports", "`blotter table` knows no \"rms.reports\": see `blotter table --help`"},
		{"tabels", "did you mean `blotter table` or `blotter tables`?"},
		{"something", "`blotter` knows no \"something\": see `blotter --help`"},
		{"help something", "there is no command `blotter something`: see `blotter --help`"},
		{"help table something", "there is no command `blotter table something`"},
		{"tables --frob", "unknown flag: --frob; see `blotter tables --help`"},
		{"table show x --limit many", "see `blotter table show --help`"},
		{"apply", "name the registration with -f FILE; see `blotter apply --help`"},
		{"rejected export rms.reports", "with --file ID"},
		{"rejected replay rms.reports rows.csv", "with --file ID"},
		{"resume rms.reports --retry --skip", "--retry and --skip say different things"},
		{"load complete rms.reports --confirm --without-older", "--confirm and --without-older say"},
		{"load complete rms.reports --confirm --mended", "--confirm and --mended say"},
		{"replay --until 2h --seq 3", "--until and --seq say"},
	} {
		root := newRoot()
		root.SetArgs(strings.Fields(test.args))
		if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.args, err)
		}
	}
}
