package lockmanager

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// The outcomes of a grant, as LockReleased names them. A grant that was fenced
// has the fence's reason for its outcome.
const (
	outcomePublished  = "published"
	outcomeStaged     = "staged"
	outcomeSplit      = "split"
	outcomeMaintained = "maintained"
	fenceFailed       = "failed"
	fenceDeadline     = "deadline"
	fenceForced       = "forced"
)

// The reasons of a pause.
const (
	pauseFailure  = "failure"
	pauseOperator = "operator"
	pauseLate     = "late_load_file"
	pauseDeadline = "deadline"
	pauseDeleted  = "source_deleted"
	pauseWorkflow = "execution_failed"
)

// deletedByRequest is the reason of an ObjectDeleted that no lifecycle rule
// brought about.
const deletedByRequest = "deleted"

// Why a load is given up that nothing sealed: its files were all skipped or refused,
// or none has come for too long.
const (
	abandonedSkipped = "skipped"
	abandonedNoFile  = "no_file"
)

// ReasonSuperseded is why a file of a replaced generation is ignored.
const ReasonSuperseded = "superseded"

// reasonRefused is why a file is ignored that an operator refused.
const reasonRefused = "refused"

// maxStepEvents bounds the events of one step; what is left to do is done by
// the next step, a tick at the latest.
const maxStepEvents = 512

// Input is one thing that happened: an event of another service, a command, or
// a tick of the clock when both are nil.
type Input struct {
	Time time.Time // when, by the shell's clock
	// Since is from when on the shell has been looking: what it did not see
	// before counts neither as quiet nor as busy. Only ticks carry it.
	Since   time.Time
	Event   proto.Message
	Command Command
}

// Step decides what one input means, folds it into the state, and goes on with
// whatever the table can do then. It gives the events in order; none if the
// input changes nothing. An error is a refused command: the state is unchanged.
// After any other failure around it the state must be thrown away and read anew.
func (s *State) Step(cfg Config, in Input) ([]proto.Message, error) {
	var said []proto.Message
	say := func(events []proto.Message) {
		for _, e := range events {
			s.Evolve(in.Time, e)
			said = append(said, e)
		}
	}
	events, err := s.decide(cfg, in)
	if err != nil {
		return nil, err
	}
	say(events)
	for len(said) < maxStepEvents {
		events := s.next(cfg, in.Time)
		if len(events) == 0 {
			break
		}
		say(events)
	}
	return said, nil
}

func (s *State) decide(cfg Config, in Input) ([]proto.Message, error) {
	if in.Command != nil {
		return s.decideCommand(cfg, in.Command)
	}
	switch e := in.Event.(type) {
	case nil:
		return s.decideTick(cfg, in.Time, in.Since), nil
	case *blotterv1.FileClassified:
		return s.decideClassified(e.GetFile()), nil
	case *blotterv1.ListingClassified:
		if e.GetComplete() && s.Load != nil && !s.Load.Sealed {
			return s.seal(sealing{cause: cmp.Or(e.GetCause(), "listing")}), nil
		}
	case *blotterv1.FileTransformed:
		return s.decideTransformed(e.GetStaged()), nil
	case *blotterv1.TransformFailed:
		if s.runs(e.GetToken()) && !s.Grant.Publishing {
			return s.fail(cfg, e.GetFileId(), e.GetOfRun(), e.GetFailure()), nil
		}
	case *blotterv1.PublishFailed:
		if s.runs(e.GetToken()) && s.Grant.Publishing {
			return s.fail(cfg, e.GetFileId(), false, e.GetFailure()), nil
		}
	case *blotterv1.FilesPublished:
		return s.decidePublished(e), nil
	case *blotterv1.GrantFenced:
		return s.decideFenced(cfg, in.Time, e), nil
	case *blotterv1.TableMaintained:
		return s.decideMaintained(e), nil
	case *blotterv1.MaintenanceFailed:
		return s.failMaintenance(e), nil
	case *blotterv1.ObjectDeleted:
		return s.decideDeleted(e), nil
	case *blotterv1.ExecutionFailed:
		return s.decideExecutionFailed(e), nil
	case *blotterv1.SourceTaskChanged:
		return s.decideTask(e), nil
	}
	return nil, nil
}

// runs reports whether the token is the running grant's: everything said under
// another token is stale and changes nothing.
func (s *State) runs(token uint64) bool {
	return s.Grant != nil && s.Grant.Token == token && s.Grant.Fencing == ""
}

func (s *State) decideClassified(ref *blotterv1.FileRef) []proto.Message {
	f := fileOf(ref)
	if _, known := s.Files[f.ID]; known {
		return nil
	}
	if f.Kind == dms.KindLoad {
		return s.acceptLoad(ref, f)
	}
	if !f.Mending.IsZero() {
		return s.acceptMended(ref, f)
	}
	return []proto.Message{&blotterv1.FileAccepted{File: ref}}
}

// decideDeleted notes that a raw object was deleted by request, each deletion
// once, and pauses the table. Many deletions are one pause; a pause that an
// operator has to lift anyway stays as it is and tells of them when it is lifted.
func (s *State) decideDeleted(e *blotterv1.ObjectDeleted) []proto.Message {
	if e.GetReason() != deletedByRequest || !s.Registered() {
		return nil
	}
	if _, known := s.Files[dms.FileID(e.GetDeletionId())]; known {
		return nil
	}
	key := e.GetObject().GetKey()
	events := []proto.Message{&blotterv1.DeletionNoted{DeletionId: e.GetDeletionId(), FileId: e.GetFileId(), ObjectKey: key}}
	if s.Pause != nil && s.Pause.Reason != pauseLate { // the latter is lifted without an operator's word
		return events
	}
	return append(events, &blotterv1.TablePaused{
		Reason: pauseDeleted,
		Detail: fmt.Sprintf("raw object %s was deleted, as DMS does when the source table is truncated or loaded anew; "+
			"nothing of the table was deleted. Either reload the table in DMS and then `blotter resume %s`, "+
			"or keep its rows: `blotter resume %s` at once", key, s.Table, s.Table),
	})
}

func (s *State) decideTransformed(staged *blotterv1.StagedFile) []proto.Message {
	if !s.runs(staged.GetToken()) || s.Grant.Publishing {
		return nil
	}
	f, ok := s.Files[dms.FileID(staged.GetFileId())]
	if !ok || f.Status != Granted || f.Staged != nil {
		return nil
	}
	events := []proto.Message{&blotterv1.FileStaged{Staged: staged}}
	if f.Kind == dms.KindTransaction {
		return append(events,
			&blotterv1.TransactionSplit{File: f.ref(), Parts: staged.GetParts()},
			&blotterv1.LockReleased{Token: s.Grant.Token, Outcome: outcomeSplit})
	}
	parts := make([]*blotterv1.StagedPart, 0, len(s.Grant.Files))
	for _, id := range s.Grant.Files {
		g := s.Files[id]
		switch {
		case id == f.ID:
			parts = append(parts, &blotterv1.StagedPart{File: f.ref(), Staged: staged})
		case g.Staged != nil:
			parts = append(parts, &blotterv1.StagedPart{File: g.ref(), Staged: g.stagedRef()})
		default:
			return events // others of the grant are still on their way
		}
	}
	if !s.Grant.Publish {
		return append(events, &blotterv1.LockReleased{Token: s.Grant.Token, Outcome: outcomeStaged, TableRows: s.Rows})
	}
	return append(events, &blotterv1.PublishRequested{
		Token: s.Grant.Token, Mode: blotterv1.PublishMode_PUBLISH_MODE_MERGE,
		Generation: s.Generation, SpecVersion: s.SpecVersion, Parts: parts,
		AfterToken: s.Committed, LossAcceptedFrom: s.Losses.Last().From, LossAcceptedTo: s.Losses.Last().To,
	})
}

// fail stops the grant. A failure of one file pauses the table. One of several does not yet:
// files before the bad one may be good, and one before it may be bad as well. So
// the table goes on in order, the suspect by itself; of several bad files it is
// the lowest that pauses the table, and no good one before it waits. Nor does one pause it
// that Lambda had not the time or the memory for, where the table may choose Glue: that
// tries it once.
func (s *State) fail(cfg Config, fileID string, ofRun bool, failure *blotterv1.Failure) []proto.Message {
	outgrew := s.outgrew(failure)
	if suspects := s.suspects(fileID, ofRun, outgrew); len(suspects) > 0 && failure.GetCode() != wire.FailureDamaged {
		fence := s.fence(fenceFailed)
		fence.SuspectFileIds, fence.Failure = suspects, failure
		if outgrew {
			fence.NextEngine = blotterv1.Engine_ENGINE_GLUE
		}
		return []proto.Message{fence}
	}
	paused := &blotterv1.TablePaused{Reason: pauseFailure, Detail: failure.GetMessage(), Failure: failure}
	if f, ok := s.Files[dms.FileID(fileID)]; ok {
		paused.File = f.ref()
	}
	return append([]proto.Message{paused}, s.stop(cfg, fenceFailed)...)
}

// stop ends the running grant without its result. Its token must be dead in the
// lake before the table is free: the grant ends when the fence is there. What
// transaction files come to is decided here alone, so their grants end at once.
func (s *State) stop(cfg Config, reason string) []proto.Message {
	if s.Table.IsTransactions() {
		return s.ended(cfg, reason, 0)
	}
	return []proto.Message{s.fence(reason)}
}

// fence has the lake refuse the running grant's token, and whoever works on it stop.
func (s *State) fence(reason string) *blotterv1.FenceRequested {
	g := s.Grant
	fence := &blotterv1.FenceRequested{Token: g.Token, Reason: reason, AfterToken: s.Committed, LossAcceptedFrom: s.Losses.Last().From, LossAcceptedTo: s.Losses.Last().To}
	if !g.Granted.IsZero() {
		fence.Grant = &blotterv1.FencedGrant{Engine: g.Engine, SpecVersion: g.SpecVersion, Granted: timestamppb.New(g.Granted)}
	}
	return fence
}

// suspects gives the files that a failure of the running grant leaves in doubt:
// the one it names, or all where it names none, or is that of a run of several; not load
// files that are staged, with which nothing was wrong. There are none in a grant of one file, unless another engine
// is to try that, or in a replacement, which stands or falls with all of its files.
func (s *State) suspects(fileID string, ofRun, another bool) []string {
	if s.Grant.Replace || len(s.Grant.Files) == 1 && !another {
		return nil
	}
	if !ofRun && slices.Contains(s.Grant.Files, dms.FileID(fileID)) {
		return []string{fileID}
	}
	var all []string
	for _, id := range s.Grant.Files {
		if !s.stays(id) {
			all = append(all, string(id))
		}
	}
	return all
}

// stays reports whether a file of the running grant is a load file that is staged: it
// waits for its load to be sealed, under whichever token. Changes do not stay: they are
// staged and published under one.
func (s *State) stays(id dms.FileID) bool {
	f := s.Files[id]
	return f != nil && f.Kind == dms.KindLoad && f.Status == Granted && f.Staged != nil && !s.Grant.Publish
}

// kept gives the files that stay staged when the running grant ends for a reason: not
// those in doubt, and none when an operator ended it.
func (s *State) kept(reason string) []string {
	if reason != fenceFailed && reason != fenceDeadline {
		return nil
	}
	var all []string
	for _, id := range s.Grant.Files {
		if s.stays(id) && !s.Files[id].Suspect {
			all = append(all, string(id))
		}
	}
	return all
}

// decidePublished ends a grant that the lake has published, also where a fence
// was asked for and the publication was faster.
func (s *State) decidePublished(e *blotterv1.FilesPublished) []proto.Message {
	if s.Grant == nil || s.Grant.Token != e.GetToken() || s.Grant.Maintenance {
		return nil
	}
	return []proto.Message{&blotterv1.LockReleased{
		Token: e.GetToken(), Outcome: outcomePublished, SnapshotId: e.GetSnapshotId(),
		Files: e.GetFiles(), TableRows: e.GetTableRows(),
	}}
}

func (s *State) decideFenced(cfg Config, now time.Time, e *blotterv1.GrantFenced) []proto.Message {
	g := s.Grant
	if g == nil || g.Token != e.GetToken() || g.Fencing == "" {
		return nil
	}
	if g.Maintenance {
		return s.releaseMaintenance(cfg, now, e.GetSnapshotId())
	}
	return s.ended(cfg, g.Fencing, e.GetSnapshotId())
}

// ended releases the grant that was stopped, and pauses a table that ran out of
// time too often.
func (s *State) ended(cfg Config, reason string, snapshot int64) []proto.Message {
	g := s.Grant
	events := []proto.Message{&blotterv1.LockReleased{
		Token: g.Token, Outcome: reason, SnapshotId: snapshot, TableRows: s.Rows, KeptFileIds: s.kept(reason),
	}}
	if reason != fenceDeadline {
		return events
	}
	if g.Replace && s.Load.Expired+1 >= cfg.MaxExpired {
		return append(events, &blotterv1.TablePaused{
			Reason: pauseDeadline, Detail: fmt.Sprintf("the replacement ran out of time %d times", cfg.MaxExpired),
		})
	}
	if f := s.Files[g.Files[0]]; !g.Replace && len(g.Files) == 1 && f.Expired+1 >= cfg.MaxExpired {
		detail := fmt.Sprintf("the file ran out of time %d times", cfg.MaxExpired)
		return append(events, &blotterv1.TablePaused{
			Reason: pauseDeadline, Detail: detail, File: f.ref(),
			Failure: &blotterv1.Failure{
				Code: "grant.deadline", Message: detail, ObjectKey: f.Object.Key,
				Hint: "see in `blotter log` whether its transform hangs or its runs found no room, then resume with --retry or --skip",
			},
		})
	}
	return events
}

// decideTick looks at the clock: a grant past its deadline is stopped, a load
// that was quiet long enough is sealed, one that no file has come to for too long is
// given up: it may have been opened for a table of which DMS loads nothing, and would
// hold the changes for ever. That counts from its opening or last file, however often
// the shell was started since, as long as it has looked for loadGrace: else a daily
// restart would have it wait for ever. Where nobody says since when he has been looking,
// nothing is known to have been quiet.
func (s *State) decideTick(cfg Config, now, since time.Time) []proto.Message {
	if g := s.Grant; g != nil && g.Fencing == "" && now.After(g.Deadline) {
		return s.stop(cfg, fenceDeadline)
	}
	l := s.Load
	if l == nil || l.Sealed || since.IsZero() {
		return nil
	}
	looked := now.Sub(since)
	waited := now.Sub(l.LastFile)
	switch {
	case s.QuietPeriod > 0 && min(waited, looked) >= s.QuietPeriod && l.HeldReason == "":
		return s.seal(sealing{cause: "quiet_period"})
	case waited >= cfg.LoadWait && looked >= min(loadGrace, cfg.LoadWait) && s.LoadLacksFiles():
		return []proto.Message{&blotterv1.LoadAbandoned{Generation: l.Base + 1, Cause: abandonedNoFile}}
	}
	return nil
}

// grant begins a transaction of these files. Where they are transformed, whole are those
// by whose size its engine is chosen: they, or all of the load that they are a part of;
// nil where nothing is.
func (s *State) grant(cfg Config, now time.Time, files, whole []*File, publish bool) []proto.Message {
	var events []proto.Message
	for _, f := range files {
		if f.Held {
			events = append(events, &blotterv1.FileReleased{FileId: string(f.ID)})
		}
	}
	generation := s.Generation
	if s.Load != nil {
		generation = s.Load.Generation // 0 while it is not sealed
	}
	engine, route := s.Engine, (*blotterv1.Route)(nil)
	if whole != nil {
		engine, route = s.route(whole)
	}
	return append(events, &blotterv1.LockGranted{
		Token: s.Token + 1, Engine: engine, Route: route, Files: refs(files),
		Deadline: timestamppb.New(now.Add(cfg.GrantTimeout)), SpecVersion: s.SpecVersion,
		Publish: publish, Generation: generation, Transform: whole != nil,
	})
}
