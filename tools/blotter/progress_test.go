package main

import (
	"testing"

	"github.com/openblotter/blotter/tools/internal/tally"
)

// A line of progress never tells of more files than there are, and tells apart what
// came in from what was left out.
func TestDescribe(t *testing.T) {
	t.Parallel()
	for want, table := range map[string]tally.Table{
		"1 of 1 file taken in":                        {Phase: "streaming", Arrived: 1, Published: 1},
		"2 of 5 files taken in, 1 skipped, 2 ignored": {Phase: "streaming", Arrived: 5, Published: 1, Split: 1, Skipped: 1, Ignored: 2},
		"a full load begins; 0 of 2 files taken in":   {Phase: "loading", Arrived: 2},
		"a full load waits for its end, 1 file read; 0 of 1 file taken in; PAUSED: late": {
			Phase: "loading", Arrived: 1, Staged: 1, Paused: "late"},
		"a full load waits for its end, 1 file read; 0 of 1 file taken in; its full load is HELD: file 2 is missing; see: blotter table show 'rms.reports'": {
			Table: reportsID, Phase: "loading", Arrived: 1, Staged: 1, LoadHeld: "file 2 is missing"},
	} {
		if got := describe(table); got != want {
			t.Errorf("it says %q, expected %q", got, want)
		}
	}
}
