package ingestrouter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/callback/callbacktest"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/ingress/ingresstest"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// TestRunsOfGlue: an event of a run becomes a hint; where the hint cannot be given, the
// message comes again.
func TestRunsOfGlue(t *testing.T) {
	n := newEntrance(t)
	lost := errors.New("lost")
	n.fail = func(string) error { return lost }
	n.queue.Send(`{"version":"0","source":"aws.glue","detail-type":"Glue Job State Change","time":"2024-07-05T08:00:00Z",
		"detail":{"jobName":"blotter-evidence","severity":"INFO","state":"SUCCEEDED","jobRunId":"jr_7","message":"Job run succeeded"}}`)
	if err := n.drain(); !errors.Is(err, lost) || n.queue.Left() != 1 {
		t.Errorf("a hint that was not given: %v, %d messages are left", err, n.queue.Left())
	}
	n.fail = func(string) error { return nil }
	n.queue.Reappear()
	n.must(n.drain())
	if !slices.Equal(n.runs, []string{"jr_7", "jr_7"}) || n.queue.Left() != 0 {
		t.Errorf("hints of %v, %d messages are left", n.runs, n.queue.Left())
	}
	n.says(reports)
}

// TestTaskOfDMS: the end of a full load is told after every file of it.
func TestTaskOfDMS(t *testing.T) {
	b := newBench(t)
	spec := strings.Replace(registration, "schema: rms", "schema: rms, task: 'arn:aws:dms:x'", 1)
	b.registerSpec(parsed(t, spec))
	b.raw = rawList{loadKey, changeKey}
	n := &entrance{bench: b, queue: ingresstest.NewMemory(), tasks: callbacktest.NewMemory(), now: entered}
	n.restart()
	event := func(task, kind, words string) string {
		return fmt.Sprintf(`{"source":"aws.dms","detail-type":"DMS Replication Task State Change","time":"2024-07-05T08:00:00Z",
			"resources":[%q],"detail":{"eventType":%q,"detailMessage":%q}}`, task, kind, words)
	}
	for range 2 {
		n.queue.Send(event("arn:aws:dms:x", "REPLICATION_TASK_STARTED", "Replication task started, with flag = fresh start"))
		n.queue.Send(event("arn:aws:dms:other", "REPLICATION_TASK_FAILED", "not ours"))
		n.must(n.drain())
	}
	for range 2 {
		n.queue.Send(event("arn:aws:dms:x", "REPLICATION_TASK_STOPPED", "Stop Reason FULL_LOAD_ONLY_FINISHED"))
		n.must(n.drain())
	}
	n.says(reports, "SourceTaskChanged", "SourceTaskChanged", "ObjectArrived", "ObjectArrived", "ListingCompleted")
	for _, r := range eventlogtest.Read(t, b.log, eventlog.Filter{Event: "ListingCompleted"}) {
		if e := r.Event.(*blotterv1.ListingCompleted); !e.GetComplete() || e.GetCause() != "dms_event" {
			t.Errorf("the listing is told as %v", e)
		}
	}
}

func TestTaskState(t *testing.T) {
	for _, c := range []struct{ kind, code, words, want string }{
		{"REPLICATION_TASK_STARTED", "", "started, with flag = fresh start", taskLoadStarted},
		{"", "DMS-EVENT-0069", "started, with flag = reload-target", taskLoadStarted},
		{"REPLICATION_TASK_STARTED", "", "started, with flag = resume", taskStarted},
		{"REPLICATION_TASK_STOPPED", "", "Stop Reason STOPPED_AFTER_FULL_LOAD", taskLoadFinished},
		{"", "DMS-EVENT-0079", "Stop Reason STOPPED_AFTER_CACHED_EVENTS", taskLoadFinished},
		{"REPLICATION_TASK_STOPPED", "", "Stop Reason NORMAL", taskStopped},
		{"REPLICATION_TASK_STOPPED", "", "Stop Reason FATAL_ERROR", taskStopped},
		{"REPLICATION_TASK_FAILED", "", "", taskFailed},
		{"REPLICATION_TASK_DELETED", "DMS-EVENT-0073", "", taskOther},
	} {
		if got := taskState(c.kind, c.code, c.words); got != c.want {
			t.Errorf("%+v is %s", c, got)
		}
	}
}
