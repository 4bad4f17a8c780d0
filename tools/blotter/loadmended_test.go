package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// A load file that was skipped and comes again is put into its load, which was published
// meanwhile: its rows come in, and the changes behind the load stay. The log alone tells
// so: a system whose control store was lost before the word is as one that lost nothing,
// and the rows are those that the log's files make.
func TestLoadMended(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return time.Date(2024, 3, 4, 8, minute, 0, 0, time.UTC) }
	twins := []*testSystem{startSystem(t), startSystem(t)}
	for _, s := range twins {
		s.deliverAt(at(1), "LOAD00000001.csv", "id,status,amount\n1,\"op")
		s.must("resume", "rms.reports", "--skip", "--reason", "cut off")
		s.deliverAt(at(2), "LOAD00000002.csv", "id,status,amount\n3,open,3.00\n4,open,4.00\n")
		s.sealed()
		s.deliverAt(at(5), "20240304-060000000.csv", "Op,id,status,amount\nU,1,changed,1.00\nD,2,\\N,2.00\nU,3,changed,3.00\n")
		if _, err := s.blotter("load", "complete", "rms.reports", "--mended"); err == nil || !strings.Contains(err.Error(), "no open load") {
			t.Errorf("before it comes again, --mended says %v", err)
		}
		s.deliverAt(at(50), "LOAD00000001.csv", "id,status,amount\n1,open,1.00\n2,open,2.00\n5,open,5.00\n")
		s.deliverAt(at(51), "20240304-070000000.csv", "Op,id,status,amount\nU,5,changed,5.00\n")
		s.sealed()
		checkHeldPart(t, s)
		s.halt()
	}
	lost := twins[0]
	lost.lose("control.db")
	lost.lose("hold.db")
	lost.must("replay", "--rebuild")
	for _, s := range twins {
		s.restart()
		if out := s.must("load", "complete", "rms.reports", "--mended", "--reason", "DMS wrote it again"); !strings.Contains(out, "put into the load") {
			t.Errorf("the command says %s", out)
		}
		s.settle()
		s.must("replay")
		s.must("fsck")
		const want = "id,status,amount\n1,changed,1.00\n3,changed,3.00\n4,open,4.00\n5,changed,5.00\n"
		if got := s.must("cat", "rms.reports"); got != want {
			t.Errorf("the table is\n%s", got)
		}
		if out := s.must("log", "rms.reports", "--event", "LoadMended"); !strings.Contains(out, "generation 1, 1 file put into it, DMS wrote it again") {
			t.Errorf("the log says\n%s", out)
		}
		if out := s.must("tables"); strings.Contains(out, "lacks") || strings.Contains(out, "waits for a word") {
			t.Errorf("tables says\n%s", out)
		}
	}
	if a, b := twins[0].state(), twins[1].state(); a != b {
		t.Errorf("the one that lost its store has\n%s\nthe other one\n%s", a, b)
	}
	for _, s := range twins {
		s.halt()
		if out := s.must("replay", "--rows"); !strings.Contains(out, ": equal\n") || !strings.Contains(out, "4 rows rebuilt from 4 files") {
			t.Errorf("replayed are\n%s", out)
		}
	}
}

// checkHeldPart: whoever looks is told of both ways on.
func checkHeldPart(t *testing.T, s *testSystem) {
	t.Helper()
	if out := s.must("tables"); !strings.Contains(out, "rms.reports: its full load waits for a word (part); see: blotter table show 'rms.reports'") ||
		!strings.Contains(out, "rms.reports lacks 1 file that was skipped") {
		t.Errorf("tables says\n%s", out)
	}
	var lines []tableLine
	if err := json.Unmarshal([]byte(s.must("tables", "--json")), &lines); err != nil || len(lines) != 2 || lines[1].LoadHeldFor != "part" {
		t.Errorf("tables --json says %+v (%v)", lines, err)
	}
	out := s.must("table", "show", "rms.reports")
	for _, want := range []string{
		"held (part): dms/rms/reports/LOAD00000001.csv was written again after its version in the load before was given up",
		"to put it into the load that it was given up from: blotter load complete 'rms.reports' --mended --dir ",
		"if it is the whole of a load: blotter load complete 'rms.reports' --confirm --dir ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("table show lacks %q:\n%s", want, out)
		}
	}
	if _, err := s.blotter("load", "complete", "rms.reports"); err == nil ||
		!strings.Contains(err.Error(), "put it into the load that it was given up from with `blotter load complete rms.reports --mended`") {
		t.Errorf("without a word it says %v", err)
	}
}
