package lockmanager

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// check holds one event against the invariants of design.md. The folded state
// is what was before the event.
func (w *world) check(e proto.Message) {
	s := w.folded
	switch e := e.(type) {
	case *blotterv1.LockGranted:
		w.checkGranted(e)
	case *blotterv1.MaintenanceGranted:
		w.checkMaintenance(e)
	case *blotterv1.PublishRequested:
		w.checkPublishRequested(e)
	case *blotterv1.LockReleased:
		w.checkReleased(e)
	case *blotterv1.TransactionSplit:
		w.checkSplit(e)
	case *blotterv1.FenceRequested:
		if s.Grant == nil || s.Grant.Token != e.GetToken() || s.Grant.Fencing != "" || w.table.IsTransactions() {
			w.problem("fence of token %d, the grant is %+v", e.GetToken(), s.Grant)
		}
		if !proto.Equal(e.GetGrant(), w.lastGrant) {
			w.problem("fence of token %d is of the grant %v, it is %v", e.GetToken(), e.GetGrant(), w.lastGrant)
		}
		w.saw("fence: " + e.GetReason())
		w.checkSuspects(e)
		if s.Grant != nil && s.Grant.Maintenance {
			w.saw("step fenced: " + e.GetReason())
		}
	case *blotterv1.FileAccepted:
		if s.Files[dms.FileID(e.GetFile().GetFileId())] != nil {
			w.problem("file %s is accepted twice", w.name(e.GetFile().GetFileId()))
		}
		if e.GetLate() {
			w.saw("late load file")
		}
		w.noteForgotten(e)
	case *blotterv1.FileHeld:
		if w.hold[e.GetFileId()] || w.status(e.GetFileId()) != Waiting {
			w.problem("file %s is held: in the queue %v, %s", w.name(e.GetFileId()), w.hold[e.GetFileId()], w.status(e.GetFileId()))
		}
		w.saw("held: " + e.GetReason())
	case *blotterv1.FileReleased:
		if !w.hold[e.GetFileId()] {
			w.problem("file %s is released, it was not held", w.name(e.GetFileId()))
		}
	case *blotterv1.DeletionNoted:
		if w.noted[e.GetDeletionId()] || !w.deleted[e.GetDeletionId()] {
			w.problem("%s is noted: delivered %v, noted before %v", e.GetDeletionId(), w.deleted[e.GetDeletionId()], w.noted[e.GetDeletionId()])
		}
		if s.Pause != nil && s.Pause.Reason == pauseDeleted {
			w.saw("many deletions, one pause")
		}
	case *blotterv1.LoadReopened:
		w.raiseFloor()
		w.count(e)
	case *blotterv1.LoadMended:
		w.checkMendedLoad(e)
	case *blotterv1.FileIgnored:
		kind := "change"
		if w.files[e.GetFileId()].isLoad() {
			kind = "load"
		}
		w.saw(e.GetReason() + " " + kind + " file")
		if e.GetReason() == "" || !slices.Contains([]Status{Waiting, Staged}, w.status(e.GetFileId())) {
			w.problem("file %s is ignored (%q) while %s", w.name(e.GetFileId()), e.GetReason(), w.status(e.GetFileId()))
		}
	default:
		w.count(e)
	}
}

// count notes events that nothing is to be held against.
func (w *world) count(e proto.Message) {
	s := w.folded
	switch e := e.(type) {
	case *blotterv1.TablePaused:
		w.saw("paused: " + e.GetReason())
		w.checkPaused(e)
		if e.GetFailure() != nil && e.GetFile() != nil && w.status(e.GetFile().GetFileId()) == Published {
			w.saw("folded change file at fault")
		}
	case *blotterv1.TableResumed:
		w.saw("resumed")
		if s.Pause.Reason == pauseLate && strings.HasPrefix(e.GetReason(), "no load file is late") {
			w.saw("late load file joined")
		}
	case *blotterv1.LoadOpened:
		w.saw("load opened")
		if s.Generation > 0 {
			w.saw("load opened over a generation")
		}
	case *blotterv1.LoadSealed:
		w.checkSealed(e)
	case *blotterv1.LoadHeld:
		w.saw("load held: " + e.GetReason())
	case *blotterv1.FileRetried:
		w.saw("FileRetried")
		w.checkUnskipped(e.GetFileId())
	case *blotterv1.FlagChanged, *blotterv1.FileSkipped,
		*blotterv1.LoadReopened, *blotterv1.LoadConfirmed, *blotterv1.LoadAbandoned:
		w.saw(string(e.ProtoReflect().Descriptor().Name()))
	}
}

func (w *world) name(id string) string {
	if f, ok := w.files[id]; ok {
		return f.name
	}
	return id
}

func (w *world) status(id string) Status {
	if f, ok := w.folded.Files[dms.FileID(id)]; ok {
		return f.Status
	}
	return ""
}

// checkGranted: one transaction at a time, none while paused, the lowest of the
// files that wait, none that belongs to a replaced generation.
func (w *world) checkGranted(e *blotterv1.LockGranted) {
	s := w.folded
	if s.Grant != nil || s.Pause != nil || !s.Registered() {
		w.problem("token %d is granted: grant %+v, pause %+v", e.GetToken(), s.Grant, s.Pause)
	}
	if e.GetToken() != s.Token+1 || len(e.GetFiles()) == 0 {
		w.problem("token %d with %d files is granted after token %d", e.GetToken(), len(e.GetFiles()), s.Token)
	}
	if len(e.GetFiles()) > 1 {
		w.saw("grant of several files")
		for _, f := range e.GetFiles() {
			if have := s.Files[dms.FileID(f.GetFileId())]; e.GetTransform() && have != nil && have.Suspect {
				w.problem("file %s is in doubt and is granted with others", w.name(f.GetFileId()))
			}
		}
	}
	if !e.GetTransform() {
		return // the files are looked at when the publication is asked for
	}
	highest := ""
	granted := map[string]bool{}
	for _, ref := range e.GetFiles() {
		f := w.files[ref.GetFileId()]
		granted[ref.GetFileId()] = true
		if f.order() < highest {
			w.problem("grant %d is not in order", e.GetToken())
		}
		highest = max(highest, f.order())
		if w.hold[ref.GetFileId()] || w.status(ref.GetFileId()) != Waiting || f.isMerged() != e.GetPublish() {
			w.problem("file %s is granted: in the hold queue %v, %s", f.name, w.hold[ref.GetFileId()], w.status(ref.GetFileId()))
		}
		if !f.isLoad() && (s.Load != nil || !w.belongs(f)) {
			w.problem("change file %s is granted: load %+v", f.name, s.Load)
		}
	}
	for id := range w.files {
		if !granted[id] && w.mayRun(id, e.GetPublish()) && w.files[id].order() < highest {
			w.problem("file %s waits, a higher one is granted with token %d", w.files[id].name, e.GetToken())
		}
	}
}

// checkSuspects: only a grant of several files leaves files in doubt, and those
// are files that a failure named, or all.
func (w *world) checkSuspects(e *blotterv1.FenceRequested) {
	if len(e.GetSuspectFileIds()) == 0 {
		return
	}
	w.saw("fence: suspects")
	g := w.folded.Grant
	if g == nil || g.Replace || len(g.Files) < 2 || e.GetReason() != fenceFailed || e.GetFailure() == nil {
		w.problem("fence of token %d leaves files in doubt: grant %+v, %s", e.GetToken(), g, e.GetReason())
		return
	}
	for _, id := range e.GetSuspectFileIds() {
		if !slices.Contains(g.Files, dms.FileID(id)) {
			w.problem("file %s is in doubt, grant %d does not hold it", w.name(id), g.Token)
		}
		if w.files[id].isLoad() {
			w.saw("suspect load file")
		}
		if string(g.Files[0]) != id {
			w.saw("good files before a suspect")
		}
	}
}

// checkMaintenance: one transaction at a time, none while paused or loading, and
// none before files that can run, unless the table was never idle for long.
func (w *world) checkMaintenance(e *blotterv1.MaintenanceGranted) {
	s := w.folded
	if s.Grant != nil || s.Pause != nil || s.Load != nil || !s.Registered() || e.GetToken() != s.Token+1 {
		w.problem("step %d is granted after token %d: grant %+v, pause %+v, load %+v", e.GetToken(), s.Token, s.Grant, s.Pause, s.Load)
	}
	w.saw("maintenance: " + e.GetReason())
	if s.Maintenance.More {
		w.saw("maintenance: a further step")
	}
	if s.Maintenance.Failures > 0 {
		w.saw("maintenance: again after a failure")
		if s.Maintenance.Next.After(w.now) {
			w.problem("step %d is granted at %s, before %s", e.GetToken(), w.now, s.Maintenance.Next)
		}
	}
	published := 0
	for i := len(w.lake.commits) - 1; i >= 0 && !w.lake.commits[i].maintain; i-- {
		if !w.lake.commits[i].fence {
			published++
		}
	}
	for id := range w.files {
		if !w.mayRun(id, true) {
			continue
		}
		w.saw("maintenance between files")
		if published < w.cfg.MaintainBetween || !s.Maintenance.More && published < w.cfg.MaintainAtLatest {
			w.problem("step %d is granted after %d publications, file %s waits", e.GetToken(), published, w.name(id))
		}
	}
}

// checkPaused: a file pauses its table only when it was granted by itself, so
// that no good file before it waits with it, or as part of a replacement.
func (w *world) checkPaused(e *blotterv1.TablePaused) {
	s := w.folded
	if e.GetReason() == pauseDeleted && (s.Deleted == 0 || s.Pause != nil && s.Pause.Reason != pauseLate) {
		w.problem("paused for %d deletions, the pause before is %+v", s.Deleted, s.Pause)
	}
	g := s.Grant
	if e.GetReason() != pauseFailure || g == nil || g.Replace {
		return
	}
	if len(g.Files) != 1 {
		w.problem("file %s pauses the table, %d others wait with it", w.name(e.GetFile().GetFileId()), len(g.Files)-1)
	}
	if f := w.folded.Files[g.Files[0]]; f != nil && f.Suspect {
		w.saw("suspect paused the table")
	}
}

// mayRun reports whether a file that waits could be granted now.
func (w *world) mayRun(id string, publish bool) bool {
	f := w.folded.Files[dms.FileID(id)]
	if f == nil || f.Status != Waiting || w.files[id].isMerged() != publish {
		return false
	}
	return publish || !f.Late && !f.Superseded && (w.sealed == nil || slices.Contains(w.sealed, id))
}

// belongs reports whether a change file belongs to the generation in force, as
// the lake and the seals tell it.
func (w *world) belongs(f *rawFile) bool {
	for i := len(w.lake.commits) - 1; i >= 0; i-- {
		if w.lake.commits[i].replace {
			return w.bound(f, w.seals[w.lake.commits[i].seals-1])
		}
	}
	return true
}

// bound: a change file belongs to a sealed generation if that is the first, or
// its first load file is not later than the change file.
func (w *world) bound(f *rawFile, s seal) bool {
	if f.mends != nil && f.mends.isLoad() {
		return slices.Contains(s.files, string(f.mends.id()))
	}
	if f.mends != nil {
		f = f.mends
	}
	return s.generation <= 1 || !f.modified().Before(s.first)
}

// first gives when the first of a load's files was modified, those in whose place a
// mended one came among them. Late files that an operator takes in do not move it below what it
// was, and a generation that is published again begins where it did.
func (w *world) first(generation uint64, ids []string) time.Time {
	first := w.files[ids[0]].modified()
	for _, id := range ids {
		if m := w.files[id].modified(); m.Before(first) {
			first = m
		}
	}
	for i := len(w.lake.commits) - 1; i >= 0; i-- {
		if w.lake.commits[i].replace {
			in := w.seals[w.lake.commits[i].seals-1]
			if in.generation == generation {
				return in.first
			}
			first = latest(first, in.first)
			break
		}
	}
	return latest(first, w.floor)
}

func (w *world) knownLoads() []string {
	var known []string
	for id, f := range w.files {
		if have := w.folded.Files[f.id()]; have != nil && f.isLoad() && !have.Late && !w.refused[id] {
			known = append(known, id)
		}
	}
	return known
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// raiseFloor remembers, before a sealed load opens again, where its changes begin.
func (w *world) raiseFloor() {
	w.floor = time.Time{}
	if w.folded.Load != nil && w.folded.Load.Sealed {
		w.floor = w.seals[len(w.seals)-1].first
	}
}

// checkPublishRequested: a replacement holds its whole load and the changes
// that belong to it, and no merge is asked for while a load is open.
func (w *world) checkPublishRequested(e *blotterv1.PublishRequested) {
	s := w.folded
	if !w.granted(e.GetToken()) || w.table.IsTransactions() {
		w.problem("publication of token %d, the grant is %+v", e.GetToken(), s.Grant)
		return
	}
	var got []string
	for _, p := range e.GetParts() {
		got = append(got, p.GetFile().GetFileId())
		f := w.files[p.GetFile().GetFileId()]
		staged := p.GetStaged()
		if staged.GetFileId() != string(f.id()) || !proto.Equal(staged, f.staged(staged.GetToken())) {
			w.problem("part %s of token %d is not what was staged: %v", f.name, e.GetToken(), staged)
		}
	}
	if e.GetMode() != blotterv1.PublishMode_PUBLISH_MODE_REPLACE {
		if s.Load != nil {
			w.problem("merge %d is asked for while a load is open", e.GetToken())
		}
		if len(got) != len(s.Grant.Files) {
			w.problem("merge %d has %d parts of %d files", e.GetToken(), len(got), len(s.Grant.Files))
		}
		return
	}
	want := w.replacement()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.problem("replacement %d has the files %v, expected %v", e.GetToken(), w.names(got), w.names(want))
	}
}

// replacement gives the files that must replace the table now: those of the
// seal that nobody skipped, and the published changes that belong to it.
func (w *world) replacement() []string {
	var want []string
	for _, id := range w.sealed {
		if st := w.status(id); st != Skipped && st != Ignored {
			want = append(want, id)
		}
	}
	now := w.seals[len(w.seals)-1]
	landed := map[string]bool{}
	for _, c := range w.lake.commits {
		for _, id := range c.files {
			landed[id] = !w.files[id].isLoad() && w.status(id) == Published
		}
	}
	for id, ok := range landed {
		if f := w.files[id]; ok && w.bound(f, now) && (f.mends == nil || w.sharesFate(f)) {
			want = append(want, id)
			w.saw("change file folded into a replacement")
		}
	}
	return want
}

func (w *world) names(ids []string) string {
	var names []string
	for _, id := range ids {
		names = append(names, w.name(id))
	}
	return strings.Join(names, " ")
}

func (w *world) granted(token uint64) bool {
	return w.folded.Grant != nil && w.folded.Grant.Token == token
}

// checkSplit: a transaction file is split under its grant, once, into all its parts.
func (w *world) checkSplit(e *blotterv1.TransactionSplit) {
	id := e.GetFile().GetFileId()
	f := w.files[id]
	want := &blotterv1.TransactionSplit{File: f.ref, Parts: f.parts()}
	if !w.table.IsTransactions() || w.status(id) != Granted || w.splits[id] > 0 || !proto.Equal(e, want) {
		w.problem("file %s, %s, is split %d times before into %v", f.name, w.status(id), w.splits[id], e.GetParts())
	}
	w.saw("split")
}

// checkStopped: what a grant of transaction files comes to is decided here alone.
func (w *world) checkStopped(e *blotterv1.LockReleased) {
	w.saw("released: " + e.GetOutcome())
	for _, id := range w.folded.Grant.Files {
		if got := w.splits[string(id)] > 0; got != (e.GetOutcome() == outcomeSplit) {
			w.problem("token %d is released (%s), file %s split: %v", e.GetToken(), e.GetOutcome(), w.name(string(id)), got)
		}
	}
	if len(w.lake.commits) > 0 {
		w.problem("a grant of transaction files reached the lake")
	}
}

// checkReleased: a token is dead in the lake before it dies in control.
func (w *world) checkReleased(e *blotterv1.LockReleased) {
	if !w.granted(e.GetToken()) {
		w.problem("token %d is released, the grant is %+v", e.GetToken(), w.folded.Grant)
		return
	}
	if w.table.IsTransactions() {
		w.checkStopped(e)
		return
	}
	c, landed := w.lake.of(e.GetToken())
	switch e.GetOutcome() {
	case outcomePublished:
		if !landed || c.fence {
			w.problem("token %d counts as published, the lake does not know it", e.GetToken())
		}
		for _, f := range e.GetFiles() {
			if w.unskipped[f.GetFileId()] {
				w.saw("taken in after all, and published")
			}
			if w.status(f.GetFileId()) == Skipped {
				w.saw("published after it was skipped")
			}
			if g := w.folded.Files[dms.FileID(f.GetFileId())]; g != nil && g.Suspect {
				w.saw("suspect published")
			}
		}
		if w.folded.Grant.Fencing != "" {
			w.saw("published in spite of a fence: " + w.folded.Grant.Fencing)
		}
	case outcomeStaged:
		if landed || w.folded.Grant.Publish {
			w.problem("token %d counts as staged only", e.GetToken())
		}
	case outcomeMaintained:
		if !landed || !c.maintain {
			w.problem("token %d counts as maintained, the lake does not know it", e.GetToken())
		}
		if w.folded.Grant.Fencing != "" {
			w.saw("maintained in spite of a fence: " + w.folded.Grant.Fencing)
		}
	default:
		if !landed || !c.fence || e.GetOutcome() != w.folded.Grant.Fencing {
			w.problem("token %d is released (%s) without a fence in the lake", e.GetToken(), e.GetOutcome())
		}
		if w.folded.Grant.Replace {
			w.saw("replacement fenced")
		}
	}
	w.checkKept(e)
}

// checkKept: what stays staged was staged under the token, waits for its load, and is in
// no doubt; an operator's force keeps nothing.
func (w *world) checkKept(e *blotterv1.LockReleased) {
	for _, id := range e.GetKeptFileIds() {
		f := w.folded.Files[dms.FileID(id)]
		if f == nil || f.Status != Granted || f.Suspect || f.Staged == nil || f.Staged.Token != e.GetToken() || !w.files[id].isLoad() ||
			!slices.Contains(w.folded.Grant.Files, f.ID) || w.folded.Grant.Publish {
			w.problem("token %d is released (%s) and keeps file %s: %+v", e.GetToken(), e.GetOutcome(), w.name(id), f)
		}
		if e.GetOutcome() != fenceFailed && e.GetOutcome() != fenceDeadline {
			w.problem("token %d is released (%s) and keeps files", e.GetToken(), e.GetOutcome())
		}
		w.saw("kept: " + e.GetOutcome())
	}
}
