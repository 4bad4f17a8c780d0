package lockmanager

import (
	"flag"
	"slices"
	"testing"

	"pgregory.net/rapid"

	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// TestModelOfMendedLoads: the same as TestModel of tables some of whose load files are
// bad and are mended, once or twice, in any order beside reloads and changes: whatever
// load an operator has them belong to.
func TestModelOfMendedLoads(t *testing.T) {
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for range 8 {
		t.Run("", rapid.MakeCheck(func(t *rapid.T) {
			w := newWorld(eagerConfig(2), seen, drawMendedFiles(t)...)
			w.playWith(t, choice{skipFirst: even(t, 0, 3, "skipFirst") > 0, mended: even(t, 0, 4, "mended") > 0})
		}))
	}
	if t.Failed() {
		return
	}
	for _, counter := range []string{
		"load held: part", "load held: mixed", "load held: divided", "LoadMended", "mended file put into a load that was published",
		"change file folded into a replacement", "superseded load file", "late load file", "FileSkipped",
		"restart", "crash between commit and publication", "command twice", "redelivery", "generation above one",
		"pure function of the load files", "seal before its files",
	} {
		if seen[counter] == 0 {
			t.Errorf("never reached: %s", counter)
		}
	}
	if testing.Verbose() {
		t.Log(seen)
	}
}

// drawMendedFiles draws a load or two, half of whose files are bad, up to two versions
// more of each of these, and changes.
func drawMendedFiles(t *rapid.T) []*rawFile {
	var files []*rawFile
	value := 0
	row := func(kind byte) op {
		value++
		return op{kind: kind, key: even(t, 1, 5, "key"), value: value, seq: even(t, 1, 30, "seq")}
	}
	draw := func(number, minutes int, version string) *rawFile {
		f := loadFile(number, minutes, version, row('L'), row('L'))
		f.fault = drawFault(t, unreadable, flaky, unmergeable)
		return f
	}
	for load := range even(t, 1, 2, "loads") {
		for number := 1; number <= even(t, 2, 3, "files"); number++ {
			f := draw(number, 100*load+number, string('a'+rune(3*load)))
			files = append(files, f)
			if even(t, 0, 1, "bad") == 0 {
				continue
			}
			f.fault = unreadable
			for again := range even(t, 0, 2, "mended") {
				files = append(files, draw(number, 100*load+20*(again+1)+even(t, 0, 9, "modified"), string('b'+rune(3*load+again))))
			}
		}
	}
	for i := range even(t, 0, 4, "changes") {
		f := changeFile(10*even(t, 0, 20, "name")+i, even(t, -20, 250, "modified"), row("IUD"[even(t, 0, 2, "kind")]))
		f.fault = drawFault(t, unreadable, unfoldable)
		files = append(files, f)
	}
	return files
}

// rejoins reports whether an operator's word is in force that a load file is mended.
func (w *world) rejoins(f *rawFile) bool {
	known := w.folded.Files[f.id()]
	return known != nil && known.Rejoins
}

// checkMendedLoad: only a file rejoins whose version before was given up, or rejoins
// with it, while its load is open.
func (w *world) checkMendedLoad(e *blotterv1.LoadMended) {
	w.saw("LoadMended")
	l := w.folded.Load
	if l == nil || l.Sealed || len(e.GetFileIds()) == 0 {
		w.problem("files %v are mended, the load is %+v", w.names(e.GetFileIds()), l)
		return
	}
	if len(w.log) > 0 {
		if _, ok := w.log[len(w.log)-1].event.(*blotterv1.LoadReopened); ok && l.Base < w.folded.Generation {
			w.saw("mended file put into a load that was published")
		}
	}
	for _, id := range e.GetFileIds() {
		f := w.files[id]
		var before *rawFile
		for _, g := range w.files {
			if g.isLoad() && g.key() == f.key() && g.modified().Before(f.modified()) && w.counts(g) &&
				(before == nil || before.modified().Before(g.modified())) {
				before = g
			}
		}
		if before == nil || w.status(string(before.id())) != Skipped && !slices.Contains(e.GetFileIds(), string(before.id())) {
			w.problem("file %s is mended, before it was %+v", f.name, before)
		}
	}
}

// counts reports whether a load file counts for the load that is open.
func (w *world) counts(f *rawFile) bool {
	known := w.folded.Files[f.id()]
	return known != nil && known.Status != Ignored && w.folded.ofLoad(known)
}

// noteForgotten counts files that are mended no more, since another one comes.
func (w *world) noteForgotten(e *blotterv1.FileAccepted) {
	l := w.folded.Load
	if !w.files[e.GetFile().GetFileId()].isLoad() || e.GetLate() || l == nil || l.Sealed {
		return
	}
	if len(w.folded.files(func(f *File) bool { return f.Rejoins && f.Generation == 0 && w.folded.ofLoad(f) })) > 0 {
		w.saw("mended file forgotten")
	}
}

// checkSealed: what is replaced in a load is an earlier version of a file of it that an
// operator said to be mended; and nothing that readers see goes without an operator's word.
func (w *world) checkSealed(e *blotterv1.LoadSealed) {
	w.saw("sealed: " + e.GetCause())
	w.checkKeepsRows(e)
	for _, id := range e.GetReplacedFileIds() {
		f := w.files[id]
		if !slices.ContainsFunc(e.GetFileIds(), func(other string) bool {
			by := w.files[other]
			return by.key() == f.key() && by.modified().After(f.modified()) && w.rejoins(by)
		}) {
			w.problem("file %s is replaced in a load of %s", f.name, w.names(e.GetFileIds()))
		}
	}
}

// checkKeepsRows: a load that takes in files of the generation in force anew takes in all
// of them, and the changes that were published with them, unless an operator was asked.
func (w *world) checkKeepsRows(e *blotterv1.LoadSealed) {
	var before *commit
	for i := range w.lake.commits {
		if w.lake.commits[i].replace {
			before = &w.lake.commits[i]
		}
	}
	if before == nil || w.folded.Load.accepts(HeldDivided) {
		return
	}
	var again, gone []string
	for _, id := range before.files {
		switch {
		case !w.files[id].isLoad() || w.status(id) == Skipped:
		case slices.Contains(e.GetFileIds(), id):
			again = append(again, id)
		default:
			gone = append(gone, id)
		}
	}
	if len(again) == 0 {
		return
	}
	w.saw("load in force taken in anew")
	for id, f := range w.files {
		if f.isLoad() || f.mends != nil || w.status(id) != Published {
			continue
		}
		in := w.seals[before.seals-1]
		now := seal{e.GetGeneration(), e.GetFileIds(), w.first(e.GetGeneration(), slices.Concat(e.GetFileIds(), e.GetReplacedFileIds())), nil}
		if w.bound(f, in) && !w.bound(f, now) {
			gone = append(gone, id)
		}
	}
	if len(gone) > 0 {
		w.problem("the load of %s takes rows of %s from the table", w.names(e.GetFileIds()), w.names(gone))
	}
}
