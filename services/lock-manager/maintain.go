package lockmanager

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// The reasons for which maintenance is granted.
const (
	maintainPublications = "publications"
	maintainAge          = "age"
	maintainOperator     = "operator"
)

// maxMaintenanceRetry bounds how long a failing step waits for its next try.
const maxMaintenanceRetry = 24 * time.Hour

// Maintenance is how far the upkeep of the table in the lake is. A round of it
// begins with a step and ends with one after which no other is due.
type Maintenance struct {
	// Publications counts the commits since the last round ended, Since is when the
	// first of them was; SinceStep counts those since the last step.
	Publications int       `json:"publications,omitempty"`
	SinceStep    int       `json:"since_step,omitempty"`
	Since        time.Time `json:"since,omitzero"`
	// More: a round is under way.
	More bool `json:"more,omitempty"`
	// Requested: an operator asked for a round that has not ended.
	Requested bool `json:"requested,omitempty"`
	// LastStep is the newest step that was taken, At when.
	LastStep string    `json:"last_step,omitempty"`
	At       time.Time `json:"at,omitzero"`
	// Next is when a step is due by age alone; zero: never. After a failure it is
	// when the step is tried again, and no step is granted before.
	Next time.Time `json:"next,omitzero"`
	// Failures counts the steps that failed in a row, Failure is the newest of them.
	Failures int          `json:"failures,omitempty"`
	Failure  *FailureNote `json:"failure,omitempty"`
}

// FailureNote is a failure that paused nothing.
type FailureNote struct {
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Time    time.Time `json:"time"`
	// LakeToken is as in FileEvent.
	LakeToken uint64 `json:"lake_token,omitempty"`
}

// Maintain asks for a round of maintenance.
type Maintain struct{ Order }

func (s *State) requestMaintenance(c Maintain) ([]proto.Message, string, error) {
	detail := fmt.Sprintf("%s is maintained as soon as nothing else runs; `blotter table show %s` tells how far it is", s.Table, s.Table)
	switch {
	case s.Table.IsTransactions():
		return nil, "", refuse("%s has no rows, and so nothing to maintain", s.Table)
	case s.Pause != nil:
		detail = fmt.Sprintf("%s is paused: it is maintained once it is resumed", s.Table)
	case s.Load != nil:
		detail = fmt.Sprintf("%s is loading: it is maintained once its load is published", s.Table)
	}
	return []proto.Message{&blotterv1.MaintenanceRequested{Reason: c.Reason}}, detail, nil
}

// maintainBetween grants a step between files: to a table that is never idle.
func (s *State) maintainBetween(cfg Config, now time.Time) []proto.Message {
	m := s.Maintenance
	if m.Publications < cfg.MaintainAtLatest && !m.More || m.SinceStep < cfg.MaintainBetween {
		return nil
	}
	return s.grantMaintenance(cfg, now)
}

// maintainIdle grants a step when no file can run.
func (s *State) maintainIdle(cfg Config, now time.Time) []proto.Message {
	m := s.Maintenance
	age := !m.Next.IsZero() && !m.Next.After(now) ||
		m.Publications > 0 && now.Sub(m.Since) >= cfg.MaintainAge
	if !age && !m.More && !m.Requested && m.Publications < cfg.MaintainAfter {
		return nil
	}
	return s.grantMaintenance(cfg, now)
}

func (s *State) grantMaintenance(cfg Config, now time.Time) []proto.Message {
	m := s.Maintenance
	if s.Grant != nil || s.Pause != nil || s.Load != nil || !s.Registered() || m.Failures > 0 && m.Next.After(now) {
		return nil
	}
	reason := maintainAge
	switch {
	case m.Requested:
		reason = maintainOperator
	case m.More || m.Publications >= cfg.MaintainAfter:
		reason = maintainPublications
	}
	return []proto.Message{&blotterv1.MaintenanceGranted{
		Token: s.Token + 1, Deadline: timestamppb.New(now.Add(cfg.MaintainTimeout)), SpecVersion: s.SpecVersion, Reason: reason,
		AfterToken: s.Committed, LossAcceptedFrom: s.Losses.Last().From, LossAcceptedTo: s.Losses.Last().To,
	}}
}

// maintains reports whether the token is that of a step that has not ended.
func (s *State) maintains(token uint64) bool {
	return s.Grant != nil && s.Grant.Token == token && s.Grant.Maintenance
}

// decideMaintained ends a step that the lake has taken, also where a fence was
// asked for and the step was faster.
func (s *State) decideMaintained(e *blotterv1.TableMaintained) []proto.Message {
	if !s.maintains(e.GetToken()) {
		return nil
	}
	return []proto.Message{&blotterv1.LockReleased{
		Token: e.GetToken(), Outcome: outcomeMaintained, SnapshotId: e.GetSnapshotId(), TableRows: s.Rows,
		Step: e.GetStep(), More: e.GetMore(), Next: e.GetNext(),
	}}
}

// failMaintenance has the token of a failed step fenced. The table goes on.
func (s *State) failMaintenance(e *blotterv1.MaintenanceFailed) []proto.Message {
	if !s.maintains(e.GetToken()) || s.Grant.Fencing != "" {
		return nil
	}
	fence := s.fence(fenceFailed)
	fence.Failure = e.GetFailure()
	return []proto.Message{fence}
}

// releaseMaintenance ends a step that was fenced, and says when it is tried again.
func (s *State) releaseMaintenance(cfg Config, now time.Time, snapshot int64) []proto.Message {
	released := &blotterv1.LockReleased{Token: s.Grant.Token, Outcome: s.Grant.Fencing, SnapshotId: snapshot, TableRows: s.Rows}
	if s.Grant.Fencing != fenceForced {
		wait := min(cfg.MaintainRetry<<min(s.Maintenance.Failures, 16), maxMaintenanceRetry)
		released.Next = timestamppb.New(now.Add(wait))
	}
	return []proto.Message{released}
}

// evolveMaintenanceGranted begins a step.
func (s *State) evolveMaintenanceGranted(at time.Time, e *blotterv1.MaintenanceGranted) {
	s.Token = e.GetToken()
	s.Grant = &Grant{
		Token: e.GetToken(), Deadline: e.GetDeadline().AsTime(), Maintenance: true, Granted: at, SpecVersion: e.GetSpecVersion(),
	}
}

// publication counts a commit that changed the table.
func (m *Maintenance) publication(at time.Time) {
	if m.Publications == 0 {
		m.Since = at
	}
	m.Publications++
	m.SinceStep++
}

// fenced notes why a step is being fenced.
func (m *Maintenance) fenced(at time.Time, e *blotterv1.FenceRequested) {
	if f := e.GetFailure(); f != nil {
		m.Failure = &FailureNote{Code: f.GetCode(), Message: f.GetMessage(), Time: at, LakeToken: f.GetLakeToken()}
	} else if e.GetReason() == fenceDeadline {
		m.Failure = &FailureNote{Code: "maintenance.deadline", Message: "the step ran out of time", Time: at}
	}
}

// released ends a step.
func (m *Maintenance) released(at time.Time, e *blotterv1.LockReleased) {
	m.SinceStep = 0
	next := time.Time{}
	if e.GetNext() != nil {
		next = e.GetNext().AsTime()
	}
	switch e.GetOutcome() {
	case outcomeMaintained:
		m.LastStep, m.At, m.Next, m.More = e.GetStep(), at, next, e.GetMore()
		m.Failures, m.Failure = 0, nil
		if !m.More {
			m.Publications, m.Since, m.Requested = 0, time.Time{}, false
		}
	case fenceForced:
	default:
		m.Failures++
		m.Next, m.Requested = next, false
	}
}

// requested begins a round for an operator, whatever failed before.
func (m *Maintenance) requested() {
	m.Requested = true
	if m.Failures > 0 {
		m.Failures, m.Next = 0, time.Time{}
	}
}
