package lockmanager

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

var signalTime = time.Date(2024, 7, 5, 8, 0, 0, 0, time.UTC)

// streaming is a table that is registered and has a load behind it.
func streaming() *State {
	s := NewState(testTable)
	s.SpecVersion, s.Generation, s.FirstModified = 1, 1, signalTime
	return s
}

func tells(t *testing.T, s *State, event proto.Message) []proto.Message {
	t.Helper()
	events, err := s.Step(DefaultConfig(), Input{Time: signalTime, Event: event})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// TestExecutionFailedPausesOnce: a failed workflow pauses its table; told again after
// the table was resumed, or while it is paused, it does not.
func TestExecutionFailedPausesOnce(t *testing.T) {
	failed := func(name string) *blotterv1.ExecutionFailed {
		return &blotterv1.ExecutionFailed{Execution: name, Status: "TIMED_OUT", Object: &blotterv1.ObjectRef{Key: "k"}}
	}
	s := streaming()
	if tells(t, s, failed("a")); s.Pause == nil || s.Pause.Reason != pauseWorkflow || s.Flag() != "P" {
		t.Fatalf("the pause is %+v", s.Pause)
	}
	if events := tells(t, s, failed("a")); len(events) > 0 {
		t.Errorf("told again: %v", events)
	}
	if events := tells(t, s, failed("b")); len(events) != 1 || s.Pause.Detail == "" {
		t.Errorf("another one while it is paused: %v", events)
	}
	s.Evolve(signalTime, &blotterv1.TableResumed{})
	for _, name := range []string{"a", "b"} {
		if events := tells(t, s, failed(name)); len(events) > 0 || s.Pause != nil {
			t.Errorf("%s told again after the table was resumed: %v", name, events)
		}
	}
	if events := tells(t, NewState(testTable), failed("a")); len(events) > 0 {
		t.Errorf("of a table that is not registered: %v", events)
	}
}

// TestTaskOpensLoad: only the beginning of a full load opens one, each once, and none
// that began before the load in force.
func TestTaskOpensLoad(t *testing.T) {
	told := func(state string, at time.Time) *blotterv1.SourceTaskChanged {
		return &blotterv1.SourceTaskChanged{Task: "arn", State: state, Time: timestamppb.New(at)}
	}
	later := signalTime.Add(time.Hour)
	for _, c := range []struct {
		event *blotterv1.SourceTaskChanged
		opens bool
	}{
		{told("load_started", later), true},
		{told("load_started", signalTime), false},
		{told("load_started", signalTime.Add(-time.Hour)), false},
		{told("started", later), false},
		{told("load_finished", later), false},
		{told("failed", later), false},
	} {
		s := streaming()
		tells(t, s, c.event)
		if opened := s.Load != nil; opened != c.opens {
			t.Errorf("%v: a load is open: %v", c.event, opened)
		}
	}
	s := streaming()
	tells(t, s, told("load_started", later))
	if events := tells(t, s, told("load_started", later.Add(time.Minute))); len(events) > 0 {
		t.Errorf("while a load is open: %v", events)
	}
	s.Evolve(later, &blotterv1.LoadAbandoned{Generation: 2})
	if events := tells(t, s, told("load_started", later)); len(events) > 0 {
		t.Errorf("told again after the load was given up: %v", events)
	}
	tells(t, s, told("load_started", later.Add(time.Minute)))
	events := tells(t, s, &blotterv1.ListingClassified{Complete: true, Cause: "dms_event"})
	if s.Load != nil || len(events) != 1 {
		t.Errorf("a load without files, completed: %v", events)
	}
}
