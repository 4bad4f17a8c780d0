package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/roles"
)

const notified = `database: rms
source: {prefix: dms/, schema: rms}
dms: {header: true}
tables:
  - {name: reports, primary_key: [id], columns: {id: int not null, status: text}}
`

var notifiedAt = time.Date(2024, 1, 15, 7, 1, 0, 0, time.UTC)

// notify tells the system of a notification; it has to end with code.
func (s *system) notify(code int, data string) result {
	s.t.Helper()
	name := filepath.Join(s.t.TempDir(), "event.json")
	if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
		s.t.Fatal(err)
	}
	r := s.run("notify", name)
	if r.code != code {
		s.t.Fatalf("blotter notify: exit code %d, expected %d\n%s%s\n%s", r.code, code, r.stdout, r.stderr, data)
	}
	return r
}

func deletedEvent(key, sequencer, reason string) string {
	return fmt.Sprintf(`{"version":"0","detail-type":"Object Deleted","source":"aws.s3","time":"2024-01-15T08:00:00Z",
		"detail":{"bucket":{"name":"raw"},"object":{"key":%q,"sequencer":%q},"reason":%q,"deletion-type":"Permanently Deleted"}}`, key, sequencer, reason)
}

// TestATruncatedSourcePausesItsTable: a running system is not needed to tell of
// it; the table pauses once, keeps its rows and goes on when it is resumed.
func TestATruncatedSourcePausesItsTable(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "", notified)
	const first, second = "dms/rms/reports/20240115-070100000.csv", "dms/rms/reports/20240115-070200000.csv"
	s.write([]byte("Op,id,status\nI,1,open\n"), first, notifiedAt)
	s.up(0)

	s.notify(0, deletedEvent(first, "01", "Lifecycle Expiration"))
	s.notify(0, deletedEvent("dms/rms/awsdms_status/LOAD00000001.csv", "01", "DeleteObject"))
	s.up(0) // neither pauses anything

	for range 2 {
		s.notify(0, deletedEvent(first, "02", "DeleteObject"))
		s.notify(0, deletedEvent("dms/rms/reports/LOAD00000001.csv", "03", "DeleteObject"))
	}
	s.write([]byte("Op,id,status\nU,1,closed\n"), second, notifiedAt.Add(time.Minute))
	if out := s.up(exitUnsettled); !strings.Contains(out, "was deleted") {
		t.Errorf("the run does not say why the table is paused:\n%s", out)
	}
	if show := s.must(0, "table", "show", "rms.reports"); !strings.Contains(show, "(source_deleted)") {
		t.Errorf("the table does not say why it is paused:\n%s", show)
	}
	if rows := s.cat("rms.reports", "").column(t, "status"); len(rows) != 1 || rows[0] != "open" {
		t.Errorf("the rows are %v, expected the one as it was", rows)
	}
	if log := s.must(0, "log", "--json"); strings.Count(log, "ObjectDeleted") < 4 {
		t.Errorf("the log does not tell of each deletion:\n%s", log)
	}
	s.must(0, "resume", "rms.reports", "--reason", "the rows stay")
	s.notify(0, deletedEvent(first, "02", "DeleteObject")) // told again, late
	s.up(0)
	if rows := s.cat("rms.reports", "").column(t, "status"); len(rows) != 1 || rows[0] != "closed" {
		t.Errorf("the rows are %v, expected the change", rows)
	}
}

// TestSharedNotifications hands over real and documented events of AWS, each as
// it lies there but for the name of the bucket.
func TestSharedNotifications(t *testing.T) {
	t.Parallel()
	dir := sharedDir(t, "data", "events")
	s := newSystem(t, "", notified)
	for _, key := range []string{"dms/rms/reports/20240115-070100000.csv", "dms/rms/case notes+2024/50% & ñ/20240115-070100000.csv"} {
		s.write([]byte("Op,id,status\nI,1,open\n"), key, notifiedAt)
	}
	s.write([]byte("PAR1"), "dms/público/niños_señales/LOAD00000001.parquet", notifiedAt)
	cfg := roles.DefaultConfig()
	cfg.Dir, cfg.Places.Raw, cfg.Watch.StableFor = s.dir, s.raw, time.Millisecond
	p, err := roles.Open(t.Context(), cfg, testLogger())
	if err != nil {
		t.Fatal(err)
	}
	stop, _ := p.Start(context.WithoutCancel(t.Context()))
	defer func() {
		if err := errors.Join(stop(), p.Close()); err != nil {
			t.Error(err)
		}
	}()
	apply(t, p, notified)
	bucketNames := strings.NewReplacer("example-dms-landing", "raw", `"example-bucket"`, `"raw"`, "lambda-artifacts-deafc19498e3f2df", "raw",
		`"sourcebucket"`, `"raw"`, `\"xxx\"`, `\"raw\"`)
	left := maps.Clone(sharedNotifications)
	err = filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".json" {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		notified, err := p.IngestRouter.Notify(t.Context(), []byte(bucketNames.Replace(string(data))))
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		want, listed := sharedNotifications[filepath.ToSlash(rel)]
		if !listed {
			want = expectedNotified{0, ""} // no event of S3: refused, whatever it is
		}
		delete(left, filepath.ToSlash(rel))
		faults := strings.Join(notified.Faults, "; ")
		if len(notified.Told) != want.told || !strings.Contains(faults, want.fault) || want.told == 0 && faults == "" {
			t.Errorf("%s: %d events are told, expected %d; faults %q, expected %q", rel, len(notified.Told), want.told, faults, want.fault)
		}
		return err
	})
	if err != nil || len(left) > 0 {
		t.Fatalf("%v; not found: %v", err, left)
	}
	if err := p.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := map[string]int{}
	for _, r := range readLog(t, p.Log) {
		name := eventlog.EventName(r.Envelope)
		if e, ok := r.Event.(*blotterv1.TablePaused); ok {
			name += " " + e.GetReason()
		}
		events[name]++
	}
	// One file of a table and two of none, told again by the queue's messages; one
	// deletion of the table, two of objects that are no table's.
	for name, n := range map[string]int{
		"ObjectArrived": 1, "ObjectHeld": 2, "ObjectDeleted": 3, "DeletionNoted": 1, "TablePaused source_deleted": 1,
	} {
		if events[name] != n {
			t.Errorf("%d %s in the log, expected %d: %v", events[name], name, n, events)
		}
	}
	if events["DeliveryRepeated"] == 0 {
		t.Errorf("no repeated delivery in the log: %v", events)
	}
}

// expectedNotified is what must come of an event.
type expectedNotified struct {
	told  int
	fault string // part of what is said
}

// sharedNotifications are the events that S3 can have sent. A folder keeps no
// versions, so that those which name one cannot be told of.
var sharedNotifications = map[string]expectedNotified{
	"authored/s3_notification_three_records_encoded_keys.json":           {3, ""},
	"authored/sqs_with_s3_notifications.json":                            {4, ""},
	"authored/eventbridge_s3_object_deleted_truncate.json":               {1, ""},
	"authored/s3_test_event.json":                                        {1, ""},
	"aws-lambda-go/s3-lifecycle-event.json":                              {1, ""},
	"powertools-python/s3EventDeleteObject.json":                         {1, ""},
	"powertools-python/s3EventBridgeNotificationObjectDeletedEvent.json": {1, ""},
	"authored/eventbridge_s3_object_created_cdc.json":                    {0, "has no version"},
	"authored/eventbridge_s3_object_created_raw_key.json":                {0, "has no version"},
	"authored/eventbridge_s3_object_created_load_multipart.json":         {0, "object not found"},
	"authored/sqs_with_eventbridge_events.json":                          {0, "has no version"},
	"authored/stepfunctions_execution_input_eventbridge.json":            {0, "has no version"},
	"aws-lambda-go/s3-event.json":                                        {0, "object not found"},
	"aws-lambda-go/s3-event-with-decoded.json":                           {0, "Happy Face.jpg"},
	"powertools-python/s3EventDecodedKey.json":                           {0, "Happy Face.jpg"},
	"powertools-python/s3Event.json":                                     {0, "object not found"},
	"powertools-python/s3EventBridgeNotificationObjectCreatedEvent.json": {0, "object not found"},
	"powertools-python/s3SqsEvent.json":                                  {0, "object not found"},
	"authored/eventbridge_dms_task_stopped.json":                         {0, `comes from "aws.dms"`},
	"authored/stepfunctions_execution_input_batch.json":                  {0, "neither an event notification"},
	"aws-lambda-go/sns-event.json":                                       {0, "no JSON"},
	"powertools-python/sqsDlqTriggerEvent.json":                          {0, "no JSON"},
}

// apply registers the tables of a registration.
func apply(t *testing.T, p *roles.Process, registration string) {
	t.Helper()
	specs, err := registry.Parse([]byte(registration), "tables.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range specs {
		reply, err := p.LockManager.Execute(t.Context(), "apply", lockmanager.CommandRequest{
			ID: "apply " + spec.ID.String(), Actor: "operator:test", Table: spec.ID.String(), Spec: &spec,
		})
		if err != nil || reply.Refused != "" {
			t.Fatal(reply.Refused, err)
		}
	}
	if err := p.IngestRouter.Learn(t.Context()); err != nil {
		t.Fatal(err)
	}
}
