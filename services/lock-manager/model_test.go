package lockmanager

import (
	"flag"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// modelCounters are what the property must have reached over all its runs, so
// that nothing it says is said of nothing.
var modelCounters = []string{
	"redelivery", "command twice", "command refused",
	"late load file", "late load file joined", "LoadReopened", "refused load file",
	"superseded load file", "superseded change file", "change file folded into a replacement",
	"stale transform", "stale commit refused", "fenced commit refused", "commit conflict",
	"fence: failed", "fence: suspects", "good files before a suspect", "suspect published", "suspect paused the table", "kept: failed", "kept: deadline",
	"suspect load file", "fence: deadline", "fence: forced", "fence finds the files landed",
	"published in spite of a fence: deadline",
	"replacement fenced", "merge lands after a load opened",
	"load opened", "load opened over a generation", "generation above one",
	"sealed: listing", "sealed: quiet_period", "sealed: operator",
	"load held: gap", "load held: shrunk", "load held: part", "load held: divided", "load in force taken in anew", "LoadConfirmed", "LoadAbandoned", "LoadMended",
	"held: loading", "held: paused", "grant of several files",
	"paused: failure", "paused: operator", "paused: late_load_file", "paused: deadline",
	"FileSkipped", "FileRetried", "FlagChanged", "folded change file at fault",
	"taken in after all: change file",
	"paused: source_deleted", "many deletions, one pause",
	"restart", "crash between commit and publication",
	"pure function of the load files", "seal before its files",
	"maintenance: publications", "maintenance: age", "maintenance: operator", "maintenance: a further step",
	"maintenance: again after a failure", "maintenance between files", "step fenced: failed", "step fenced: deadline", "step fenced: forced",
	"fence finds the step taken",
}

// TestModel: whatever the files, their arrival, the workers' and the curator's
// delays and the operator's choices, the invariants of design.md hold at every
// step and the end is what the files say.
func TestModel(t *testing.T) {
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for range 20 {
		t.Run("", rapid.MakeCheck(func(t *rapid.T) { runModel(t, seen) }))
	}
	if t.Failed() {
		return
	}
	for _, counter := range modelCounters {
		if seen[counter] == 0 {
			t.Errorf("never reached: %s", counter)
		}
	}
	if testing.Verbose() {
		for _, counter := range slices.Sorted(maps.Keys(seen)) {
			t.Logf("%7d %s", seen[counter], counter)
		}
	}
}

func runModel(t *rapid.T, seen map[string]int) {
	w := newWorld(eagerConfig(2), seen, drawFiles(t)...)
	w.play(t)
}

// play has anything happen to a world, then lets it come to rest.
func (w *world) play(t *rapid.T) {
	w.playWith(t, choice{ignoreLate: even(t, 0, 3, "ignoreLate") == 0, skipFirst: rapid.Bool().Draw(t, "skipFirst"), mended: even(t, 0, 3, "mended") > 0})
}

func (w *world) playWith(t *rapid.T, c choice) {
	w.shell = newShell(w.cfg)
	w.send(&blotterv1.ListingClassified{ListingId: "listing", Complete: true})
	w.order(func(o Order) Command { return Register{Order: o, Spec: specOf(w.table, 1, registry.FlagLambda)} })
	if !w.table.IsTransactions() {
		w.drawDeletions(t)
	}
	for range even(t, 5, 70, "steps") {
		w.drawStep(t, c)
		w.fatal(t)
	}
	w.drain(c)
	if len(w.problems) == 0 {
		w.shell.checkEnd(w)
	}
	w.fatal(t)
}

// TestModelOfTransactionFiles: the same of a pseudo-table of transaction files:
// each is split once and whole, lowest first, or an operator went on without it,
// and nothing of it reaches the lake.
func TestModelOfTransactionFiles(t *testing.T) {
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		var files []*rawFile
		for i := range even(t, 1, 6, "files") {
			f := txnFile(10*even(t, 0, 20, "name")+i, even(t, -50, 50, "modified"), make([]op, even(t, 0, 3, "parts"))...)
			f.fault = drawFault(t, unreadable, flaky, hanging)
			files = append(files, f)
		}
		newWorldOf(txnTable, modelConfig(), seen, files...).play(t)
	})
	for _, counter := range []string{
		"split", "released: split", "released: failed", "released: deadline", "released: forced", "redelivery", "stale transform",
		"held: paused", "paused: failure", "paused: operator", "paused: deadline", "FileSkipped", "FileRetried",
		"taken in after all: transaction file", "restart", "crash between commit and publication",
	} {
		if seen[counter] == 0 && !t.Failed() {
			t.Errorf("never reached: %s", counter)
		}
	}
}

func (w *world) fatal(t *rapid.T) {
	if len(w.problems) > 0 {
		for _, said := range w.log {
			t.Logf("%s", w.line(said))
		}
		t.Fatalf("%s", w.problems[0])
	}
}

// drawFiles draws up to three full loads of up to three files, and up to six
// change files. A load's files are modified near to each other, changes at any time.
func drawFiles(t *rapid.T) []*rawFile {
	var files []*rawFile
	loads := even(t, 0, 3, "loads")
	value := 0
	rows := func(kinds string, least int) []op {
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) op {
			value++
			return op{
				kind: kinds[even(t, 0, len(kinds)-1, "kind")], value: value,
				key: even(t, 1, 5, "key"), seq: even(t, 1, 30, "seq"),
			}
		}), least, 4).Draw(t, "rows")
	}
	for load := range loads {
		for number := 1; number <= 3; number++ {
			if even(t, 0, 3, "left out") == 0 {
				continue
			}
			minutes := 100*load + even(t, 0, 6, "modified")
			f := loadFile(number, minutes, string('a'+rune(load)), rows("L", 0)...)
			f.fault = drawFault(t, unreadable, flaky, hanging, unmergeable, disputed)
			files = append(files, f)
		}
	}
	for i := range even(t, 0, 6, "changes") {
		minute := 10*even(t, 0, 20, "name") + i
		makeFile := changeFile
		if even(t, 0, 3, "of a transaction file") == 0 {
			makeFile = txnPart
		}
		f := makeFile(minute, even(t, -50, 100*loads+50, "modified"), rows("IUD", 1)...)
		f.fault = drawFault(t, unreadable, flaky, hanging, unmergeable, unfoldable, unfoldable, disputed, disputed)
		files = append(files, f)
	}
	return files
}

// drawDeletions has some of the raw objects deleted, some more than once.
func (w *world) drawDeletions(t *rapid.T) {
	ids := slices.Sorted(maps.Keys(w.files))
	if len(ids) == 0 || even(t, 0, 2, "deletions") > 0 {
		return
	}
	for n := range even(t, 1, 3, "deleted") {
		f := w.files[ids[even(t, 0, len(ids)-1, "which")]]
		w.send(f.deleted([]string{deletedByRequest, deletedByRequest, "expired"}[even(t, 0, 2, "reason")], uint64(n)))
	}
}

func drawFault(t *rapid.T, of ...fault) fault {
	if even(t, 0, 5, "faulty") > 0 {
		return sound
	}
	return of[even(t, 0, len(of)-1, "fault")]
}

// drawStep draws one thing that happens next; what is likely stands often.
func (w *world) drawStep(t *rapid.T, c choice) {
	kinds := []string{
		"deliver", "deliver", "deliver", "deliver", "work", "work", "work", "curate", "curate", "curate", "curate", "curate",
		"deliver again", "work again", "curate again", "settle", "settle", "meddle", "minute", "deadline", "quiet", "restart", "rest", "unskip", "unskip",
	}
	switch kind := kinds[even(t, 0, len(kinds)-1, "step")]; kind {
	case "deliver", "deliver again":
		if m, ok := drawOf(t, w.bag, func(m *message) bool { return (m.delivered > 0) == (kind != "deliver") }); ok {
			w.deliver(m)
		}
	case "work", "work again":
		if task, ok := drawOf(t, w.work, func(k *task) bool { return (k.runs > 0) == (kind != "work") }); ok {
			w.run(task)
		}
	case "curate", "curate again":
		if j, ok := drawOf(t, w.jobs, func(j *job) bool { return (j.runs > 0) == (kind != "curate") }); ok {
			w.curate(j)
		}
	case "settle":
		w.settle(c)
	case "meddle":
		w.meddle(t)
	case "unskip":
		if f, ok := drawOf(t, w.skipped(), func(*File) bool { return true }); ok {
			w.order(func(o Order) Command { return Unskip{Order: o, Files: []dms.FileID{f.ID}} })
		}
	case "rest":
		w.rest(c)
	case "minute":
		w.tick(time.Minute)
	case "deadline":
		w.tick(w.cfg.GrantTimeout + time.Second)
	case "quiet":
		w.tick(10 * time.Minute)
	case "restart":
		w.saw("restart")
		w.shell.restart(w.cfg)
		w.shell.log.die = rapid.Bool().Draw(t, "dies again")
	}
}

// even draws a number from low to high, all alike: rapid's own ranges prefer
// small numbers, and a schedule has no small ones. It shrinks towards low.
func even(t *rapid.T, low, high int, label string) int {
	return rapid.Custom(func(t *rapid.T) int {
		n := 0
		for range 10 {
			n <<= 1
			if rapid.Bool().Draw(t, "bit") {
				n++
			}
		}
		return low + n%(high-low+1)
	}).Draw(t, label)
}

// drawOf draws one of those that fit.
func drawOf[T any](t *rapid.T, all []*T, fits func(*T) bool) (*T, bool) {
	var some []*T
	for _, one := range all {
		if fits(one) {
			some = append(some, one)
		}
	}
	if len(some) == 0 {
		return nil, false
	}
	return some[even(t, 0, len(some)-1, "which")], true
}

// meddle has the operator give a command that nothing asked for.
func (w *world) meddle(t *rapid.T) {
	which := even(t, 0, 8, "command")
	engine := blotterv1.Engine(even(t, 1, 2, "engine"))
	flag := map[blotterv1.Engine]registry.Flag{1: registry.FlagLambda, 2: registry.FlagGlue}[engine]
	version := w.folded.SpecVersion + 1
	w.order(func(o Order) Command {
		return []Command{
			Pause{Order: o}, Pause{Order: o, Force: true}, Resume{Order: o}, LoadComplete{Order: o},
			SetFlag{Order: o, Engine: engine}, Register{Order: o, Spec: specOf(w.table, version, flag)}, LoadReopen{o}, Maintain{o},
			LoadComplete{Order: o, Mended: true},
		}[which]
	})
}
