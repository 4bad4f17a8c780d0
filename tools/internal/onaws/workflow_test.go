package onaws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/openblotter/blotter/pkg/alert"
	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/awsconfig/awstest/stack"
	"github.com/openblotter/blotter/pkg/jobs"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// taskARN is the task of DMS that feeds the tables.
const taskARN = "arn:aws:dms:us-east-1:123456789012:task:RMS"

// hiddenFor is the visibility timeout of the ingress queue in deploy/aws/entrypoint.yaml.
const hiddenFor = 2 * time.Minute

// entrypoint is what deploy/aws/entrypoint.yaml has made.
type entrypoint struct {
	queue   string // the URL
	machine string
}

// deployEntrypoint has CloudFormation make the entrypoint of a raw bucket, and the
// bucket tell EventBridge what happens in it.
func (s *site) deployEntrypoint() (e entrypoint) {
	s.t.Helper()
	t, raw := s.t, s.raw
	template, err := os.ReadFile("../../../deploy/aws/entrypoint.yaml")
	if err != nil {
		t.Fatal(err)
	}
	made := stack.Deploy(t, string(template), map[string]string{"RawBucket": raw, "RawPrefix": "dms/", "Name": s.name})
	e.queue, e.machine = made["IngressUrl"], made["Machine"]
	_, err = awss3.NewFromConfig(awstest.Config(t), func(o *awss3.Options) { o.UsePathStyle = true }).PutBucketNotificationConfiguration(t.Context(),
		&awss3.PutBucketNotificationConfigurationInput{Bucket: &raw, NotificationConfiguration: &s3types.NotificationConfiguration{
			EventBridgeConfiguration: &s3types.EventBridgeConfiguration{},
		}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// execution waits until the execution of an object has one of the statuses, and gives it.
func (s *site) execution(e entrypoint, key string, status sfntypes.ExecutionStatus) *sfn.DescribeExecutionOutput {
	s.t.Helper()
	client := sfn.NewFromConfig(awstest.Config(s.t))
	ctx, cancel := context.WithTimeout(s.t.Context(), commandTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	said, asked := "none", time.Now()
	for ctx.Err() == nil {
		list, err := client.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: &e.machine})
		if err != nil {
			break
		}
		for _, x := range list.Executions {
			d, err := client.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: x.ExecutionArn})
			if err != nil || !strings.Contains(aws.ToString(d.Input), key) {
				continue
			}
			if said = string(d.Status); d.Status == status {
				s.t.Logf("the execution of %s is %s after %s", key, status, time.Since(asked).Round(time.Millisecond))
				return d
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	s.t.Fatalf("the execution of %s is %s, expected %s", key, said, status)
	return nil
}

// succeeded waits until the execution of an object has succeeded with an outcome.
func (s *site) succeeded(e entrypoint, key, outcome string) {
	s.t.Helper()
	var output struct {
		Outcome string `json:"outcome"`
	}
	d := s.execution(e, key, sfntypes.ExecutionStatusSucceeded)
	if err := json.Unmarshal([]byte(aws.ToString(d.Output)), &output); err != nil || output.Outcome != outcome {
		s.t.Errorf("the execution of %s ended with %s, expected %s", key, aws.ToString(d.Output), outcome)
	}
}

// task has DMS tell of its task.
func (s *site) task(e entrypoint, kind, words string) {
	s.t.Helper()
	body := fmt.Sprintf(`{"source":"aws.dms","detail-type":"DMS Replication Task State Change","time":%q,"resources":[%q],
		"detail":{"eventType":%q,"detailMessage":%q}}`, time.Now().UTC().Format(time.RFC3339), taskARN, kind, words)
	s.tell(e, body)
}

// tell sends what EventBridge would: the stand-in takes no events of AWS from outside.
func (s *site) tell(e entrypoint, body string) {
	s.t.Helper()
	_, err := awssqs.NewFromConfig(awstest.Config(s.t)).SendMessage(s.t.Context(), &awssqs.SendMessageInput{QueueUrl: &e.queue, MessageBody: &body})
	if err != nil {
		s.t.Fatal(err)
	}
}

// hears has Glue tell of a run, and waits for the hint to those who follow runs.
func (s *site) hears(e entrypoint, run string) {
	s.t.Helper()
	nc := s.connect("glue-dispatcher")
	hints, err := nc.SubscribeSync(jobs.RunChangedSubject)
	if err == nil {
		err = nc.FlushTimeout(commandTimeout)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.tell(e, fmt.Sprintf(`{"source":"aws.glue","detail-type":"Glue Job State Change","detail":{"jobName":"blotter-evidence","state":"SUCCEEDED","jobRunId":%q}}`, run))
	hint, err := hints.NextMsg(commandTimeout)
	if err != nil || string(hint.Data) != run {
		s.t.Fatalf("no hint came of run %s: %v, %v", run, hint, err)
	}
}

// TestWorkflow: an object is put, and its execution ends as its file does. A full load
// between two words of DMS, with change files held behind it; a run of Glue; a broken file
// with another behind it, read once more when its registration is mended; an execution that
// is stopped; a router that takes the place of another.
func TestWorkflow(t *testing.T) {
	s, e := newSiteWithEntrypoint(t)
	s.loadWithChanges(e)
	s.hears(e, "jr_0123456789")
	s.put("dms/rms/reports/", "")
	s.succeeded(e, `reports/"`, "Ignored")
	s.brokenAndMended(e)
	s.stopped(e)
	s.check("rms.reports", "1,shut", "4,open", "5,open", "3000000000,open")
	s.readThroughGlue("rms.reports")
	s.people()
	s.handedOver()
	for role := range s.running {
		s.running[role].end()
	}
}

// loadWithChanges has change files of a load come before its own, the later one first: they
// wait, and follow the load in their order.
func (s *site) loadWithChanges(e entrypoint) {
	s.t.Helper()
	s.task(e, "REPLICATION_TASK_STARTED", "Replication task started, with flag = fresh start")
	await(s, "rms.reports", func(e *blotterv1.LoadOpened) bool { return e.GetCause() == "dms_event" })
	s.put("dms/rms/reports/20240705-000001000.csv", "Op,id,status\nU,1,shut\nD,2,\n")
	await(s, "rms.reports", func(*blotterv1.FileHeld) bool { return true })
	s.put("dms/rms/reports/20240705-000000000.csv", "Op,id,status\nU,1,closed\nU,2,closed\n")
	await(s, "rms.reports", func(*blotterv1.FileHeld) bool { return true })
	s.execution(e, "20240705-000000000.csv", sfntypes.ExecutionStatusRunning)
	s.execution(e, "20240705-000001000.csv", sfntypes.ExecutionStatusRunning)
	s.put("dms/rms/reports/LOAD00000001.csv", "id,status\n1,open\n2,open\n")
	await(s, "rms.reports", func(e *blotterv1.FileAccepted) bool {
		return e.GetFile().GetKind() == blotterv1.FileKind_FILE_KIND_LOAD
	})
	s.task(e, "REPLICATION_TASK_STOPPED", "Stop Reason FULL_LOAD_ONLY_FINISHED")
	await(s, "rms.reports", func(e *blotterv1.LoadSealed) bool { return e.GetCause() == "dms_event" })
	var granted []string
	for len(granted) < 3 {
		for _, f := range await(s, "rms.reports", func(e *blotterv1.LockGranted) bool { return e.GetPublish() }).GetFiles() {
			granted = append(granted, path.Base(f.GetObject().GetKey()))
		}
	}
	if want := []string{"LOAD00000001.csv", "20240705-000000000.csv", "20240705-000001000.csv"}; !slices.Equal(granted, want) {
		s.t.Errorf("the files of a load and those behind it were granted as %q, expected %q", granted, want)
	}
	if ran := await(s, "rms.reports", func(*blotterv1.TransformRunEnded) bool { return true }); ran.GetState() != "SUCCEEDED" {
		s.t.Errorf("the function's run ended as %v", ran)
	}
	s.published("rms.reports")
	for _, file := range granted {
		s.succeeded(e, file, "Published")
	}
	s.check("rms.reports", "1,shut")
}

// brokenAndMended has a value come that is too large for its column. The file is set aside,
// and the next one waits, until the registration has a wider type and the file is read again.
func (s *site) brokenAndMended(e entrypoint) {
	s.t.Helper()
	const broken = "Op,id,status\nI,3,open\nI,3000000000,open\n"
	s.put("dms/rms/reports/20240706-000000000.csv", broken)
	d := s.execution(e, "20240706-000000000.csv", sfntypes.ExecutionStatusFailed)
	if aws.ToString(d.Error) != "Blotter.Quarantined" || !strings.Contains(aws.ToString(d.Cause), "row 3; column id") {
		s.t.Errorf("the execution of a broken file failed with %s: %s", aws.ToString(d.Error), aws.ToString(d.Cause))
	}
	if a := s.alerted(); a.Kind != alert.TablePaused || a.Reason != "failure" || a.File.Key != "dms/rms/reports/20240706-000000000.csv" {
		s.t.Errorf("of a broken file it is told: %+v", a)
	}
	q := await(s, "rms.reports", func(*blotterv1.FileQuarantined) bool { return true })
	if copied := s.failed(q.GetObjectKey()); copied != broken {
		s.t.Errorf("the failed bucket has the file as %q", copied)
	}
	var report struct {
		FileID string `json:"file_id"`
		Code   string `json:"code"`
		Row    int    `json:"row"`
	}
	if err := json.Unmarshal([]byte(s.failed(q.GetReportKey())), &report); err != nil ||
		report.FileID != q.GetFileId() || report.Code != "value.integer" || report.Row != 3 {
		s.t.Errorf("the report in the failed bucket says %+v, %v", report, err)
	}
	s.put("dms/rms/reports/20240707-000000000.csv", "Op,id,status\nI,4,open\nD,3,\n")
	await(s, "rms.reports", func(*blotterv1.FileHeld) bool { return true })
	if flag := s.flag("rms.reports"); flag != "P" {
		s.t.Errorf("with a broken file the flag is %s", flag)
	}
	s.registration = strings.Replace(s.registration, "id: int not null", "id: bigint not null", 1)
	s.apply("numbers of 2024 are larger")
	s.must("resume", "rms.reports", "--retry", "--reason", "the type is wider now")
	s.succeeded(e, "20240707-000000000.csv", "Published")
	if flag := s.flag("rms.reports"); flag != "L" {
		s.t.Errorf("once resumed the flag is %s", flag)
	}
	s.check("rms.reports", "1,shut", "4,open", "3000000000,open")
}

// stopped has somebody stop the execution of a file that waits behind a broken one. Skipped
// is the broken file alone.
func (s *site) stopped(e entrypoint) {
	s.t.Helper()
	s.put("dms/rms/reports/20240708-000000000.csv", "Op,id,status\nU,one,closed\n")
	s.execution(e, "20240708-000000000.csv", sfntypes.ExecutionStatusFailed)
	await(s, "rms.reports", func(*blotterv1.FileQuarantined) bool { return true })
	s.put("dms/rms/reports/20240709-000000000.csv", "Op,id,status\nI,5,open\n")
	await(s, "rms.reports", func(*blotterv1.FileHeld) bool { return true })
	stopped := s.execution(e, "20240709-000000000.csv", sfntypes.ExecutionStatusRunning)
	_, err := sfn.NewFromConfig(awstest.Config(s.t)).StopExecution(s.t.Context(), &sfn.StopExecutionInput{ExecutionArn: stopped.ExecutionArn})
	if err != nil {
		s.t.Fatal(err)
	}
	await(s, "rms.reports", func(e *blotterv1.ExecutionFailed) bool {
		return e.GetStatus() == "ABORTED" && e.GetExecution() == aws.ToString(stopped.ExecutionArn)
	})
	s.must("resume", "rms.reports", "--skip", "--reason", "damaged at the source")
	s.published("rms.reports")
}

// handedOver has a second router take the place of the first, as a deployment does. What
// comes then is told at once: nothing has gone to a poll of the one that has ended.
func (s *site) handedOver() {
	s.t.Helper()
	first := s.running["ingest-router"]
	s.running["ingest-router"] = s.start("ingest-router", filepath.Join(s.dir, "ingest-router-2"))
	first.end()
	asked := time.Now()
	for _, key := range []string{"dms/rms/people/20240711-000000000.csv", "dms/rms/people/20240712-000000000.csv", "dms/rms/people/20240713-000000000.csv"} {
		s.put(key, "Op,id,born\nI,1,1980-01-02\n")
		await(s, "rms.people", func(e *blotterv1.ObjectArrived) bool { return e.GetObject().GetKey() == key })
	}
	if took := time.Since(asked); took > hiddenFor/2 {
		s.t.Errorf("three files were told after %s: a message was out of sight that nobody had", took)
	}
}

// people look at the whole system, by their own policies: an operator, who may also try
// whether alerts come, and an auditor.
func (s *site) people() {
	s.t.Helper()
	for _, who := range []string{"operator", "auditor"} {
		for _, look := range [][]string{{"places"}, {"cat", "rms.reports"}, {"table", "show", "rms.reports"}, {"explain", "rms.reports", "1"}, {"fsck"}} {
			if out, err := s.runAs(who, look...); err != nil {
				s.t.Errorf("%s: blotter %q: %v\n%s", who, look, err, out)
			}
		}
	}
	s.must("alert", "test")
	for range 10 { // those of what came before, which nobody has read, come first
		if s.alerted().Kind == alert.Test {
			return
		}
	}
	s.t.Error("the alert of a test has not come")
}

// failed gives an object below the failed bucket's folder.
func (s *site) failed(key string) string {
	s.t.Helper()
	got, err := s.s3.GetObject(s.t.Context(), &awss3.GetObjectInput{Bucket: aws.String(s.name + "-failed"), Key: aws.String("failed/" + key)})
	if err != nil {
		s.t.Fatalf("%s of the failed bucket: %v", key, err)
	}
	content, err := io.ReadAll(got.Body)
	if err := errors.Join(err, got.Body.Close()); err != nil {
		s.t.Fatal(err)
	}
	return string(content)
}

// flag is that of a table, as an operator sees it.
func (s *site) flag(table string) string {
	s.t.Helper()
	var shown struct{ Flag string }
	if err := json.Unmarshal([]byte(s.must("table", "show", table, "--json")), &shown); err != nil {
		s.t.Fatal(err)
	}
	return shown.Flag
}
