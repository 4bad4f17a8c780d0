package iam

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestLists: where places are folders of one bucket, a role lists those that it opens and
// no other. Each may ask without a folder: S3 then tells it which objects are not there.
func TestLists(t *testing.T) {
	t.Parallel()
	all := []string{"audit/", "failed/", "lake/", "raw/", "staging/"}
	lists := map[string][]string{
		"IngestRouter": {"failed/", "raw/"}, "Classifier": nil, "LockManager": nil, "Reconcile": nil,
		"LambdaTransformer": {"failed/", "raw/", "staging/"}, "Function": {"failed/", "raw/", "staging/"},
		"GlueDispatcher": {"failed/", "lake/", "raw/", "staging/"}, "Job": {"failed/", "lake/", "raw/", "staging/"},
		"Curator": all, "Operators": all, "Repairs": all, "Auditors": all,
	}
	read := rolesOf(t, oneBucket)
	for name, r := range read {
		bucket := Call{"s3:ListBucket", "arn:aws:s3:::all"}
		var may []string
		for _, folder := range append(slices.Clone(all), "other/", "") {
			if r.AllowsWith(bucket, map[string]string{"s3:prefix": folder}) {
				may = append(may, folder)
			}
		}
		want, known := lists[name]
		if !known || !slices.Equal(may, want) {
			t.Errorf("%s lists %q, expected %q", name, may, want)
		}
		if r.Allows(bucket) != (len(want) > 0) {
			t.Errorf("%s asks without a folder: %v", name, r.Allows(bucket))
		}
	}
	if versions := (Call{"s3:ListBucketVersions", "arn:aws:s3:::all"}); read["Operators"].AllowsWith(versions, map[string]string{"s3:prefix": "lake/"}) ||
		!read["Operators"].AllowsWith(versions, map[string]string{"s3:prefix": "raw/rms/"}) {
		t.Error("operators list versions elsewhere than in the raw folder")
	}
}

// TestTrust: a task of ECS runs as a role for this account and region alone. Of Lambda and
// Glue no condition is documented; another program runs the roles without. People have
// signed in with a second factor, unless IAM is not told of it.
func TestTrust(t *testing.T) {
	t.Parallel()
	own := []Condition{
		{arnLike, "aws:SourceArn", []string{testAccount.arn("ecs", "*")}},
		{stringEquals, "aws:SourceAccount", []string{testAccount.ID}},
	}
	people := []string{"Auditors", "Operators", "Repairs"}
	elsewhere := maps.Clone(ownBuckets)
	elsewhere["Services"], elsewhere["PeopleMfa"] = "ec2.amazonaws.com", "false"
	for service, read := range map[string]map[string]Role{"ecs-tasks.amazonaws.com": testRoles(t), "ec2.amazonaws.com": rolesOf(t, elsewhere)} {
		for name, r := range read {
			want := Trust{Service: service}
			switch {
			case name == "Function":
				want.Service = "lambda.amazonaws.com"
			case name == "Job":
				want.Service = "glue.amazonaws.com"
			case slices.Contains(people, name):
				want.Service = ""
				if service == "ecs-tasks.amazonaws.com" {
					want.Conditions = []Condition{{boolean, "aws:MultiFactorAuthPresent", []string{"true"}}}
				}
			case strings.HasPrefix(service, "ecs"):
				want.Conditions = own
			}
			if !reflect.DeepEqual(r.Trusts, []Trust{want}) {
				t.Errorf("with %s %s trusts %v, expected %v", service, name, r.Trusts, want)
			}
		}
	}
	for has, want := range map[string]bool{testAccount.arn("ecs", "task/blotter/1"): true, "arn:aws:ecs:eu-west-1:999999999999:task/blotter/1": false} {
		if own[0].holds(map[string]string{"aws:SourceArn": has}) != want {
			t.Errorf("%s: expected %v", has, want)
		}
	}
	if own[1].holds(nil) || own[1].holds(map[string]string{"aws:SourceAccount": testAccount.ID + "0"}) {
		t.Error("another account is taken for this one")
	}
}

// TestServicesRoles: what starts a task of deploy/aws/services.yaml reads the task's own
// secrets, and the schedule starts one task as two roles; both for this account alone.
func TestServicesRoles(t *testing.T) {
	t.Parallel()
	read, err := Read(root+"/deploy/aws/services.yaml", map[string]string{
		"Image": "i", "Vpc": "v", "Subnets": "s", "Nats": "n", "NatsCidr": "c", "Raw": "r", "Staging": "s", "Failed": "f", "Lake": "l", "Audit": "a",
		"AWS::Partition": testAccount.Partition, "AWS::Region": testAccount.Region, "AWS::AccountId": testAccount.ID,
	})
	if err != nil {
		t.Fatal(err)
	}
	account := Condition{stringEquals, "aws:SourceAccount", []string{testAccount.ID}}
	tasks := []Trust{{"ecs-tasks.amazonaws.com", []Condition{{arnLike, "aws:SourceArn", []string{testAccount.arn("ecs", "*")}}, account}}}
	want := map[string]Role{"Scheduler": {"Scheduler", []Trust{{"scheduler.amazonaws.com", []Condition{
		{arnLike, "aws:SourceArn", []string{testAccount.arn("scheduler", "schedule-group/blotter")}}, account,
	}}}, []Statement{
		{[]string{"ecs:RunTask"}, []string{"${ReconcileTask}"}, []Condition{{arnLike, "ecs:cluster", []string{"${Cluster.Arn}"}}}},
		{[]string{"iam:PassRole"}, []string{"${ReconcileExecution.Arn}", "arn:aws:iam::123456789012:role/blotter-reconcile"},
			[]Condition{{stringEquals, "iam:PassedToService", []string{"ecs-tasks.amazonaws.com"}}}},
	}}}
	for _, name := range append(slices.Collect(maps.Values(services)), "Reconcile") {
		secrets := []string{"${import blotter-" + name + "Seed}", "${import blotter-Authorities}"}
		if name == "Curator" {
			secrets = append(secrets, "${import blotter-AuditKey}")
		}
		role := name + "Execution"
		want[role] = Role{role, tasks, []Statement{{Actions: []string{"secretsmanager:GetSecretValue"}, Resources: secrets}}}
	}
	if !reflect.DeepEqual(read, want) {
		t.Errorf("the roles are\n%v, expected\n%v", read, want)
	}
}
