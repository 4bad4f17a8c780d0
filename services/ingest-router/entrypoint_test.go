package ingestrouter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/callback/callbacktest"
	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/ingress/ingresstest"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// entrance is an entrypoint between a queue and tasks in memory.
type entrance struct {
	*bench
	*Entrypoint
	queue *ingresstest.Memory
	tasks *callbacktest.Memory
	runs  []string // of which a hint was given
	now   time.Time
}

var entered = time.Date(2024, 7, 5, 8, 0, 0, 0, time.UTC)

func newEntrance(t *testing.T) *entrance {
	t.Helper()
	b := newBench(t)
	b.register()
	b.raw = rawList{loadKey, changeKey}
	n := &entrance{bench: b, queue: ingresstest.NewMemory(), tasks: callbacktest.NewMemory(), now: entered}
	n.restart()
	return n
}

// restart makes the entrypoint anew, as a start of its process does.
func (n *entrance) restart() {
	n.t.Helper()
	s := n.started()
	s.deps.Now = func() time.Time { return n.now }
	var err error
	n.Entrypoint, err = NewEntrypoint(DefaultEntrypointConfig(), s, EntrypointDeps{
		Queue: n.queue, Tasks: n.tasks, Executions: faultyExecutions{n.store, n.bench},
		RunChanged: func(run string) error {
			n.runs = append(n.runs, run)
			return n.fail("hint")
		},
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

type faultyExecutions struct {
	control.Executions
	b *bench
}

func (s faultyExecutions) PutExecution(ctx context.Context, row control.ExecutionRow) error {
	if err := s.b.fail("note"); err != nil {
		return err
	}
	return s.Executions.PutExecution(ctx, row)
}

func created(key string) string {
	return fmt.Sprintf(`{"source":"aws.s3","detail-type":"Object Created","time":"2024-07-05T08:00:00Z",
		"detail":{"bucket":{"name":"raw"},"object":{"key":%q}}}`, key)
}

// ingest sends what the state machine does, minutes after all began.
func (n *entrance) ingest(execution, key string, minutes int) {
	at := entered.Add(time.Duration(minutes) * time.Minute).Format(time.RFC3339)
	n.queue.Send(fmt.Sprintf(`{"kind":"blotter.ingest","token":"token-%s-%d","execution":%q,"entered":%q,"event":%s}`,
		execution, minutes, execution, at, created(key)))
}

// drain takes in all messages that are in sight, as often as they are.
func (n *entrance) drain() error {
	var errs []error
	for range 4 {
		ctx, cancel := context.WithTimeout(n.t.Context(), 10*time.Millisecond)
		messages, err := n.queue.Receive(ctx)
		cancel()
		if err != nil {
			break
		}
		for _, m := range messages {
			errs = append(errs, n.take(n.t.Context(), m))
		}
	}
	return errors.Join(errs...)
}

func (n *entrance) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *entrance) happens(event proto.Message) {
	n.t.Helper()
	n.must(n.handle(n.t.Context(), eventlog.Record{Table: reports, Event: event}))
}

// told checks what a task was told: an outcome, or the code of its failure.
func (n *entrance) told(token, want string) callbacktest.Answer {
	n.t.Helper()
	a, ok := n.tasks.Answer(token)
	var end End
	if a.Code == "" && ok {
		n.must(json.Unmarshal([]byte(a.Output), &end))
	}
	if got := a.Code + string(end.Outcome); got != want {
		n.t.Errorf("%s was told %q (%+v), expected %q", token, got, a, want)
	}
	return a
}

func published(ids ...dms.FileID) *blotterv1.LockReleased {
	e := &blotterv1.LockReleased{Outcome: "published", SnapshotId: 7}
	for _, id := range ids {
		e.Files = append(e.Files, &blotterv1.PublishedFile{FileId: string(id)})
	}
	return e
}

func quarantined(id dms.FileID) *blotterv1.FileQuarantined {
	return &blotterv1.FileQuarantined{FileId: string(id), ReportKey: "r/report.json",
		Failure: &blotterv1.Failure{Code: "csv.column_count", Message: "the row has 3 fields", Row: 7}}
}

func changeID() dms.FileID { return dms.NewFileID(object(changeKey), dms.KindChange) }

// TestAMessageOfARouterThatEnds: what was received and not taken in is in sight at once.
func TestAMessageOfARouterThatEnds(t *testing.T) {
	n := newEntrance(t)
	n.tasks.Wait("token-a-0")
	n.ingest("a", changeKey, 0)
	messages, err := n.queue.Receive(t.Context())
	n.must(err)
	ending, end := context.WithCancel(t.Context())
	end()
	if err := n.take(ending, messages[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("the message is taken in by a router that ends: %v", err)
	}
	n.must(n.drain())
	n.happens(published(changeID()))
	n.told("token-a-0", "Published")
}

// TestARouterEndsBehindItsWork: what is taken in when the router ends is not told again.
func TestARouterEndsBehindItsWork(t *testing.T) {
	n := newEntrance(t)
	ending, end := context.WithCancel(t.Context())
	n.deps.RunChanged = func(string) error {
		end()
		return nil
	}
	n.queue.Send(`{"source":"aws.glue","detail-type":"Glue Job State Change","detail":{"jobName":"blotter-evidence","state":"SUCCEEDED","jobRunId":"jr_1"}}`)
	messages, err := n.queue.Receive(t.Context())
	n.must(err)
	n.must(n.take(ending, messages[0]))
	if left := n.queue.Left(); ending.Err() == nil || left != 0 {
		t.Errorf("%d messages are left", left)
	}
}

// TestOneExecution: a file's way is told to who waits for it, whether the end comes
// after the wait or before.
func TestOneExecution(t *testing.T) {
	for name, c := range map[string]struct {
		event proto.Message
		want  string
	}{
		"published":   {published("other", changeID()), "Published"},
		"superseded":  {&blotterv1.FileIgnored{FileId: string(changeID()), Reason: "superseded"}, "Superseded"},
		"refused":     {&blotterv1.FileIgnored{FileId: string(changeID()), Reason: "refused"}, "Ignored"},
		"rejected":    {&blotterv1.FileRejected{FileId: string(changeID()), Reason: "misplaced"}, "Ignored"},
		"ignored":     {&blotterv1.ObjectIgnored{FileId: string(changeID()), Reason: "folder_marker"}, "Ignored"},
		"quarantined": {quarantined(changeID()), "Blotter.Quarantined"},
		"only staged": {&blotterv1.LockReleased{Outcome: "staged", Files: published(changeID()).GetFiles()}, ""},
	} {
		for _, before := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", ended before: ", before), func(t *testing.T) {
				n := newEntrance(t)
				n.tasks.Wait("token-a-0")
				if before {
					n.happens(c.event)
				}
				n.ingest("a", changeKey, 0)
				n.must(n.drain())
				if !before {
					n.told("token-a-0", "")
					n.happens(c.event)
				}
				n.happens(c.event)
				a := n.told("token-a-0", c.want)
				if a.Code != "" && a.Cause != "csv.column_count: the row has 3 fields; row 7; report: r/report.json" {
					t.Errorf("the cause is %q", a.Cause)
				}
				if n.queue.Left() != 0 {
					t.Errorf("%d messages are left", n.queue.Left())
				}
				n.says(reports, "ObjectArrived")
			})
		}
	}
}

// TestExecutionsOfOneFile: of several executions the newest waits, whichever message
// comes first; the others are duplicates. A new attempt of one takes the place of the
// former.
func TestExecutionsOfOneFile(t *testing.T) {
	orders := [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {0, 2, 1}}
	for _, order := range orders {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			n := newEntrance(t)
			for i, name := range []string{"a", "b", "b"} {
				n.tasks.Wait(fmt.Sprintf("token-%s-%d", name, i))
			}
			n.tasks.Stop("token-b-1") // its heartbeat timed out
			for _, i := range order {
				n.ingest([]string{"a", "b", "b"}[i], changeKey, i)
				n.must(n.drain())
				n.ingest([]string{"a", "b", "b"}[i], changeKey, i) // redelivered
				n.must(n.drain())
			}
			n.told("token-a-0", "Duplicate")
			n.happens(published(changeID()))
			n.told("token-b-2", "Published")
			n.tasks.Wait("token-c-3") // the event came again, after the end
			n.ingest("c", changeKey, 3)
			n.must(n.drain())
			n.told("token-c-3", "Duplicate")
			n.tasks.Wait("token-b-9") // the execution is driven again
			n.ingest("b", changeKey, 9)
			n.must(n.drain())
			n.told("token-b-9", "Published")
		})
	}
}

// TestRetriedFile: a quarantined file that is retried is waited for anew.
func TestRetriedFile(t *testing.T) {
	n := newEntrance(t)
	n.happens(quarantined(changeID()))
	n.happens(&blotterv1.FileRetried{FileId: string(changeID())})
	n.tasks.Wait("token-a-0")
	n.ingest("a", changeKey, 0)
	n.must(n.drain())
	n.told("token-a-0", "")
	n.happens(published(changeID()))
	n.happens(quarantined(changeID())) // late, of the time before
	n.told("token-a-0", "Published")
}

// TestCrashes: whatever fails at whatever step, what comes again ends in one arrival
// and one answer.
func TestCrashes(t *testing.T) {
	for crash := range 12 {
		n := newEntrance(t)
		n.tasks.Wait("token-a-0")
		n.ingest("a", changeKey, 0)
		steps, died := 0, errors.New("died")
		n.fail = func(string) error {
			if steps++; steps == crash+1 {
				return died
			}
			return nil
		}
		err := n.drain()
		if err != nil && n.queue.Left() != 1 {
			t.Fatalf("crash %d: the message is gone: %v", crash, err)
		}
		n.restart()
		n.queue.Reappear()
		n.must(n.drain())
		n.tasks.Disturb(died)
		if err := n.handle(t.Context(), eventlog.Record{Table: reports, Event: published(changeID())}); !errors.Is(err, died) {
			t.Fatalf("crash %d: the end was told with %v", crash, err)
		}
		n.tasks.Disturb(nil)
		n.restart()
		for range 8 { // the log says it until it is taken
			err = n.handle(t.Context(), eventlog.Record{Table: reports, Event: published(changeID())})
			if err == nil {
				break
			}
		}
		n.must(err)
		n.told("token-a-0", "Published")
		names := eventlogtest.Names(t, n.log, eventlog.Filter{Table: reports, Service: ServiceName})
		if names[0] != "ObjectArrived" || slices.Contains(names[1:], "ObjectArrived") {
			t.Errorf("crash %d: the log says %v", crash, names)
		}
	}
}

// TestTransactionEndsWithItsParts: in whatever order the ends of the parts and the word
// of them come.
func TestTransactionEndsWithItsParts(t *testing.T) {
	whole := changeID()
	parts := []dms.Part{{FileID: whole, Schema: "rms", Table: "reports"}, {FileID: whole, Schema: "rms", Table: "people"}}
	split := &blotterv1.TransactionSplit{File: &blotterv1.FileRef{FileId: string(whole)}}
	for _, p := range parts {
		split.Parts = append(split.Parts, &blotterv1.TransactionPart{FileId: string(p.ID())})
	}
	bad := quarantined(parts[1].ID())
	for name, c := range map[string]struct {
		events []proto.Message
		want   string
	}{
		"split first": {[]proto.Message{split, published(parts[0].ID()), published(parts[1].ID())}, "Published"},
		"split last":  {[]proto.Message{published(parts[0].ID()), published(parts[1].ID()), split, split}, "Published"},
		"one is bad":  {[]proto.Message{published(parts[0].ID()), split, bad}, "Blotter.Quarantined"},
		"one waits":   {[]proto.Message{split, published(parts[0].ID()), published(parts[0].ID())}, ""},
		"no parts":    {[]proto.Message{&blotterv1.TransactionSplit{File: split.GetFile()}}, "Published"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newEntrance(t)
			for _, p := range parts {
				n.must(n.store.PutObject(t.Context(), control.ObjectRow{FileID: p.ID(), Object: object(changeKey), Part: p, State: control.ObjectTold}))
			}
			n.tasks.Wait("token-a-0")
			n.ingest("a", changeKey, 0)
			n.must(n.drain())
			for _, e := range c.events {
				n.happens(e)
			}
			n.told("token-a-0", c.want)
		})
	}
}

// TestNotTaken: an execution whose object is not there fails; a message that nobody can
// read stays in the queue.
func TestNotTaken(t *testing.T) {
	n := newEntrance(t)
	n.tasks.Wait("token-a-0")
	n.ingest("a", "dms/rms/reports/gone.csv", 0)
	n.must(n.drain())
	n.told("token-a-0", "Blotter.NotTaken")
	if n.queue.Left() != 0 {
		t.Errorf("%d messages are left", n.queue.Left())
	}
	for i, body := range []string{
		`no JSON`, `{"kind":"blotter.later"}`, `{"kind":"blotter.ingest","token":"t"}`, `{"source":"aws.ec2","detail":{}}`,
		`{"source":"aws.states","detail":{"status":"SUCCEEDED"}}`, `{"source":"aws.dms"}`, `{"source":"aws.glue","detail":{}}`, created("other/key") + "x",
	} {
		n.queue.Send(body)
		n.must(n.drain())
		if n.queue.Left() != i+1 {
			t.Errorf("%s: %d messages are left, expected %d", body, n.queue.Left(), i+1)
		}
	}
}

// TestWithoutWorkflow: notifications that come without one are told, each once.
func TestWithoutWorkflow(t *testing.T) {
	n := newEntrance(t)
	n.queue.Send(created(loadKey))
	n.queue.Send(`{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"raw"},"object":{"key":"` + changeKey + `"}}}]}`)
	n.queue.Send(`{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"raw"}`)
	n.must(n.drain())
	if n.queue.Left() != 0 {
		t.Errorf("%d messages are left", n.queue.Left())
	}
	n.says(reports, "ObjectArrived", "ObjectArrived")
}

// TestExecutionFailed: told once for each execution, unless its file has ended or
// another execution waits for it; its object is told, too.
func TestExecutionFailed(t *testing.T) {
	ended := func(name, status string) string {
		return fmt.Sprintf(`{"source":"aws.states","detail":{"executionArn":%q,"status":%q,"input":%q}}`, name, status, created(changeKey))
	}
	n := newEntrance(t)
	n.queue.Send(ended("a", "TIMED_OUT"))
	n.queue.Send(ended("a", "TIMED_OUT"))
	n.queue.Send(fmt.Sprintf(`{"kind":"blotter.execution_failed","execution":"a","error":"States.Permissions","cause":"no","event":%s}`, created(changeKey)))
	n.queue.Send(fmt.Sprintf(`{"kind":"blotter.execution_failed","execution":"q","error":"Blotter.Quarantined","cause":"no","event":%s}`, created(changeKey)))
	n.must(n.drain())
	n.says(reports, "ExecutionFailed", "ObjectArrived")

	n.tasks.Wait("token-b-0")
	n.ingest("b", changeKey, 0)
	n.must(n.drain())
	n.queue.Send(ended("c", "ABORTED")) // b waits
	n.must(n.drain())
	n.queue.Send(ended("b", "ABORTED"))
	n.must(n.drain())
	n.says(reports, "ExecutionFailed", "ObjectArrived", "DeliveryRepeated", "ExecutionFailed")
	n.happens(published(changeID()))
	n.told("token-b-0", "")
	n.queue.Send(ended("d", "FAILED")) // the file has ended
	n.must(n.drain())
	n.says(reports, "ExecutionFailed", "ObjectArrived", "DeliveryRepeated", "ExecutionFailed")
}

// TestKept: who waits is kept waiting, up to a number; who is gone is forgotten.
func TestKept(t *testing.T) {
	n := newEntrance(t)
	n.cfg.MaxHeld = 2
	for i := range 4 {
		token := fmt.Sprint("t", i)
		n.tasks.Wait(token)
		n.must(n.store.PutExecution(t.Context(), control.ExecutionRow{FileID: dms.FileID(token), Execution: token, Since: entered, Token: token}))
	}
	n.tasks.Stop("t0")
	n.must(n.store.PutExecution(t.Context(), control.ExecutionRow{FileID: "t9", Execution: "x", Since: entered, Token: "t9", End: []byte(`{"outcome":"Published"}`)}))
	n.tasks.Wait("t9") // its end was noted, and nobody lived to tell it
	n.must(n.keep(t.Context()))
	if beats, waits := n.tasks.Beats("t1"); beats != 0 || !waits {
		t.Errorf("one that has only begun was kept %d times", beats)
	}
	n.told("t9", "Published")
	n.now = n.now.Add(2 * n.cfg.Beat)
	n.must(n.keep(t.Context()))
	for token, want := range map[string]int{"t1": 1, "t2": 0, "t3": 0} {
		if beats, _ := n.tasks.Beats(token); beats != want {
			t.Errorf("%s was kept %d times", token, beats)
		}
	}
	n.told("t2", "Held")
	n.must(n.keep(t.Context()))
	rows, err := n.store.Waiting(t.Context(), "", 10)
	if err != nil || len(rows) != 1 || rows[0].FileID != "t1" {
		t.Errorf("still waiting: %+v, %v", rows, err)
	}
	n.now = n.now.Add(n.cfg.MaxWait)
	n.must(n.keep(t.Context()))
	n.told("t1", "Held")
}

// TestRunsToTheEnd: the whole of it, by the log's own events.
func TestRunsToTheEnd(t *testing.T) {
	n := newEntrance(t)
	n.tasks.Wait("token-a-0")
	n.ingest("a", changeKey, 0)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	_, err := n.log.PublishOnce(t.Context(), eventlog.Event{
		Table: reports, Service: "lock-manager", ID: "1", Actor: "test", Time: entered, Message: published(changeID()),
	})
	n.must(err)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 2000 {
		if _, ok := n.tasks.Answer("token-a-0"); ok {
			break
		}
		<-tick.C
	}
	n.told("token-a-0", "Published")
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestEntrypointWorks: an entrypoint works once its queue has answered, and for as long as it
// does or a message is at work.
func TestEntrypointWorks(t *testing.T) {
	n := newEntrance(t)
	if err := n.Working(n.now); err == nil {
		t.Error("it works before the queue has answered")
	}
	n.queue.Send(created(loadKey))
	n.must(n.pollOnce(t.Context(), false))
	for _, tt := range []struct {
		later  time.Duration
		taking int64
		works  bool
	}{{0, 0, true}, {silence, 0, true}, {silence + 1, 0, false}, {silence + 1, 1, true}} {
		n.taking.Store(tt.taking)
		if err := n.Working(n.now.Add(tt.later)); (err == nil) != tt.works {
			t.Errorf("%s after an answer, with %d messages at work: %v", tt.later, tt.taking, err)
		}
	}
}
