package onaws

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/alert"
	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/objects/s3"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	"github.com/openblotter/blotter/tools/internal/roles"
)

const tables = `
database: rms
source: {prefix: dms/, schema: rms, task: 'arn:aws:dms:us-east-1:123456789012:task:RMS'}
dms: {header: true, op_column: Op, timestamp_column: null, change_seq_column: null, null: "NULL"}
load: {quiet_period: 0s}
tables:
  - {name: reports, primary_key: [id], columns: {id: int not null, status: string}, job: {lambda: FUNCTION}}
  - {name: people, primary_key: [id], columns: {id: bigint not null, born: date}, on_bad_row: quarantine}
`

// site is a whole system, its roles in processes of their own.
type site struct {
	program
	name string // how everything on AWS is named
	//nolint:containedctx // of what is awaited: it ends when a role is refused something
	ctx     context.Context
	refused refusals
	raw     string
	s3      *awss3.Client
	log     *eventlog.Log
	heard   uint64 // the last event of the log that was awaited
	dir     string
	// databases is how the names of the databases in Glue begin.
	databases string
	// registration is the file of the tables.
	registration string
	running      map[string]*process
	alerts       *awstest.Queue // what is told of tables that wait
}

// newSite starts everything on places of AWS, and registers the tables.
func newSite(t *testing.T) *site {
	t.Helper()
	s := prepare(t)
	s.begin()
	return s
}

// newSiteWithEntrypoint is newSite with the entrypoint of deploy/aws before it.
func newSiteWithEntrypoint(t *testing.T) (*site, entrypoint) {
	t.Helper()
	s := prepare(t)
	e := s.deployEntrypoint()
	s.env = append(s.env, "BLOTTER_INGRESS=sqs://"+s.name+"-ingress")
	s.begin()
	return s, e
}

// prepare makes the places of a site: everything on AWS but the NATS server, on which each
// role is a user of its own.
func prepare(t *testing.T) *site {
	t.Helper()
	name := awstest.Name(t)
	name = "b" + strings.ReplaceAll(name[len(name)-20:], "blotter-", "")
	s := &site{name: name, raw: name + "-raw", s3: s3.NewClient(awstest.Config(t)), dir: t.TempDir(), running: map[string]*process{}}
	s.databases = strings.ReplaceAll(name, "-", "_") + "_"
	s.program = program{t: t, path: build(t), seeds: t.TempDir(), env: append(os.Environ(),
		"BLOTTER_RAW=s3://"+s.raw+"/dms/", "BLOTTER_STAGING=s3://"+name+"-staging/of", "BLOTTER_FAILED=s3://"+name+"-failed/failed",
		"BLOTTER_LAKE=s3://"+name+"-lake/tables", "BLOTTER_CONTROL=dynamodb://"+name, "BLOTTER_HOLD=sqs://"+name+"-hold-",
		"BLOTTER_CATALOG=glue://"+s.databases, "BLOTTER_AUDIT=s3://"+name+"-audit/of")}
	var err error
	if s.signing, s.verifier, err = note.GenerateKey(rand.Reader, "test.example/log"); err != nil {
		t.Fatal(err)
	}
	parameters := map[string]string{
		"Name": name, "RawBucket": s.raw, "StagingBucket": name + "-staging", "FailedBucket": name + "-failed", "LakeBucket": name + "-lake",
		"AuditBucket": name + "-audit", "AuditPrefix": "of/", "RawPrefix": "dms/", "StagingPrefix": "of/", "FailedPrefix": "failed/", "LakePrefix": "tables/",
		"Database": "another", "Database2": s.databases + "*", "Alerts": s.subscribe(), "Functions": "blotter-*", "GlueJobs": "blotter-*",
	}
	deployRoles(t, parameters)
	s.ctx, s.refused.stop = context.WithCancel(t.Context())
	s.refused.all = map[string]int{}
	s.doors = openDoors(t, parameters, s.refused.add)
	t.Cleanup(func() {
		s.refused.stop()
		for _, why := range s.refused.take() {
			t.Errorf("refused: %s", why)
		}
	})
	if out, err := exec.CommandContext(t.Context(), s.path, "nats", "users", "--out", s.seeds).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.nats = startNATS(t, filepath.Join(s.seeds, "blotter-users.conf"))
	if out, err := s.runAs("admin", "nats", "create", "--log-replicas", "1"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := s.runAs("admin", "places", "--create"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, place := range []string{"-staging", "-failed", "-lake", "-audit"} { // what is read there has a version then
		if err := s3.CreateBucket(t.Context(), s.s3, name+place, true); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// subscribe has alerts go to a topic, hears them, and gives the topic.
func (s *site) subscribe() string {
	s.t.Helper()
	cfg := awstest.Config(s.t)
	client := sns.NewFromConfig(cfg)
	topic, err := client.CreateTopic(s.t.Context(), &sns.CreateTopicInput{Name: aws.String(awstest.Name(s.t))})
	if err != nil {
		s.t.Fatal(err)
	}
	s.alerts = awstest.NewQueue(s.t, cfg, "sns.amazonaws.com")
	if _, err := client.Subscribe(s.t.Context(), &sns.SubscribeInput{
		TopicArn: topic.TopicArn, Protocol: aws.String("sqs"), Endpoint: &s.alerts.ARN,
	}); err != nil {
		s.t.Fatal(err)
	}
	s.env = append(s.env, "BLOTTER_ALERTS="+aws.ToString(topic.TopicArn))
	return aws.ToString(topic.TopicArn)
}

// alerted waits for the next alert.
func (s *site) alerted() (a alert.Alert) {
	s.t.Helper()
	var n struct{ Message string }
	err := json.Unmarshal([]byte(s.alerts.Receive(s.t)), &n)
	if err == nil {
		err = json.Unmarshal([]byte(n.Message), &a)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// begin starts the roles, and registers the tables.
func (s *site) begin() {
	s.t.Helper()
	for _, role := range roles.Names() {
		s.startRole(role)
	}
	s.openLog()
	s.healthy()
	s.registration = strings.Replace(tables, "FUNCTION", createFunction(s.t, s.doors["function"].url), 1)
	s.apply("new")
}

// apply registers the tables as registration has them.
func (s *site) apply(reason string) {
	s.t.Helper()
	file := filepath.Join(s.dir, "rms.yaml")
	if err := os.WriteFile(file, []byte(s.registration), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if out := s.must("apply", "-f", file, "--reason", reason); strings.Contains(out, "note:") {
		s.t.Errorf("of what is there it is noted: %s", out)
	}
}

func (s *site) startRole(role string) { s.running[role] = s.start(role, filepath.Join(s.dir, role)) }

// openLog opens the log as whoever may only read it.
func (s *site) openLog() {
	s.t.Helper()
	var err error
	if s.log, err = eventlog.Open(s.t.Context(), s.connect("auditor"), eventlog.DefaultConfig(), eventlog.Existing()); err != nil {
		s.t.Fatal(err)
	}
}

// await waits for the next event of a table that is meant, and gives it.
func await[E proto.Message](s *site, table string, meant func(E) bool) E {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, commandTimeout)
	defer cancel()
	asked := time.Now()
	for r, err := range s.log.Read(ctx, eventlog.Filter{FromSeq: s.heard + 1, Follow: true}) {
		if err != nil {
			break
		}
		if e, ok := r.Event.(E); ok && r.Table.String() == table && meant(e) {
			s.heard = r.Seq
			s.t.Logf("%T of %s after %s", e, table, time.Since(asked).Round(time.Millisecond))
			return e
		}
	}
	var none E
	s.t.Fatalf("no %T of %s came", none, table)
	return none
}

func (s *site) published(table string) {
	s.t.Helper()
	await(s, table, func(*blotterv1.FilesPublished) bool { return true })
}

func (s *site) put(key, content string) {
	s.t.Helper()
	_, err := s.s3.PutObject(s.t.Context(), &awss3.PutObjectInput{Bucket: &s.raw, Key: &key, Body: strings.NewReader(content)})
	if err != nil {
		s.t.Fatal(err)
	}
}

// check compares the rows of a table.
func (s *site) check(table string, want ...string) {
	s.t.Helper()
	got := strings.Split(strings.TrimSpace(s.must("cat", table, "--null", "NULL")), "\n")[1:]
	if !slices.Equal(got, want) {
		s.t.Fatalf("the rows of %s are %q, expected %q", table, got, want)
	}
}

// secondReader is the Python that has the readers of .ci/readers in it.
const secondReader = "BLOTTER_READERS_PYTHON"

// readThroughGlue has a reader that is not ours find the tables in the catalog of Glue, and
// compares its rows.
func (s *site) readThroughGlue(tables ...string) {
	s.t.Helper()
	python := os.Getenv(secondReader)
	if python == "" {
		s.t.Logf("no second reader through Glue: %s names no Python with .ci/readers/requirements.txt", secondReader)
		return
	}
	expected := s.t.TempDir()
	for _, table := range tables {
		rows := s.must("cat", table, "--provenance")
		if err := os.WriteFile(filepath.Join(expected, table+".csv"), []byte(rows), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), commandTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, python, "../../../.ci/readers/with_glue.py", s.databases, expected).CombinedOutput()
	if err != nil {
		s.t.Fatalf("the second reader, through Glue: %v\n%s", err, out)
	}
	s.t.Logf("the second reader, through Glue:\n%s", out)
}

// TestRolesAsProcesses: one table's files are transformed by the Lambda function, the
// other's in the process of lambda-transformer. A load, changes, a crash, a bad file with one behind it, bad
// rows that are mended; and the commands that look and decide, from elsewhere.
func TestRolesAsProcesses(t *testing.T) {
	s := newSite(t)
	s.put("dms/rms/reports/LOAD00000001.csv", "id,status\n1,open\n2,open\n")
	await(s, "rms.reports", func(*blotterv1.FileAccepted) bool { return true })
	s.must("load", "complete", "rms.reports")
	ran := await(s, "rms.reports", func(*blotterv1.TransformRunEnded) bool { return true })
	if ran.GetState() != "SUCCEEDED" || ran.GetRun() == "" {
		t.Errorf("the function's run ended as %v", ran)
	}
	s.published("rms.reports")
	s.running["curator"].kill()
	s.put("dms/rms/reports/20240705-000000000.csv", "Op,id,status\nU,1,closed\nD,2,\nI,3,open\n")
	await(s, "rms.reports", func(*blotterv1.PublishRequested) bool { return true })
	s.startRole("curator")
	s.published("rms.reports")
	s.check("rms.reports", "1,closed", "3,open")

	s.put("dms/rms/people/20240705-000000000.csv", "Op,id,born\nI,1,1980-01-02\nI,2,in spring\n")
	s.published("rms.people")
	s.check("rms.people", "1,1980-01-02")
	if a := s.alerted(); a.Kind != alert.RowsSetAside || a.Table != "rms.people" {
		t.Errorf("of rows that were set aside it is told: %+v", a)
	}
	s.mend()
	s.check("rms.people", "1,1980-01-02", "2,1990-03-04")

	s.badFile()
	s.check("rms.reports", "1,closed", "3,open", "4,open")
	s.readThroughGlue("rms.reports", "rms.people")
	if out := s.must("replay"); strings.Contains(out, "differ") {
		t.Errorf("the log does not give the control state:\n%s", out)
	}
	s.audited()
	s.reconciled()
	s.misnamed()
	s.repaired()
	for _, role := range roles.Names() {
		s.running[role].end()
	}
	s.rebuilt()
}

// audited has curator archive the log, and an auditor, who may change nothing, prove it and
// what it tells of.
func (s *site) audited() {
	s.t.Helper()
	if out, err := s.runAs("curator", "audit", "archive"); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	for _, look := range [][]string{
		{"audit", "verify", "--against", "--key", s.verifier}, {"fsck", "--bytes"}, {"replay", "--rows"}, {"explain", "rms.reports", "2"},
	} {
		if out, err := s.runAs("auditor", look...); err != nil {
			s.t.Errorf("an auditor's %q: %v\n%s", look, err, out)
		}
	}
	// The log is shortened by the server's admin, who reads with an auditor's rights.
	trims := append(s.as("admin"), "AWS_ENDPOINT_URL="+s.doors["auditor"].url)
	if out, err := s.runWith(trims, "audit", "trim", "--keep", "1h", "--key", s.verifier); err != nil || !strings.Contains(out, "nothing to remove") {
		s.t.Errorf("the admin's trim: %v\n%s", err, out)
	}
	if out, err := s.runAs("auditor", "audit", "archive"); err == nil {
		s.t.Errorf("an auditor writes the archive:\n%s", out)
	}
}

// mend exports the row that was set aside, and brings it in.
func (s *site) mend() {
	s.t.Helper()
	var files []struct {
		ID string `json:"file_id"`
	}
	if err := json.Unmarshal([]byte(s.must("rejected", "list", "rms.people", "--json")), &files); err != nil || len(files) != 1 {
		s.t.Fatal(files, err)
	}
	rows := filepath.Join(s.t.TempDir(), "rows.csv")
	s.must("rejected", "export", "rms.people", "--file", files[0].ID, "-o", rows)
	exported, err := os.ReadFile(rows)
	if err != nil {
		s.t.Fatal(err)
	}
	mended := strings.Replace(string(exported), "in spring", "1990-03-04", 1)
	if err := os.WriteFile(rows, []byte(mended), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.must("rejected", "replay", "rms.people", rows, "--file", files[0].ID, "--reason", "she told us")
	s.published("rms.people")
}

// badFile has a file quarantined and another wait behind it until the first is skipped.
func (s *site) badFile() {
	s.t.Helper()
	s.put("dms/rms/reports/20240706-000000000.csv", "Op,id,status\nU,one,closed\n")
	quarantined := await(s, "rms.reports", func(*blotterv1.FileQuarantined) bool { return true })
	if a := s.alerted(); a.Kind != alert.TablePaused || a.Table != "rms.reports" || a.File.ID != quarantined.GetFileId() ||
		a.Report != quarantined.GetReportKey() || !strings.HasPrefix(a.Commands[0], "blotter resume 'rms.reports' --retry ") {
		s.t.Errorf("of a bad file it is told: %+v", a)
	}
	var shown struct {
		Files []struct {
			Folder string `json:"folder"`
		} `json:"quarantined_files"`
	}
	if err := json.Unmarshal([]byte(s.must("table", "show", "rms.reports", "--json")), &shown); err != nil {
		s.t.Fatal(err)
	}
	if len(shown.Files) != 1 || !strings.HasPrefix(shown.Files[0].Folder, "s3://") ||
		!strings.HasSuffix(shown.Files[0].Folder, "/failed/rms/reports/"+quarantined.GetFileId()) {
		s.t.Errorf("the copies lie in %+v", shown.Files)
	}
	s.put("dms/rms/reports/20240707-000000000.csv", "Op,id,status\nI,4,open\n")
	await(s, "rms.reports", func(*blotterv1.FileHeld) bool { return true })
	for _, who := range []string{"operator", "auditor"} { // who looks takes no file out of sight
		if out, err := s.runAs(who, "fsck", "rms.reports"); err != nil {
			s.t.Errorf("%s: with a file that waits: %v\n%s", who, err, out)
		}
	}
	if out := s.must("holdqueue", "rebuild", "rms.reports"); !strings.HasPrefix(out, "1 file of rms.reports waits") {
		s.t.Errorf("the hold queue is said to be: %s", out)
	}
	s.must("resume", "rms.reports", "--skip", "--reason", "damaged at the source")
	s.published("rms.reports")
}
