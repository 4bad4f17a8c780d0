package lockmanager

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// The reasons for which a load waits for `load complete --confirm`.
//
// After HeldOlder it may go on without some of its files, too; after HeldPart, as a part
// of the load before. After HeldDivided it cannot be refused: it is the load in force.
const (
	HeldOlder   = "older"
	HeldPart    = "part"
	HeldDivided = "divided"
	heldGap     = "gap"
	heldMixed   = "mixed"
	heldSame    = "same"
	heldShrunk  = "shrunk"
)

// confirm notes that an operator accepts what the load was held for; the empty reason
// is every one.
func (l *Load) confirm(reason string) {
	l.HeldReason, l.HeldDetail = "", ""
	if reason == "" {
		l.Confirmed = true
	} else {
		l.ConfirmedFor = append(l.ConfirmedFor, reason)
	}
}

func (l *Load) accepts(reason string) bool {
	return l.Confirmed || slices.Contains(l.ConfirmedFor, reason)
}

// acceptLoad decides what a new load file is: the opening of a load, a further
// file of an open one, an old version of a file that was replaced, or late.
// Generations are the pure function of all load files that dms.Generations is;
// a file is late if that function puts it into a generation that is sealed.
func (s *State) acceptLoad(ref *blotterv1.FileRef, f *File) []proto.Message {
	accepted := &blotterv1.FileAccepted{File: ref}
	sealed, isSealed := s.sealedVersion(f.Object.Key)
	switch {
	case isSealed && !laterVersion(f, sealed):
		return []proto.Message{accepted, ignoreSuperseded(string(f.ID), max(s.Generation, 1))}
	case isSealed, s.Generation == 0 && s.Load == nil:
		if s.Load == nil {
			return []proto.Message{&blotterv1.LoadOpened{Generation: s.Generation + 1, Cause: "load_file"}, accepted}
		}
		return []proto.Message{accepted}
	case s.Load != nil && !s.Load.Sealed && !s.beforeOpenLoad(f), s.ofNextLoad(f):
		return []proto.Message{accepted}
	}
	accepted.Late = true
	events := []proto.Message{accepted}
	if s.Pause == nil {
		events = append(events, &blotterv1.TablePaused{
			Reason: pauseLate, File: ref,
			Detail: fmt.Sprintf("load file %s came after its load was sealed; "+
				"`blotter load reopen %s` takes it in, `blotter load ignore %s` refuses it", f.Object.Key, s.Table, s.Table),
		})
	}
	return events
}

// sealedVersion finds the load file of the newest sealed generation that has
// this key, its newest version if it has several. One that is open again is not sealed:
// what comes to it, whenever it was modified, counts.
func (s *State) sealedVersion(key string) (*File, bool) {
	if s.openAgain() && !s.Load.Sealed {
		return nil, false
	}
	if s.Load == nil || !s.Load.Sealed {
		f, ok := s.inForce()[key]
		return f, ok
	}
	var newest *File
	for _, id := range s.Load.Files {
		if f := s.Files[id]; f != nil && f.Object.Key == key && (newest == nil || laterVersion(f, newest)) {
			newest = f
		}
	}
	return newest, newest != nil
}

// inForce gives the load files of the generation in force, those among them that were
// skipped, too, the newest version of each key.
func (s *State) inForce() map[string]*File {
	newest := map[string]*File{}
	for _, f := range s.Files {
		if f.Kind != dms.KindLoad || f.Status != Published && f.Status != Skipped || f.Generation != s.Generation || s.Generation == 0 {
			continue
		}
		if other := newest[f.Object.Key]; other == nil || laterVersion(f, other) {
			newest[f.Object.Key] = f
		}
	}
	return newest
}

// beforeOpenLoad reports whether a load file with a new key was modified before
// all files of the open load, while the generation before it is known: then it
// belongs to that generation, which is sealed.
func (s *State) beforeOpenLoad(f *File) bool {
	candidates := s.files(s.ofLoad)
	if s.Load.Base == 0 || s.Load.Base != s.Generation || len(candidates) == 0 {
		return false
	}
	return !slices.ContainsFunc(candidates, func(c *File) bool {
		return !f.Object.LastModified.Before(c.Object.LastModified)
	})
}

// ofNextLoad reports whether a load file with a new key belongs to the load
// after the sealed one: a file that began it is known, and not later.
func (s *State) ofNextLoad(f *File) bool {
	if s.Load == nil || !s.Load.Sealed {
		return false
	}
	return len(s.files(func(c *File) bool {
		return loadCandidate(c) && !slices.Contains(s.Load.Files, c.ID) &&
			!f.Object.LastModified.Before(c.Object.LastModified)
	})) > 0
}

func laterVersion(f, than *File) bool {
	if c := f.Object.LastModified.Compare(than.Object.LastModified); c != 0 {
		return c > 0
	}
	return f.Order > than.Order
}

func (s *State) late() []*File {
	return s.files(func(f *File) bool { return f.Late && f.Status == Waiting })
}

// sealing says how a load is to be sealed.
type sealing struct {
	cause     string
	confirmed bool // an operator accepts what the load is held for; all, if it is not
	// withoutOlder leaves out what an earlier load seems to have left behind.
	withoutOlder bool
}

// accepts reports whether an operator's word is there about a reason.
func (how sealing) accepts(l *Load, reason string) bool {
	return l.accepts(reason) || how.confirmed && (l.HeldReason == "" || l.HeldReason == reason)
}

// generations divides what counts for the open load.
func (s *State) generations() [][]dms.LoadFile {
	candidates := s.files(s.ofLoad)
	loads := make([]dms.LoadFile, len(candidates))
	for i, f := range candidates {
		loads[i] = dms.LoadFile{
			FileID: f.ID, Key: f.Object.Key, LastModified: f.Object.LastModified, Order: f.Order, Rejoins: f.Rejoins,
		}
	}
	return dms.Generations(loads)
}

// seal makes the set of an open load's files final, unless a gap in their numbers,
// or files that an earlier load seems to have left behind, ask for an operator's word.
func (s *State) seal(how sealing) []proto.Message {
	if len(s.files(loadCandidate)) == 0 {
		return []proto.Message{&blotterv1.LoadAbandoned{Generation: s.Load.Base + 1, Cause: how.cause}}
	}
	generations := s.generations()
	final := generations[len(generations)-1]
	generation := s.Load.Base + uint64(len(generations))
	older, changes, begin := s.leftBehind(final, takesAll(generation) && !s.LeavesOlder)
	if how.withoutOlder {
		final = slices.DeleteFunc(slices.Clone(final), func(f dms.LoadFile) bool { return slices.Contains(older, f) })
		generations[len(generations)-1] = final
		older, changes = nil, nil
	}
	mended := append(s.divided(generations), s.partOf(generations).doubts()...)
	lost := s.ignoredIn(final)
	for _, d := range openDoubts(mended, append(loadGaps(final), tellIgnored(lost)...), tellLeftBehind(older, changes, begin)) {
		if how.accepts(s.Load, d.reason) {
			continue
		}
		if s.Load.HeldReason == d.reason && s.Load.HeldDetail == d.detail {
			return nil
		}
		return []proto.Message{&blotterv1.LoadHeld{Generation: generation, Reason: d.reason, Detail: d.detail}}
	}
	sealed := &blotterv1.LoadSealed{
		Generation: generation, Cause: how.cause, LeavesOlder: how.withoutOlder,
		FirstModified: timestamppb.New(s.beginning(generation, final[0].LastModified)),
	}
	newest := dms.Newest(final)
	for _, f := range final {
		switch {
		case slices.Contains(lost, f):
		case slices.Contains(newest, f):
			sealed.FileIds = append(sealed.FileIds, string(f.FileID))
		default:
			sealed.ReplacedFileIds = append(sealed.ReplacedFileIds, string(f.FileID))
		}
	}
	return []proto.Message{sealed}
}

// ignoredIn gives the files of a load that have ended as old versions, though the load
// counts them: the later version, for which they were, is not in it. That is so where a
// load was given up after it was sealed, and another than it counts since. A load all of
// whose files are such has none of them: it is given up like one whose files were skipped.
func (s *State) ignoredIn(load []dms.LoadFile) []dms.LoadFile {
	newest := dms.Newest(load)
	lost := slices.DeleteFunc(slices.Clone(newest), func(f dms.LoadFile) bool { return s.Files[f.FileID].Status != Ignored })
	if len(lost) == len(newest) {
		return nil
	}
	return lost
}

// tellIgnored names files of a load that have ended without their rows.
func tellIgnored(lost []dms.LoadFile) []string {
	names := make([]string, len(lost))
	for i, f := range lost {
		names[i] = f.Key + " (taken for an old version, and ignored: have DMS load the table again)"
	}
	return names
}

// beginning is from when on change files belong to a load that is sealed as a
// generation: its first file, unless that was decided already. Late files that an
// operator took in do not move it, nor does a first file that was mended.
func (s *State) beginning(generation uint64, first time.Time) time.Time {
	if generation == s.Generation {
		return s.FirstModified
	}
	for _, floor := range []time.Time{s.FirstModified, s.Load.FirstModified} {
		if floor.After(first) {
			first = floor
		}
	}
	return first
}

// LoadLacksFiles reports whether a load is open to which no file has come that it
// could publish: none at all, or only such as were skipped or refused.
func (s *State) LoadLacksFiles() bool {
	return s.Load != nil && !s.Load.Sealed && len(s.files(loadCandidate)) == 0
}

// openDoubts gives what an operator must say before an open load is sealed. What is
// mended alone comes first: it says best why the files before it are not there.
func openDoubts(mended []doubt, gaps []string, leftBehind string) []doubt {
	all := mended
	if len(gaps) > 0 {
		all = append(all, doubt{heldGap, "load files are missing: " + strings.Join(gaps, ", ")})
	}
	if leftBehind != "" {
		all = append(all, doubt{HeldOlder, leftBehind})
	}
	return all
}

// sealedFiles gives the files of the sealed load that still count: a skipped or
// refused one does not.
func (s *State) sealedFiles() []*File {
	return s.files(func(f *File) bool {
		return slices.Contains(s.Load.Files, f.ID) && f.Status != Skipped && f.Status != Ignored
	})
}

// grantLoad stages load files as they come and, when the load is sealed and all
// of it is staged, begins the replacement.
func (s *State) grantLoad(cfg Config, now time.Time) []proto.Message {
	waiting := s.files(func(f *File) bool {
		return loadCandidate(f) && f.Status == Waiting &&
			(!s.Load.Sealed || slices.Contains(s.Load.Files, f.ID))
	})
	if len(waiting) > 0 {
		most := cfg.LoadFiles
		if engine, _ := s.route(waiting); engine == blotterv1.Engine_ENGINE_GLUE && s.GlueJob {
			most = cfg.GlueLoadFiles
		}
		return s.grant(cfg, now, firstOf(waiting, most, math.MaxInt64), waiting, false)
	}
	if !s.Load.Sealed {
		return nil
	}
	files := s.sealedFiles()
	var rows int64
	for _, f := range files {
		if f.Staged == nil {
			return nil
		}
		rows += f.Staged.Counts.GetInserts() + f.Staged.Counts.GetUpdates() - f.Staged.Counts.GetDuplicatesDropped()
	}
	for _, d := range s.doubts(files, rows) {
		if s.Load.accepts(d.reason) {
			continue
		}
		if s.Load.HeldReason == d.reason {
			return nil
		}
		return []proto.Message{&blotterv1.LoadHeld{Generation: s.Load.Generation, Reason: d.reason, Detail: d.detail}}
	}
	files = append(files, s.foldedChanges()...)
	events := s.grant(cfg, now, files, nil, true)
	parts := make([]*blotterv1.StagedPart, len(files))
	for i, f := range files {
		parts[i] = &blotterv1.StagedPart{File: f.ref(), Staged: f.stagedRef()}
	}
	return append(events, &blotterv1.PublishRequested{
		Token: s.Token + 1, Mode: blotterv1.PublishMode_PUBLISH_MODE_REPLACE,
		Generation: s.Load.Generation, SpecVersion: s.SpecVersion, Parts: parts,
		AfterToken: s.Committed, LossAcceptedFrom: s.Losses.Last().From, LossAcceptedTo: s.Losses.Last().To,
	})
}

// doubt is a reason to ask an operator.
type doubt struct{ reason, detail string }

// doubts gives what an operator must say before a load of these files and rows
// takes the place of the table.
func (s *State) doubts(files []*File, rows int64) []doubt {
	if s.Generation == 0 {
		return nil
	}
	var all []doubt
	if lost := s.lostBy(files); lost != "" {
		all = append(all, doubt{heldSame, "its files are those of the load in force, byte by byte, and " + lost +
			", which would be gone: were the raw objects copied or restored?"})
	}
	if 2*rows < s.Rows {
		all = append(all, doubt{heldShrunk, fmt.Sprintf("the load has %d rows, the table %d: less than half", rows, s.Rows)})
	}
	return all
}

// lostBy tells what a load loses that brings nothing but content of the generation in
// force; empty if it loses nothing, or brings anything else. An object that is copied
// in place or restored has a new time, by which its load counts as a new one, while
// change files that are known stay behind, and so do load files that were left alone.
func (s *State) lostBy(files []*File) string {
	inForce := map[string]*File{}
	for _, f := range s.files(func(f *File) bool {
		return f.Kind == dms.KindLoad && f.Status == Published && f.Generation == s.Generation
	}) {
		inForce[f.Object.Key] = f
	}
	if len(files) == 0 || slices.ContainsFunc(files, func(f *File) bool { return !sameContent(f, inForce[f.Object.Key]) }) {
		return ""
	}
	var lost []string
	if n := len(inForce) - len(files); n > 0 {
		lost = append(lost, fmt.Sprintf("%d of its %d files are not among them", n, len(inForce)))
	}
	if last := s.LastProcessed; last != nil && (s.Files[last.FileID] == nil || s.Files[last.FileID].Kind != dms.KindLoad) {
		lost = append(lost, "changes were published since")
	}
	return strings.Join(lost, " and ")
}

// sameContent compares two files by their bytes where both were read, else by their
// tags: a store may give the same bytes another one.
func sameContent(a, b *File) bool {
	switch {
	case b == nil:
		return false
	case a.Staged != nil && b.Staged != nil && a.Staged.InputSHA256 != "" && b.Staged.InputSHA256 != "":
		return a.Staged.InputSHA256 == b.Staged.InputSHA256
	}
	return a.Object.ETag != "" && a.Object.ETag == b.Object.ETag
}

// foldedChanges gives the change files that were published before their own
// generation's load was known: they belong into the replacement.
func (s *State) foldedChanges() []*File {
	return s.files(func(f *File) bool {
		return f.Kind == dms.KindChange && f.Status == Published && f.Staged != nil && s.foldsIn(f)
	})
}
