package lockmanager

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// maxAnswers bounds the commands and signals that a state remembers.
const maxAnswers = 64

// Evolve folds one lock-manager event into the state. It decides nothing: the
// same events in the same order give the same state, live or in a replay. An
// event of another service changes nothing.
func (s *State) Evolve(at time.Time, event proto.Message) {
	at = at.UTC()
	switch e := event.(type) {
	case *blotterv1.TableRegistered:
		s.evolveRegistered(e)
	case *blotterv1.FileAccepted:
		s.evolveAccepted(at, e)
	case *blotterv1.FileHeld:
		s.with(e.GetFileId(), func(f *File) { f.Held = true })
	case *blotterv1.FileReleased:
		s.with(e.GetFileId(), func(f *File) { f.Held = false })
	case *blotterv1.FileIgnored:
		s.evolveIgnored(at, e)
	case *blotterv1.FileSkipped:
		s.over(e.GetFileId(), func(f *File) { f.end(Skipped, at) })
	case *blotterv1.FileRetried:
		s.evolveRetried(at, e)
	case *blotterv1.LockGranted:
		s.evolveGranted(at, e)
	case *blotterv1.FileStaged:
		s.evolveStaged(e.GetStaged())
	case *blotterv1.TransactionSplit:
		s.with(e.GetFile().GetFileId(), func(f *File) { f.Parts = wire.TransactionPartsOf(e.GetParts()) })
	case *blotterv1.PublishRequested:
		s.Grant.Publishing = true
		s.Grant.Replace = e.GetMode() == blotterv1.PublishMode_PUBLISH_MODE_REPLACE
	case *blotterv1.MaintenanceRequested:
		s.Maintenance.requested()
	case *blotterv1.MaintenanceGranted:
		s.evolveMaintenanceGranted(at, e)
	case *blotterv1.FenceRequested:
		s.evolveFence(at, e)
	case *blotterv1.LockReleased:
		s.evolveReleased(at, e)
	case *blotterv1.TablePaused:
		s.evolvePaused(at, e)
	case *blotterv1.DeletionNoted:
		s.evolveDeleted(at, e)
	case *blotterv1.SignalNoted:
		s.answered(Answer{CommandID: e.GetSignalId(), Detail: e.GetDetail()})
	case *blotterv1.TableResumed:
		s.evolveResumed()
	case *blotterv1.FlagChanged:
		s.Engine, s.Auto = e.GetEngine(), e.GetAuto()
	case *blotterv1.LossAccepted:
		s.evolveLoss(e)
	case *blotterv1.CommandAnswered:
		s.answered(Answer{CommandID: e.GetCommandId(), Detail: e.GetDetail()})
	default:
		s.evolveLoad(at, event)
	}
}

// evolveLoad folds what is said of full loads.
func (s *State) evolveLoad(at time.Time, event proto.Message) {
	switch e := event.(type) {
	case *blotterv1.LoadOpened:
		s.Load = &Load{Base: max(e.GetGeneration(), 1) - 1, Opened: at, LastFile: at}
	case *blotterv1.LoadSealed:
		s.evolveSealed(e)
	case *blotterv1.LoadHeld:
		s.Load.HeldReason, s.Load.HeldDetail = e.GetReason(), e.GetDetail()
	case *blotterv1.LoadConfirmed:
		s.Load.confirm(e.GetReason())
	case *blotterv1.LoadAbandoned:
		s.evolveAbandoned()
	case *blotterv1.LoadReopened:
		s.evolveReopened(at)
	case *blotterv1.LoadMended:
		s.evolveMended(e)
	}
}

// with applies change to a file that is known; an unknown one is history that
// was put aside.
func (s *State) with(id string, change func(*File)) {
	if f, ok := s.Files[dms.FileID(id)]; ok {
		change(s.touch(f))
	}
}

func (f *File) end(status Status, at time.Time) {
	f.Status, f.Ended = status, at
}

func (s *State) evolveRegistered(e *blotterv1.TableRegistered) {
	before := s.Registered()
	s.SpecVersion, s.SpecSHA256, s.Engine = e.GetSpecVersion(), e.GetSpecSha256(), e.GetEngine()
	// The decision parsed the registration before it was said.
	if spec, err := registry.ParseTable(e.GetSpecJson()); err == nil {
		s.QuietPeriod, s.GlueJob = spec.Load.QuietPeriod, spec.Job.Glue != ""
		auto := spec.Route == registry.RouteAuto
		if spec.Flag != registry.FlagPaused || !before { // P keeps what an operator chose
			s.Auto = auto
		}
		s.RowBytes = 0 // as it is of tables that were registered before there was a route
		if auto {
			s.RowBytes = rowBytes(spec)
		}
	}
	if !e.GetRestage() {
		return
	}
	for _, f := range s.Files {
		if f.Status == Staged {
			f = s.touch(f)
			f.Status, f.Staged = Waiting, nil
		}
	}
}

func (s *State) evolveAccepted(at time.Time, e *blotterv1.FileAccepted) {
	f := fileOf(e.GetFile())
	f.Late, f.Accepted = e.GetLate(), at
	if f.Kind == dms.KindLoad && !f.Late && s.Load != nil {
		if sealed, isSealed := s.sealedVersion(f.Object.Key); !isSealed || laterVersion(f, sealed) {
			s.joinLoad(at, f)
		}
	}
	s.Files[f.ID] = s.touch(f)
	if !f.Mending.IsZero() {
		s.with(string(f.Mending.FileID), func(o *File) { o.Mended = append(o.Mended, f.ID) })
	}
}

// joinLoad takes a load file into the open load, or into the one after a load
// that is sealed.
func (s *State) joinLoad(at time.Time, f *File) {
	if !s.Load.Sealed {
		s.Load.LastFile, s.Load.Confirmed, s.Load.ConfirmedFor = at, false, nil
		s.Load.HeldReason, s.Load.HeldDetail = "", ""
		s.forgetRejoining()
	}
	// A load file that seemed late, but was modified after this one, belongs to
	// the load that this one opened.
	for _, other := range s.late() {
		if !other.Object.LastModified.Before(f.Object.LastModified) {
			s.touch(other).Late = false
		}
	}
}

func (s *State) evolveIgnored(at time.Time, e *blotterv1.FileIgnored) {
	s.with(e.GetFileId(), func(f *File) {
		f.end(Ignored, at)
		f.Reason = e.GetReason()
		if f.Kind == dms.KindLoad {
			f.Generation = s.sealedGeneration()
			// One between a version that was given up and the one that was mended begins no load either.
			if mended, ok := s.sealedVersion(f.Object.Key); ok && mended.Rejoins && givenUp(f) {
				f.Rejoins = true
			}
		}
		if !f.Mending.IsZero() && e.GetUnlisted() {
			s.forgetMended(f)
		}
	})
}

// forgetMended takes mended rows that were refused out of what is told of their file:
// nothing of them came in. It was known when they were accepted, in the same step. Where
// the event does not say so, it is an older one, after which they stayed named.
func (s *State) forgetMended(m *File) {
	s.with(string(m.Mending.FileID), func(o *File) {
		o.Mended = slices.DeleteFunc(o.Mended, func(id dms.FileID) bool { return id == m.ID })
	})
}

func (s *State) evolveGranted(at time.Time, e *blotterv1.LockGranted) {
	s.Token = e.GetToken()
	s.Grant = &Grant{
		Token:    e.GetToken(),
		Deadline: e.GetDeadline().AsTime(),
		Publish:  e.GetPublish(),
		Granted:  at, SpecVersion: e.GetSpecVersion(),
	}
	if e.GetTransform() {
		s.Grant.Engine = e.GetEngine()
	}
	for _, ref := range e.GetFiles() {
		s.Grant.Files = append(s.Grant.Files, dms.FileID(ref.GetFileId()))
		if !e.GetTransform() {
			continue // staged already: a replacement counts no attempt of its files
		}
		s.with(ref.GetFileId(), func(f *File) {
			f.Status, f.Token, f.Staged = Granted, e.GetToken(), nil
			f.Attempts++
		})
	}
}

func (s *State) evolveFence(at time.Time, e *blotterv1.FenceRequested) {
	s.Grant.Fencing = e.GetReason()
	for _, id := range e.GetSuspectFileIds() {
		s.with(id, func(f *File) {
			f.Suspect = true
			f.Outgrown = f.Outgrown || e.GetNextEngine() == blotterv1.Engine_ENGINE_GLUE
		})
	}
	if s.Grant.Maintenance {
		s.Maintenance.fenced(at, e)
	}
}

func (s *State) evolveStaged(staged *blotterv1.StagedFile) {
	s.with(staged.GetFileId(), func(f *File) {
		f.Staged = &StagedFile{
			Token:          staged.GetToken(),
			ManifestKey:    staged.GetManifestKey(),
			ManifestSHA256: staged.GetManifestSha256(),
			InputSHA256:    staged.GetInputSha256(),
			Counts:         staged.GetCounts(),
		}
		f.Counts = staged.GetCounts()
	})
}

func (s *State) evolveReleased(at time.Time, e *blotterv1.LockReleased) {
	g := s.Grant
	s.Grant = nil
	if e.GetOutcome() == outcomePublished || e.GetOutcome() == outcomeMaintained {
		s.Committed = e.GetToken()
	}
	if g.Maintenance {
		s.Maintenance.released(at, e)
		return
	}
	switch e.GetOutcome() {
	case outcomePublished:
		s.Rows = e.GetTableRows()
		s.Maintenance.publication(at)
		if g.Replace {
			s.Generation, s.FirstModified, s.LeavesOlder = s.Load.Generation, s.Load.FirstModified, s.Load.LeavesOlder
			s.closeLoad(true)
			s.retire()
			s.Rejected, s.Losses = 0, nil
		}
		for _, p := range e.GetFiles() {
			s.Rejected += p.GetCounts().GetRejected()
			s.with(p.GetFileId(), func(f *File) {
				f.end(Published, at)
				s.Rejected -= f.Mending.Rows.Len() + f.Mending.Dropped.Len()
				f.Generation, f.Counts, f.Failure, f.Suspect = s.Generation, p.GetCounts(), nil, false
				s.LastProcessed = &FileEvent{FileID: f.ID, Key: f.Object.Key, Time: at}
			})
		}
	case outcomeStaged:
		for _, id := range g.Files {
			s.with(string(id), func(f *File) { f.Status, f.Suspect = Staged, false })
		}
	case outcomeSplit:
		for _, id := range g.Files {
			s.with(string(id), func(f *File) {
				f.end(Split, at)
				f.Failure = nil
				s.LastProcessed = &FileEvent{FileID: f.ID, Key: f.Object.Key, Time: at}
			})
		}
	default:
		if g.Replace && e.GetOutcome() == fenceDeadline {
			s.Load.Expired++
		}
		for _, id := range g.Files {
			s.with(string(id), func(f *File) {
				if f.Status != Granted {
					return // the failed one is quarantined; a replacement's files stay staged
				}
				if slices.Contains(e.GetKeptFileIds(), string(id)) {
					f.Status, f.Suspect = Staged, false
					return
				}
				f.Status, f.Staged = Waiting, nil
				if e.GetOutcome() == fenceDeadline {
					f.Expired++
				}
			})
		}
	}
}

func (s *State) evolvePaused(at time.Time, e *blotterv1.TablePaused) {
	s.Pause = &PauseRecord{
		Reason: e.GetReason(), Detail: e.GetDetail(),
		FileID: dms.FileID(e.GetFile().GetFileId()), Since: at,
	}
	if e.GetFailure() == nil {
		return
	}
	failed := &FileEvent{Time: at, Code: e.GetFailure().GetCode(), Detail: e.GetFailure().GetMessage(), LakeToken: e.GetFailure().GetLakeToken()}
	s.LastFailed = failed
	s.with(e.GetFile().GetFileId(), func(f *File) {
		failed.FileID, failed.Key = f.ID, f.Object.Key
		// Its staged output stays known: another curator may have published it.
		f.Status, f.Failure, f.Suspect = Quarantined, e.GetFailure(), false
	})
}

// evolveDeleted remembers a deletion like a file, so that it is known whenever it
// is told again.
func (s *State) evolveDeleted(at time.Time, e *blotterv1.DeletionNoted) {
	s.Deleted++
	f := &File{ID: dms.FileID(e.GetDeletionId()), Object: dms.Object{Key: e.GetObjectKey()}}
	f.end(Deleted, at)
	s.Files[f.ID] = s.touch(f)
}

func (s *State) evolveSealed(e *blotterv1.LoadSealed) {
	l := s.Load
	l.Sealed, l.HeldReason, l.HeldDetail = true, "", ""
	l.Generation, l.LeavesOlder = e.GetGeneration(), e.GetLeavesOlder() || s.LeavesOlder
	if e.GetFirstModified() != nil {
		l.FirstModified = e.GetFirstModified().AsTime()
	}
	l.Files, l.Replaced = fileIDs(e.GetFileIds()), fileIDs(e.GetReplacedFileIds())
	for _, f := range s.Files {
		if loadCandidate(f) && !slices.Contains(l.Files, f.ID) {
			s.touch(f).Superseded = true
		}
	}
}

func fileIDs(texts []string) []dms.FileID {
	var ids []dms.FileID
	for _, text := range texts {
		ids = append(ids, dms.FileID(text))
	}
	return ids
}

// evolveAbandoned forgets a load together with its files that were given up:
// they count for no other load. The loads that it would have replaced count again.
func (s *State) evolveAbandoned() {
	s.closeLoad(false)
	s.countAgain()
}

// closeLoad ends the open load. What it went on without belongs to its
// generation, or to none. What the generation in force went on without stays its own,
// unless a load was made of it.
func (s *State) closeLoad(published bool) {
	l := s.Load
	for _, f := range s.Files {
		of, replaced := slices.Contains(l.Files, f.ID), slices.Contains(l.Replaced, f.ID)
		switch {
		case !givenUp(f):
		case published && (of || replaced):
			f = s.touch(f)
			f.Generation, f.Replaced = s.Generation, replaced
		case f.Generation == 0, !published && l.Generation != s.Generation && (of || l.Sealed && f.Generation == l.Generation):
			f = s.touch(f)
			f.Superseded, f.Abandoned = true, !published
		}
	}
	s.Load = nil
}

// retire has the rows of the replaced generation's load files written again: no
// later decision needs them, and they must not be loaded for one.
func (s *State) retire() {
	for _, f := range s.Files {
		if f.Kind == dms.KindLoad && f.Status == Published && f.Generation != s.Generation {
			s.touch(f)
		}
	}
}

// sealedGeneration is the newest generation whose files are final: that of a
// sealed load, else the one in force.
func (s *State) sealedGeneration() uint64 {
	if s.Load != nil && s.Load.Sealed {
		return s.Load.Generation
	}
	return s.Generation
}

// countAgain lets the load files that a seal has put below its load count for
// the next seal.
func (s *State) countAgain() {
	for _, f := range s.Files {
		if f.Kind == dms.KindLoad && f.Superseded && f.Status != Skipped && f.Status != Ignored {
			s.touch(f).Superseded = false
		}
	}
}

// evolveReopened takes the load files of the newest sealed generation, and the late
// ones, into a load that is open again. A load that is open, and not sealed, is one with
// that in force from then on.
func (s *State) evolveReopened(at time.Time) {
	generation := s.sealedGeneration()
	switch {
	case s.Load == nil:
		s.Load = &Load{Base: max(s.Generation, 1) - 1, Opened: at}
	case !s.Load.Sealed:
		s.Load = &Load{Base: max(s.Generation, 1) - 1, Opened: s.Load.Opened}
	default:
		s.countAgain()
		s.Load.Sealed, s.Load.Confirmed, s.Load.ConfirmedFor, s.Load.Files, s.Load.Replaced = false, false, nil, nil, nil
		s.Load.HeldReason, s.Load.HeldDetail = "", ""
	}
	s.Load.LastFile = at
	for _, f := range s.Files {
		switch {
		case f.Late && f.Status == Waiting:
			s.touch(f).Late = false
		case f.Kind != dms.KindLoad || f.Generation != generation:
		case f.Status == Published:
			s.touch(f).Status = Staged
		case givenUp(f) && f.Generation != s.Generation:
			s.touch(f).Generation = 0
		}
	}
}

func (s *State) evolveResumed() {
	s.Pause, s.Deleted = nil, 0
	if s.Load != nil {
		s.Load.Expired = 0
	}
}

func (s *State) answered(a Answer) {
	s.Answered = append(s.Answered, a)
	if over := len(s.Answered) - maxAnswers; over > 0 {
		s.Answered = slices.Delete(s.Answered, 0, over)
	}
}

// ofLoad reports whether a load file counts for the generations that a seal
// computes. One that was given up counts until its load is published, and while that
// is open again.
func (s *State) ofLoad(f *File) bool {
	return loadCandidate(f) || givenUp(f) && (f.Generation == 0 || s.openAgain() && f.Generation == s.Generation)
}

// givenUp reports whether a load file ended without its rows, yet tells where a
// full load begins: one that was skipped, since what came under its key later is
// still a later load, or the older version of one that was sealed already.
func givenUp(f *File) bool {
	return f.Kind == dms.KindLoad && !f.Superseded &&
		(f.Status == Skipped || f.Status == Ignored && f.Reason == ReasonSuperseded)
}

// loadCandidate reports whether a load file may yet be published by the open
// load or the one after it.
func loadCandidate(f *File) bool {
	if f.Kind != dms.KindLoad || f.Late || f.Superseded {
		return false
	}
	switch f.Status {
	case Waiting, Granted, Staged, Quarantined:
		return true
	}
	return false
}
