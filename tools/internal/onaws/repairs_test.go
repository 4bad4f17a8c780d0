package onaws

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
)

// misnamed has a table name a function and a job that are not there.
func (s *site) misnamed() {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "units.yaml")
	content := strings.Split(tables, "tables:")[0] +
		"tables: [{name: units, primary_key: [id], columns: {id: int not null}, route: auto, job: {lambda: blotter-none, glue: blotter-none}}]\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	out := s.must("apply", "-f", file)
	for _, says := range []string{"the function blotter-none, and Lambda has none", "the job blotter-none, and Glue has none"} {
		if !strings.Contains(out, says) {
			s.t.Errorf("it is not noted that %s:\n%s", says, out)
		}
	}
}

// reconciled has the scheduled task list the bucket, by its own seed and role.
func (s *site) reconciled() {
	s.t.Helper()
	out, err := s.runAs("reconcile", "reconcile", "--reason", "daily")
	if err != nil || !strings.Contains(out, " listed, 0 of them had not been told") {
		s.t.Errorf("the scheduled reconcile: %v\n%s", err, out)
	}
}

// repaired has staged output that nothing reads be removed by whoever repairs; an operator,
// who may look, is told of it and may not.
func (s *site) repaired() {
	s.t.Helper()
	key := "of/rms/reports/00000000000000000000000000000001/1/left.parquet"
	if _, err := s.s3.PutObject(s.t.Context(), &awss3.PutObjectInput{Bucket: aws.String(s.name + "-staging"), Key: &key, Body: strings.NewReader("x")}); err != nil {
		s.t.Fatal(err)
	}
	repair := []string{"fsck", "--repair", "--reason", "left over"}
	if out, err := s.run("fsck"); err == nil || !strings.Contains(out, "left.parquet") && !strings.Contains(out, "1 finding left") {
		s.t.Errorf("an operator looks: %v\n%s", err, out)
	}
	out, err := s.run(repair...)
	if refused := s.refused.take(); err == nil || len(refused) == 0 || !strings.Contains(out, "is not authorized to perform: sqs:ReceiveMessage") {
		s.t.Errorf("an operator repairs: %v\n%s\nrefused %q", err, out, refused)
	}
	if out, err := s.runBehind("repairs", "operator", repair...); err != nil || !strings.Contains(out, "1 repaired") {
		s.t.Errorf("whoever repairs: %v\n%s", err, out)
	}
	s.must("fsck")
}

// rebuilt has a control store that was lost be written anew, and the tables be as before.
func (s *site) rebuilt() {
	s.t.Helper()
	client := dynamodb.NewFromConfig(awstest.Config(s.t))
	if _, err := client.DeleteTable(s.t.Context(), &dynamodb.DeleteTableInput{TableName: &s.name}); err != nil {
		s.t.Fatal(err)
	}
	gone := dynamodb.NewTableNotExistsWaiter(client)
	if err := gone.Wait(s.t.Context(), &dynamodb.DescribeTableInput{TableName: &s.name}, commandTimeout); err != nil {
		s.t.Fatal(err)
	}
	if out, err := s.runAs("admin", "places", "--create"); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	if out, err := s.runBehind("repairs", "operator", "replay", "--rebuild"); err != nil || !strings.Contains(out, "the control store is written anew: 3 tables") {
		s.t.Fatalf("whoever repairs writes the control store anew: %v\n%s", err, out)
	}
	s.check("rms.reports", "1,closed", "3,open", "4,open")
	s.must("fsck")
}
