package ingestrouter

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The kinds of messages that our own state machine sends (deploy/aws).
const (
	kindIngest          = "blotter.ingest"
	kindExecutionFailed = "blotter.execution_failed"
)

// message is what came in the ingress queue: one of a notification of S3 (perhaps with
// a task that waits), the end of an execution, an event of a task of DMS, or one of a run
// of Glue.
type message struct {
	event     json.RawMessage // a notification, see ParseNotification
	waiter    *waiter
	execution *executionEnd
	task      *taskEvent
	run       string // of Glue: it may have changed
}

// waiter is a task of a workflow that waits for the end of a file.
type waiter struct {
	Token     string    `json:"token"` // a secret
	Execution string    `json:"execution"`
	Entered   time.Time `json:"entered"`
}

// executionEnd tells that a workflow ended otherwise than its file did.
type executionEnd struct {
	execution, status, code, detail string
}

// OfWorkflow reports whether the body of a message is by a workflow that waits for its file,
// or by one that failed: ingest-router takes these from its queue alone.
func OfWorkflow(body []byte) bool {
	var m struct {
		Kind string `json:"kind"`
	}
	return json.Unmarshal(body, &m) == nil && m.Kind != ""
}

// parseMessage reads a message. Its faults name no content: it may hold a token.
func parseMessage(body []byte) (message, error) {
	var m struct {
		waiter
		Kind   string          `json:"kind"`
		Event  json.RawMessage `json:"event"`
		Error  string          `json:"error"`
		Cause  string          `json:"cause"`
		Source string          `json:"source"`
	}
	if len(body) > MaxNotification {
		return message{}, fmt.Errorf("the message has %d bytes: at most %d are expected", len(body), MaxNotification)
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return message{event: body}, nil // what it is, ParseNotification says
	}
	switch {
	case m.Kind == kindIngest:
		if m.Token == "" || m.Execution == "" || m.Entered.IsZero() || len(m.Event) == 0 {
			return message{}, fmt.Errorf("a message of kind %s lacks token, execution, entered or event", kindIngest)
		}
		return message{event: m.Event, waiter: &m.waiter}, nil
	case m.Kind == kindExecutionFailed:
		if m.Execution == "" || len(m.Event) == 0 {
			return message{}, fmt.Errorf("a message of kind %s lacks execution or event", kindExecutionFailed)
		}
		return message{event: m.Event, execution: &executionEnd{m.Execution, statusFailed, m.Error, m.Cause}}, nil
	case m.Kind != "":
		return message{}, errors.New("its kind is none that this version knows: is the state machine newer than ingest-router?")
	case m.Source == "aws.states":
		return parseExecution(body)
	case m.Source == "aws.dms":
		t, err := parseTask(body)
		return message{task: t}, err
	case m.Source == "aws.glue":
		run, err := parseRun(body)
		return message{run: run}, err
	}
	return message{event: body}, nil
}

// statusFailed is the status of an execution that says so itself.
const statusFailed = "FAILED"

func parseExecution(body []byte) (message, error) {
	var e struct {
		Detail struct {
			Execution string `json:"executionArn"`
			Status    string `json:"status"`
			Input     string `json:"input"` // left out where it is too large
			Error     string `json:"error"`
			Cause     string `json:"cause"`
		} `json:"detail"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return message{}, fmt.Errorf("it is no event of an execution: %w", err)
	}
	d := e.Detail
	if d.Execution == "" || !slices.Contains([]string{statusFailed, "TIMED_OUT", "ABORTED"}, d.Status) {
		return message{}, fmt.Errorf("an event of an execution with status %q: expected the name of one that failed, timed out or was aborted", d.Status)
	}
	if d.Input == "" {
		return message{}, fmt.Errorf("the event of execution %s has no input, so that its object is not known", d.Execution)
	}
	return message{event: json.RawMessage(d.Input), execution: &executionEnd{d.Execution, d.Status, d.Error, d.Cause}}, nil
}

// parseRun reads which run an event of Glue tells of. What it says of the run's state
// is not believed: Glue is asked.
func parseRun(body []byte) (string, error) {
	var e struct {
		DetailType string `json:"detail-type"`
		Detail     struct {
			Run string `json:"jobRunId"`
		} `json:"detail"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return "", fmt.Errorf("it is no event of Glue: %w", err)
	}
	if e.Detail.Run == "" {
		return "", fmt.Errorf("event %q of Glue has no jobRunId: only %q is expected", e.DetailType, "Glue Job State Change")
	}
	return e.Detail.Run, nil
}

// The states of a task of DMS, as SourceTaskChanged has them.
const (
	taskLoadStarted  = "load_started"
	taskLoadFinished = "load_finished"
	taskStarted      = "started"
	taskStopped      = "stopped"
	taskFailed       = "failed"
	taskOther        = "other"
)

// taskEvent is what DMS tells of one of its tasks.
type taskEvent struct {
	task   string // its ARN
	code   string // DMS-EVENT-…
	state  string
	detail string
	time   time.Time
}

func parseTask(body []byte) (*taskEvent, error) {
	var e struct {
		DetailType string    `json:"detail-type"`
		Time       time.Time `json:"time"`
		Resources  []string  `json:"resources"`
		Detail     struct {
			EventType string `json:"eventType"`
			EventID   string `json:"eventId"`
			Message   string `json:"detailMessage"`
		} `json:"detail"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, fmt.Errorf("it is no event of DMS: %w", err)
	}
	if len(e.Resources) != 1 || e.Time.IsZero() {
		return nil, fmt.Errorf("event %q of DMS names %d resources and the time %s: one task and a time are expected",
			e.DetailType, len(e.Resources), e.Time)
	}
	t := &taskEvent{task: e.Resources[0], code: e.Detail.EventID, detail: e.Detail.Message, time: e.Time.UTC()}
	t.state = taskState(e.Detail.EventType, t.code, t.detail)
	return t, nil
}

// taskState tells what an event means for loads. DMS says which way a task was
// started, and why it stopped, in words only. A task that is resumed loads nothing.
func taskState(eventType, code, words string) string {
	words = strings.ToLower(words)
	says := func(texts ...string) bool {
		return slices.ContainsFunc(texts, func(w string) bool { return strings.Contains(words, w) })
	}
	switch {
	case eventType == "REPLICATION_TASK_STARTED" || code == "DMS-EVENT-0069":
		if says("fresh start", "reload") {
			return taskLoadStarted
		}
		return taskStarted
	case eventType == "REPLICATION_TASK_STOPPED" || code == "DMS-EVENT-0079":
		if says("full_load_only_finished", "stopped_after_full_load", "stopped_after_cached_events") {
			return taskLoadFinished
		}
		return taskStopped
	case eventType == "REPLICATION_TASK_FAILED" || code == "DMS-EVENT-0078":
		return taskFailed
	}
	return taskOther
}
