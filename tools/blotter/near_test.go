package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
)

func TestNearTables(t *testing.T) {
	t.Parallel()
	known := []dms.TableID{{DB: "rms", Table: "reports"}, {DB: "rms", Table: "report"}, {DB: "jail", Table: "reports"}, {DB: "rms", Table: "people"}, {DB: "rms", Table: "@txn"}}
	for _, test := range []struct {
		db, table string
		want      []string
	}{
		{"rms", "reprots", []string{"rms.reports"}},
		{"rms", "Reports", []string{"rms.reports", "rms.report", "jail.reports"}},
		{"rsm", "reports", []string{"rms.reports", "jail.reports"}},
		{"court", "people", []string{"rms.people"}},
		{"rms", "repor", []string{"rms.report", "rms.reports"}},
		{"rms", "charges", nil},
		{"rms", "@txm", []string{"rms.@txn"}},
	} {
		if got := nearTables(known, dms.TableID{DB: test.db, Table: test.table}); !slices.Equal(got, test.want) {
			t.Errorf("%s.%s: %q, expected %q", test.db, test.table, got, test.want)
		}
	}
}

// Every command that is given a table that nobody knows says which was perhaps meant, and
// changes nothing.
func TestMistypedTables(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.halt()
	before := s.must("log")
	for _, command := range []string{
		"flag rms.reprots G", "pause rms.reprots", "resume rms.reprots", "resume rms.reprots --skip", "unskip rms.reprots x",
		"load complete rms.reprots", "load reopen rms.reprots", "load ignore rms.reprots", "holdqueue rebuild rms.reprots",
		"table maintain rms.reprots", "table show rms.reprots", "table schema rms.reprots", "table files rms.reprots", "cat rms.reprots",
		"explain rms.reprots 1", "log rms.reprots", "replay rms.reprots", "rejected list rms.reprots", "fsck rms.reprots",
	} {
		out, err := s.blotter(strings.Fields(command)...)
		if err == nil || !strings.Contains(err.Error(), "did you mean rms.reports?") {
			t.Errorf("%s says %v\n%s", command, err, out)
		}
	}
	if after := s.must("log"); after != before {
		t.Errorf("the log says\n%s\nbefore\n%s", after, before)
	}
	if _, err := s.blotter("log", "rms.reports", "--event", "FileSkipped"); err == nil || strings.Contains(err.Error(), "blotter tables") ||
		!strings.Contains(err.Error(), "no event of table rms.reports that was asked for") {
		t.Errorf("an event that was never said: %v", err)
	}
}
