package roles

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/nats-io/nuid"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/lake/glue/gluetest"
	"github.com/openblotter/blotter/pkg/objects/s3"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/services/curator"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

const onS3Tables = `
database: rms
source: {prefix: dms/, schema: rms}
dms: {header: true, op_column: Op, timestamp_column: null, change_seq_column: null, null: "NULL"}
load: {quiet_period: 0s}
tables:
  - {name: reports, primary_key: [id], columns: {id: bigint not null, status: string}}
`

var reports = dms.TableID{DB: "rms", Table: "reports"}

// system is a whole system in this process whose buckets are those of S3.
type system struct {
	t      *testing.T
	client *awss3.Client
	raw    string
	p      *Process
}

// onS3 starts a system: the raw bucket keeps versions, the others share a bucket. Its
// catalog is a file where none is named.
func onS3(t *testing.T, way aws.Config, catalog string) *system {
	t.Helper()
	s := &system{t: t, client: s3.NewClient(way), raw: awstest.Name(t)}
	other := awstest.Name(t)
	cfg := DefaultConfig()
	cfg.Dir, cfg.Watch.Rescan = t.TempDir(), 20*time.Millisecond
	cfg.Places = Places{
		Raw: "s3://" + s.raw + "/dms/", Staging: "s3://" + other + "/staging", Failed: "s3://" + other + "/failed/", Lake: "s3://" + other + "/lake", Catalog: catalog,
	}
	for _, f := range Look(t.Context(), cfg, true) {
		if f.Err != nil {
			t.Fatal(f.Name, f.Err)
		}
	}
	var err error
	if s.p, err = Open(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	stop, _ := s.p.Start(context.WithoutCancel(t.Context()))
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := s.p.Close(); err != nil {
			t.Error(err)
		}
	})
	specs, err := registry.Parse([]byte(onS3Tables), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s.order("apply", lockmanager.CommandRequest{Spec: &specs[0]})
	return s
}

func (s *system) order(name string, r lockmanager.CommandRequest) {
	s.t.Helper()
	r.ID, r.Actor, r.Reason, r.Table = nuid.Next(), "operator:test", "test", reports.String()
	reply, err := s.p.LockManager.Execute(s.t.Context(), name, r)
	if err != nil || reply.Refused != "" {
		s.t.Fatal(name, reply.Refused, err)
	}
	s.settle()
}

func (s *system) settle() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	if err := s.p.Settle(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// put writes an object of the raw bucket.
func (s *system) put(key, content string) {
	s.t.Helper()
	_, err := s.client.PutObject(s.t.Context(), &awss3.PutObjectInput{Bucket: &s.raw, Key: &key, Body: strings.NewReader(content)})
	if err != nil {
		s.t.Fatal(err)
	}
}

// look has ingest-router look into the raw bucket.
func (s *system) look() {
	s.t.Helper()
	if err := s.p.WholeFiles(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.settle()
}

// rows gives the rows of the table, sorted.
func (s *system) rows() []string {
	s.t.Helper()
	set, err := s.p.Lake.Rows(s.t.Context(), reports)
	if err != nil {
		s.t.Fatal(err)
	}
	var rows []string
	for row, err := range set.All(s.t.Context()) {
		if err != nil {
			s.t.Fatal(err)
		}
		var b []byte
		for i, v := range row.Values {
			b = append(lake.AppendValue(b, set.Columns[i].Type, v), ' ')
		}
		rows = append(rows, string(bytes.TrimSpace(b)))
	}
	slices.Sort(rows)
	return rows
}

// files gives the history of the table's files by the end of their keys.
func (s *system) files() map[string]*lockmanager.File {
	s.t.Helper()
	rows, err := s.p.Store.Files(s.t.Context(), reports, nil, 100)
	if err != nil {
		s.t.Fatal(err)
	}
	files := map[string]*lockmanager.File{}
	for _, row := range rows {
		f, err := lockmanager.DecodeFile(row.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		files[f.Object.Key[strings.LastIndexByte(f.Object.Key, '/')+1:]] = f
	}
	return files
}

func TestAllOnS3InProcess(t *testing.T) {
	way := awstest.S3InProcess(t)
	glue := gluetest.New()
	t.Setenv("AWS_ENDPOINT_URL_GLUE", glue.Serve(t))
	allOnS3(t, way, "glue://test_")
	if in, ok := glue.Table("test_rms", "reports"); !ok || len(in.StorageDescriptor.Columns) != 5 {
		t.Errorf("Glue knows the table as %+v", in)
	}
}

func TestAllOnS3(t *testing.T) {
	allOnS3(t, awstest.Config(t), "glue://"+strings.ReplaceAll(awstest.Name(t), "-", "_")+"_")
}

// allOnS3: a load, changes and a bad file come from a bucket of S3, found by listing,
// and go where they belong, in buckets of S3 and a catalog in Glue.
func allOnS3(t *testing.T, way aws.Config, catalog string) {
	s := onS3(t, way, catalog)
	s.put("elsewhere/rms/reports/20240704-000000000.csv", "Op,id,status\nI,9,not ours\n")
	s.put("dms/rms/reports/LOAD00000001.csv", "id,status\n1,open\n2,open\n")
	s.look()
	s.order("load-complete", lockmanager.CommandRequest{})
	s.put("dms/rms/reports/20240705-000000000.csv", "Op,id,status\nU,1,closed\nD,2,\nI,3,open\n")
	s.look()
	s.look() // nothing is news
	if got, want := s.rows(), []string{"1 closed", "3 open"}; !slices.Equal(got, want) {
		t.Fatalf("the rows are %q, expected %q", got, want)
	}

	s.put("dms/rms/reports/20240706-000000000.csv", "Op,id,status\nU,one,closed\n")
	s.look()
	bad := s.files()["20240706-000000000.csv"]
	if bad == nil || bad.Status != lockmanager.Quarantined {
		t.Fatalf("the bad file is %+v", bad)
	}
	if bad.Object.VersionID == "" || bad.Object.Bucket != s.raw {
		t.Errorf("it is told of as %+v, without its bucket or version", bad.Object)
	}
	var copies []string
	for info, err := range s.p.Failed.List(t.Context(), curator.QuarantineFolder(reports, bad.ID)+"/") {
		if err != nil {
			t.Fatal(err)
		}
		copies = append(copies, info.Key[strings.LastIndexByte(info.Key, '/')+1:])
	}
	if want := []string{"20240706-000000000.csv", "report.json"}; !slices.Equal(copies, want) {
		t.Errorf("%q lie in the failed bucket, expected %q", copies, want)
	}
	s.order("resume", lockmanager.CommandRequest{Mode: string(lockmanager.ResumeSkip)})
	if _, ok := s.files()["20240704-000000000.csv"]; ok {
		t.Error("an object outside of the prefix was taken")
	}
}

// TestAVersionIsReadThatWasTold: an object that is written again before its turn comes is
// two files, each read as it was. (gofakes3 tells of the newest version only.)
func TestAVersionIsReadThatWasTold(t *testing.T) {
	s := onS3(t, awstest.Config(t), "")
	s.order("pause", lockmanager.CommandRequest{})
	const key = "dms/rms/reports/20240705-000000000.csv"
	for i := range 2 {
		s.put(key, fmt.Sprintf("Op,id,status\nI,%d,open\n", i+1))
		info, err := s.p.Raw.Stat(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.p.IngestRouter.Offer(t.Context(), dms.Object{
			Bucket: s.raw, Key: key, VersionID: info.VersionID, ETag: info.ETag, Size: info.Size, LastModified: info.LastModified,
		}, ingestrouter.FromEvent)
		if err != nil {
			t.Fatal(err)
		}
	}
	s.settle()
	s.order("resume", lockmanager.CommandRequest{})
	if got, want := s.rows(), []string{"1 open", "2 open"}; !slices.Equal(got, want) {
		t.Errorf("the rows are %q, expected %q", got, want)
	}
}

// TestWhatIsMissingIsSaidAtStartInProcess: what, where, and what to do.
func TestWhatIsMissingIsSaidAtStartInProcess(t *testing.T) {
	client := s3.NewClient(awstest.S3InProcess(t))
	there := awstest.Name(t)
	if err := s3.CreateBucket(t.Context(), client, there, false); err != nil {
		t.Fatal(err)
	}
	for says, places := range map[string]Places{
		"--raw: there is no such S3 bucket: nobody-made-it":                  {Raw: "s3://nobody-made-it"},
		"blotter places --create":                                            {Failed: "s3://nobody-made-it/failed"},
		`--staging (BLOTTER_STAGING): "gs://x": expected a folder or s3://…`: {Staging: "gs://x"},
		`--control (BLOTTER_CONTROL): "dynamodb://a b"`:                      {Control: "dynamodb://a b"},
		`"glue://RMS": the prefix`:                                           {Catalog: "glue://RMS", Lake: "s3://" + there},
		"--catalog (BLOTTER_CATALOG): a catalog in Glue is of tables on S3":  {Catalog: "glue://"},
		"one lies in the other":                                              {Raw: "s3://" + there, Failed: "s3://" + there + "/failed"},
		"--nats (BLOTTER_NATS): expected nats://HOST":                        {NATS: "localhost"},
		"--nats (BLOTTER_NATS): expected nats://HOST[:PORT]":                 {NATS: "tls://nats-1:4222,http://nats-2"},
		"is the server up":                                                   {NATS: "nats://user:secret@127.0.0.1:1"},
		"open the raw folder":                                                {Raw: t.TempDir() + "/nothing"},
	} {
		cfg := DefaultConfig()
		cfg.Dir, cfg.Places = t.TempDir(), places
		p, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if err == nil {
			t.Errorf("%+v: it opens", places)
			_ = p.Close()
			continue
		}
		if !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v gives %q, expected %q", places, err, says)
		}
	}
}
