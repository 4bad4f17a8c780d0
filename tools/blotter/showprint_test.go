package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// Columns for what is rare are there when a file has it, and ties are explained.
func TestPrintFilesTellsWhatIsRare(t *testing.T) {
	t.Parallel()
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

// A load of which no file comes is told, with its end, where change files wait for it.
func TestLoadWithoutFileIsTold(t *testing.T) {
	t.Parallel()
	opened := time.Date(2024, 3, 4, 8, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		quiet         time.Duration
		status        lockmanager.Status // of a load file; empty: there is none
		waiting       bool
		inTables      bool
		shows, notYet string
	}{
		"changes wait":     {waiting: true, inTables: true, shows: "no file of it has come: without one it is given up 24h0m0s after it was opened, or now by: blotter load complete 'rms.reports' --dir d"},
		"nothing waits":    {shows: "no file of it has come"},
		"a quiet period":   {quiet: time.Hour, waiting: true, shows: "given up after the quiet period of 1h0m0s"},
		"a file has come":  {status: lockmanager.Staged, waiting: true, shows: "open: it takes load files", notYet: "no file of it"},
		"its file skipped": {status: lockmanager.Skipped, waiting: true, inTables: true, shows: "no file of it has come"},
	} {
		t.Run(name, func(t *testing.T) {
			s := lockmanager.NewState(dms.TableID{DB: "rms", Table: "reports"})
			s.QuietPeriod = test.quiet
			s.Load = &lockmanager.Load{Opened: opened, LastFile: opened}
			if test.status != "" {
				s.Files["l"] = &lockmanager.File{ID: "l", Kind: dms.KindLoad, Status: test.status}
			}
			if test.waiting {
				s.Files["c"] = &lockmanager.File{ID: "c", Kind: dms.KindChange, Status: lockmanager.Waiting}
			}
			at := inDir("d")
			var tables, show bytes.Buffer
			printTables(&tables, at, []tableLine{lineOf(s)}, opened)
			viewState(s, at, 20).print(&show, 20)
			if told := strings.Contains(tables.String(), "rms.reports: 1 file waits for a full load of which no file has come; without one"); told != test.inTables {
				t.Errorf("tables says\n%s", &tables)
			}
			if !strings.Contains(show.String(), test.shows) || test.notYet != "" && strings.Contains(show.String(), test.notYet) {
				t.Errorf("show says\n%s", &show)
			}
		})
	}
}
