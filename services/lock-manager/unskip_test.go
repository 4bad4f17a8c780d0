package lockmanager

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// TestUnskipRefuses: what cannot be taken in any more is refused with the reason, and
// one such file keeps back all that are named with it.
func TestUnskipRefuses(t *testing.T) {
	at := func(minutes int) time.Time { return modelEpoch.Add(time.Duration(minutes) * time.Minute) }
	file := func(kind dms.FileKind, change func(*File)) *File {
		f := &File{ID: "f", Kind: kind, Status: Skipped, Object: dms.Object{Key: "k", LastModified: at(5)}, Order: "5"}
		if change != nil {
			change(f)
		}
		return f
	}
	for _, test := range []struct {
		name  string
		state State
		file  *File
		why   string // empty: it is taken in
	}{
		{"a change", State{}, file(dms.KindChange, nil), ""},
		{"a change of the generation in force", State{Generation: 2, FirstModified: at(5)}, file(dms.KindChange, nil), ""},
		{"a change of the first generation, which takes all", State{Generation: 1, FirstModified: at(6)}, file(dms.KindChange, nil), ""},
		{"a change that was left out by an operator", State{Generation: 1, FirstModified: at(6), LeavesOlder: true}, file(dms.KindChange, nil), "generation 1, lacks nothing"},
		{"a change of a replaced generation", State{Generation: 2, FirstModified: at(6)}, file(dms.KindChange, nil), "generation 2, lacks nothing"},
		{"a change while a load is open", State{Load: &Load{}}, file(dms.KindChange, nil), ""},
		{"a transaction file", State{Generation: 2, FirstModified: at(6)}, file(dms.KindTransaction, nil), ""},
		{"one that is published", State{}, file(dms.KindChange, func(f *File) { f.Status = Published }), "was not skipped: it is published"},
		{"one whose rows were lost", State{Losses: Losses{{From: 4, To: 7}}}, file(dms.KindChange, func(f *File) { f.Status, f.Token = Published, 7 }), ""},
		{"one that was published after the loss", State{Losses: Losses{{From: 4, To: 7}}}, file(dms.KindChange, func(f *File) { f.Status, f.Token = Published, 8 }), "not among those whose loss"},
		{"one that the lake still has", State{Losses: Losses{{From: 4, To: 7}}}, file(dms.KindChange, func(f *File) { f.Status, f.Token = Published, 4 }), "not among those whose loss"},
		{"one that was lost of a replaced generation", State{Losses: Losses{{From: 4, To: 7}}, Generation: 2, FirstModified: at(6)}, file(dms.KindChange, func(f *File) { f.Status, f.Token = Published, 7 }), "not among those whose loss"},
		{"a load file that was lost", State{Losses: Losses{{From: 4, To: 7}}, Generation: 1}, file(dms.KindLoad, func(f *File) { f.Status, f.Token, f.Generation = Published, 7, 1 }), "not among those whose loss"},
		{"one that waits", State{}, file(dms.KindChange, func(f *File) { f.Status = Waiting }), "was not skipped: it is waiting"},
		{"mended rows", State{}, file(dms.KindChange, func(f *File) { f.Mending = dms.Mending{FileID: "o", Rows: "2"} }), "blotter rejected replay"},
		{"a load file of the open load", State{Load: &Load{}}, file(dms.KindLoad, nil), ""},
		{"a load file of the sealed load", State{Load: &Load{Sealed: true, Files: []dms.FileID{"f"}}}, file(dms.KindLoad, nil), ""},
		{"a load file beside the sealed load", State{Load: &Load{Sealed: true, Files: []dms.FileID{"g"}}}, file(dms.KindLoad, nil), "published without it"},
		{"a load file while its load is published", State{Load: &Load{Sealed: true, Files: []dms.FileID{"f", "g"}}, Grant: &Grant{Token: 7, Replace: true}},
			file(dms.KindLoad, nil), "transaction 7; try again"},
		{"a load file of the generation in force", State{Generation: 1}, file(dms.KindLoad, func(f *File) { f.Generation = 1 }), "published without it"},
		{"a load file of the generation in force, which is open again", State{Generation: 1, Load: &Load{}}, file(dms.KindLoad, func(f *File) { f.Generation = 1 }), ""},
		{"a load file of the generation in force, with a newer load open", State{Generation: 1, Load: &Load{Base: 1}}, file(dms.KindLoad, func(f *File) { f.Generation = 1 }), "published without it"},
		{"a load file of a replaced load", State{Generation: 2}, file(dms.KindLoad, func(f *File) { f.Generation = 1 }), "lacks nothing of it. If that was no whole load, such as a mended file alone, have DMS load the table again"},
		{"a load file of an abandoned load", State{}, file(dms.KindLoad, func(f *File) { f.Superseded, f.Abandoned = true, true }), "given up"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &test.state
			s.Table, s.SpecVersion, s.Files = testTable, 1, map[dms.FileID]*File{"f": test.file}
			before := stateText(s)
			events, err := s.decideCommand(modelConfig(), Unskip{Order: Order{ID: "1"}, Files: []dms.FileID{"f", "f"}})
			switch {
			case test.why == "" && (err != nil || len(events) != 2):
				t.Errorf("it is refused: %v, %v", events, err)
			case test.why != "" && (!errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), test.why)):
				t.Errorf("it says %v, %v; expected %q", events, err, test.why)
			}
			if stateText(s) != before {
				t.Error("the decision changed the state")
			}
			if test.why == "" {
				return
			}
			s.Files["good"] = &File{ID: "good", Kind: dms.KindTransaction, Status: Skipped}
			if events, err := s.decideCommand(modelConfig(), Unskip{Order: Order{ID: "2"}, Files: []dms.FileID{"good", "f"}}); err == nil {
				t.Errorf("a good one beside it is taken in: %v", events)
			}
		})
	}
	for status, refused := range map[Status]bool{Waiting: true, Staged: true, Skipped: true, Ignored: false} { // one that counts no more is put away
		s := State{Table: testTable, SpecVersion: 1, Load: &Load{}, Files: map[dms.FileID]*File{"f": file(dms.KindLoad, nil)}}
		s.Files["g"] = &File{ID: "g", Kind: dms.KindLoad, Status: status, Reason: reasonRefused, Object: dms.Object{Key: "k", LastModified: at(6)}, Order: "6"}
		_, err := s.decideCommand(modelConfig(), Unskip{Files: []dms.FileID{"f"}})
		if got := err != nil && strings.Contains(err.Error(), "came again since"); got != refused {
			t.Errorf("beside a later version that is %s: %v", status, err)
		}
	}
	mended := State{Table: testTable, SpecVersion: 1, Load: &Load{Sealed: true, Files: []dms.FileID{"g"}, Replaced: []dms.FileID{"f"}}}
	mended.Files = map[dms.FileID]*File{"f": file(dms.KindLoad, nil), "g": {ID: "g", Kind: dms.KindLoad, Status: Staged, Object: dms.Object{Key: "k", LastModified: at(6)}, Order: "6"}}
	if _, err := mended.decideCommand(modelConfig(), Unskip{Files: []dms.FileID{"f"}}); err == nil || !strings.Contains(err.Error(), "came again since") {
		t.Errorf("in whose place one came in a sealed load: %v", err)
	}
	s := State{Table: testTable, SpecVersion: 1}
	for _, n := range []int{0, MaxUnskipped + 1} {
		ids := make([]dms.FileID, n)
		for i := range ids {
			ids[i] = dms.FileID(fmt.Sprint(i))
		}
		if _, err := s.decideCommand(modelConfig(), Unskip{Files: ids}); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "expected 1 to 100") {
			t.Errorf("%d files: %v", n, err)
		}
	}
	if _, err := s.decideCommand(modelConfig(), Unskip{Files: []dms.FileID{"x"}}); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "knows no file x") {
		t.Errorf("an unknown file: %v", err)
	}
}

// TestUnskipSurvives: whoever carries the command out dies behind its commit, and the
// command comes again: the file waits once, is published once, by processes that have
// seen nothing of it, and the log says the same from the beginning.
func TestUnskipSurvives(t *testing.T) {
	b := newShellBench(t)
	s, _, _ := b.process()
	b.execute(s, "apply", applyRequest(t, "1"))
	bad := b.classified("20260228-010000000.csv")
	b.hearsAnew(bad)
	id := bad.GetFile().GetFileId()
	b.hearsAnew(&blotterv1.TransformFailed{FileId: id, Token: b.state().Token, Failure: &blotterv1.Failure{Code: "csv.not_utf8", Message: "no"}})
	b.hearsAnew(&blotterv1.GrantFenced{Token: b.state().Token, SnapshotId: 3})
	request := func(id string) CommandRequest {
		return CommandRequest{ID: id, Actor: "operator:test", Reason: "test", Table: testTable.String()}
	}
	skip := request("skip")
	skip.Mode = "skip"
	s, _, _ = b.process()
	if reply := b.execute(s, "resume", skip); reply.Refused != "" {
		t.Fatal(reply.Refused)
	}
	later := b.classified("20260228-020000000.csv")
	b.hearsAnew(later)
	b.stages(0)
	b.publishes()

	unskip := request("unskip")
	unskip.Files = []dms.FileID{dms.FileID(id)}
	dies, before, _ := b.process()
	before.Store(true)
	if reply, err := dies.Execute(t.Context(), "unskip", unskip); !errors.Is(err, errOutOfLife) {
		t.Fatalf("the process lives: %v, %v", reply, err)
	}
	for range 2 {
		s, _, _ := b.process()
		if reply := b.execute(s, "unskip", unskip); reply.Refused != "" || !strings.Contains(reply.Detail, "takes dms/rms/reports/20260228-010000000.csv in after all") {
			t.Errorf("the answer is %+v", reply)
		}
	}
	again := unskip
	again.ID = "another"
	s, _, _ = b.process()
	if reply := b.execute(s, "unskip", again); !strings.Contains(reply.Refused, "was not skipped: it is granted") {
		t.Errorf("the same file again: %+v", reply)
	}
	b.hearsAnew(bad) // delivered once more
	b.stages(0)
	if got := b.publishes(); !slices.Equal(got, []dms.FileID{dms.FileID(id)}) {
		t.Errorf("published are %v", got)
	}
	if n := b.counts(); n["FileRetried"] != 1 || n["FileAccepted"] != 2 || n["LockGranted"] != 3 {
		t.Errorf("the log says %v", n)
	}
}

// skipped gives the files that an operator went on without, by order.
func (w *world) skipped() []*File {
	return w.folded.files(func(f *File) bool { return f.Status == Skipped })
}

// checkUnskipped: only what an operator named, and skipped before, waits again.
func (w *world) checkUnskipped(id string) {
	f := w.folded.Files[dms.FileID(id)]
	if f == nil || f.Status != Skipped && f.Status != Quarantined {
		w.problem("file %s is tried again: %+v", w.name(id), f)
		return
	}
	if f.Status != Skipped {
		return
	}
	kind := map[dms.FileKind]string{dms.KindLoad: "load", dms.KindChange: "change", dms.KindTransaction: "transaction"}[f.Kind]
	w.saw("taken in after all: " + kind + " file")
	if w.unskipped == nil {
		w.unskipped = map[string]bool{}
	}
	w.unskipped[id] = true
}
