package lockmanager

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// This file says what must come of the delivered files, from design.md alone:
// it looks at what the operator did and at the moments of sealing, never at the
// state machine.

// fullLoads divides the load files that nobody refused into full loads. Of a file that
// was mended, the last version counts.
func (w *world) fullLoads() [][]*rawFile {
	groups := w.divide(func(*rawFile) bool { return true })
	for i, group := range groups {
		groups[i] = slices.DeleteFunc(slices.Clone(group), func(f *rawFile) bool {
			return slices.ContainsFunc(group, func(g *rawFile) bool { return g.key() == f.key() && g.modified().After(f.modified()) })
		})
	}
	return groups
}

// divide divides those of the load files that nobody refused: by LastModified, a name
// that comes again begins the next load, unless an operator said that it was mended.
func (w *world) divide(keep func(*rawFile) bool) [][]*rawFile {
	var loads []*rawFile
	for id, f := range w.files {
		if f.isLoad() && !w.refused[id] && keep(f) {
			loads = append(loads, f)
		}
	}
	slices.SortFunc(loads, func(a, b *rawFile) int {
		return cmp.Or(a.modified().Compare(b.modified()), strings.Compare(a.order(), b.order()))
	})
	var groups [][]*rawFile
	for _, f := range loads {
		again := len(groups) > 0 && slices.ContainsFunc(groups[len(groups)-1], func(g *rawFile) bool { return g.key() == f.key() })
		if len(groups) == 0 || again && !w.rejoins(f) {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], f)
	}
	return groups
}

// pure reports whether every seal took the files of one full load, as far as
// they were known then and counted as the whole set of files counts it. Then
// arrival order must not have mattered.
// It is not so where files came after a seal that should have been before.
func (w *world) pure() bool {
	groups := w.fullLoads()
	for _, s := range w.seals {
		if s.generation > uint64(len(groups)) {
			return false
		}
		for _, id := range s.known {
			if slices.Contains(groups[s.generation-1], w.files[id]) != slices.Contains(s.files, id) {
				return false
			}
		}
	}
	return !w.abandoned
}

// inForce gives the seal that the table must show at the end.
func (w *world) inForce() (seal, bool) {
	if groups := w.fullLoads(); w.pure() && len(groups) > 0 {
		w.saw("pure function of the load files")
		last := seal{generation: uint64(len(groups))}
		for _, s := range w.seals {
			if s.generation == last.generation {
				last.first = s.first
			}
		}
		for _, f := range groups[len(groups)-1] {
			last.files = append(last.files, string(f.id()))
		}
		return last, true
	}
	for i := len(w.lake.commits) - 1; i >= 0; i-- {
		if w.lake.commits[i].replace {
			w.saw("seal before its files")
			return w.seals[w.lake.commits[i].seals-1], true
		}
	}
	return seal{}, false
}

// checkEnd holds the end of a run against what the files say: every file's end
// and every row of the lake.
func (w *world) checkEnd() {
	s := w.folded
	if s.Grant != nil || s.Pause != nil || s.Load != nil || len(w.hold) > 0 {
		w.problem("not at rest: grant %+v, pause %+v, load %+v, held %d", s.Grant, s.Pause, s.Load, len(w.hold))
		return
	}
	if !maps.Equal(w.deleted, w.noted) {
		w.problem("%v were deleted, the table knows of %v", w.deleted, w.noted)
	}
	now, loaded := w.inForce()
	if loaded && s.Generation != now.generation {
		w.problem("generation %d is in force, expected %d", s.Generation, now.generation)
	}
	if s.Generation > 1 {
		w.saw("generation above one")
	}
	published := map[string]bool{}
	for _, c := range w.lake.commits {
		for _, id := range c.files {
			published[id] = true
		}
	}
	var effective []*rawFile
	for id, f := range w.files {
		counts := !loaded || w.bound(f, now)
		if f.isLoad() {
			counts = loaded && slices.Contains(now.files, id)
		}
		st := w.status(id)
		switch {
		case f.mends != nil:
			if w.checkMended(f, now, loaded) {
				effective = append(effective, f)
			}
		case st == Skipped: // an operator said so
			if f.isLoad() && counts && !s.InForce(s.Files[f.id()]) {
				w.problem("file %s was skipped, and is not told as a gap", f.name)
			}
		case w.table.IsTransactions() && st == Split && w.splits[id] == 1 && f.fault != unreadable:
		case counts && st == Published && f.fault != unreadable && f.fault != unmergeable:
			effective = append(effective, f)
		case !counts && (st == Ignored || st == Published && published[id]):
		default:
			w.problem("file %s (%s) ends %q, counts: %v", f.name, f.fault, st, counts)
		}
	}
	w.checkAside(effective)
	if got, want := w.lake.live(), fold(effective); !maps.Equal(got, want) {
		w.problem("the lake's rows are %v, expected %v from %d files", got, want, len(effective))
	}
	w.checkReplay()
}

// fold gives the rows that files make: all operations in order of place.
func fold(files []*rawFile) map[int]int {
	type placed struct {
		place
		op
	}
	var all []placed
	for _, f := range files {
		for i, o := range f.ops {
			all = append(all, placed{f.placeOf(i, o), o})
		}
	}
	slices.SortFunc(all, func(a, b placed) int { return a.compare(b.place) })
	rows := map[int]int{}
	for _, p := range all {
		rows[p.key] = p.value
		if p.kind == 'D' {
			delete(rows, p.key)
		}
	}
	return rows
}

// checkReplay folds the whole log, read back from its bytes, from nothing.
func (w *world) checkReplay() {
	s := NewState(w.table)
	for _, said := range w.log {
		b, err := proto.Marshal(said.event)
		if err != nil {
			w.problem("encode %T: %v", said.event, err)
		}
		event := said.event.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(b, event); err != nil {
			w.problem("decode %T: %v", said.event, err)
		}
		s.Evolve(said.at, event)
		s.Evolve(said.at, &blotterv1.FilesPublished{}) // another service's: changes nothing
	}
	if got, want := stateText(s), stateText(w.state); got != want {
		w.problem("the log folds to\n%s\nthe state is\n%s", got, want)
	}
	b, err := w.state.Encode()
	if err != nil {
		w.problem("%v", err)
	}
	back, err := DecodeState(b)
	if err != nil {
		w.problem("%v", err)
		return
	}
	if again, err := back.Encode(); err != nil || string(again) != string(b) || back.Files == nil {
		w.problem("the state is %s once decoded, was %s (%v)", again, b, err)
	}
}

// stateText is the state and its files as the control store keeps them.
func stateText(s *State) string {
	var b strings.Builder
	state, err := s.Encode()
	if err != nil {
		panic(err)
	}
	b.Write(state)
	for _, f := range s.files(func(*File) bool { return true }) {
		body, err := json.Marshal(f)
		if err != nil {
			panic(err)
		}
		b.WriteByte('\n')
		b.Write(body)
	}
	return b.String()
}
