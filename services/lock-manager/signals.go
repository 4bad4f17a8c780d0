package lockmanager

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// loadStarted is the state of a task of DMS that begins a full load.
const loadStarted = "load_started"

// decideExecutionFailed pauses a table whose file lost the workflow that watched over
// it, once for each execution: what the workflow had to do for the file may be undone,
// and nobody would see it. A pause that an operator has to lift anyway stays as it is.
func (s *State) decideExecutionFailed(e *blotterv1.ExecutionFailed) []proto.Message {
	id := "execution/" + e.GetExecution()
	if _, known := s.AnsweredCommand(id); known || !s.Registered() {
		return nil
	}
	detail := fmt.Sprintf("the workflow of %s ended by itself (%s)", e.GetObject().GetKey(),
		strings.Trim(e.GetStatus()+", "+e.GetCode(), ", "))
	events := []proto.Message{&blotterv1.SignalNoted{SignalId: id, Detail: detail}}
	if s.Pause != nil && s.Pause.Reason != pauseLate { // the latter is lifted without an operator's word
		return events
	}
	return append(events, &blotterv1.TablePaused{
		Reason: pauseWorkflow,
		Detail: detail + fmt.Sprintf("; the file itself is kept. See what is wrong with execution %s, then `blotter resume %s`",
			e.GetExecution(), s.Table),
	})
}

// decideTask opens a load when DMS begins one, so that no change file of it is
// published before the replacement, unless the load is open or known already: told
// again, or late, the beginning of a load opens no other one. (Its end is a listing.)
func (s *State) decideTask(e *blotterv1.SourceTaskChanged) []proto.Message {
	began := e.GetTime().AsTime()
	id := "task/" + e.GetTask() + "/" + began.Format(timeLayout)
	_, known := s.AnsweredCommand(id)
	if e.GetState() != loadStarted || known || !s.Registered() || s.Table.IsTransactions() ||
		s.Load != nil || !began.After(s.FirstModified) {
		return nil
	}
	return []proto.Message{
		&blotterv1.SignalNoted{SignalId: id, Detail: "task of DMS: " + e.GetDetail()},
		&blotterv1.LoadOpened{Generation: s.Generation + 1, Cause: "dms_event"},
	}
}

// timeLayout tells one time from another in the id of a signal.
const timeLayout = "20060102T150405.000000000Z"
