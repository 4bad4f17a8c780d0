package iam

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/tools/internal/roles"
)

// services are the roles that run a service, by its name.
var services = map[string]string{
	"ingest-router": "IngestRouter", "classifier": "Classifier", "lock-manager": "LockManager",
	"lambda-transformer": "LambdaTransformer", "glue-dispatcher": "GlueDispatcher", "curator": "Curator",
}

// adapters are the packages that open a place on AWS. The log is no part of it.
var adapters = map[string][]string{
	"raw": {"pkg/objects/s3"}, "staging": {"pkg/objects/s3"}, "failed": {"pkg/objects/s3"}, "lake": {"pkg/objects/s3"}, "audit": {"pkg/objects/s3"},
	"control": {"pkg/control/dynamo"}, "hold": {"pkg/holdqueue/sqs"}, "catalog": {"pkg/lake/glue"},
	"ingress": {"pkg/ingress/sqs", "pkg/callback/stepfunctions"}, "alerts": {"pkg/alert/sns", "pkg/alert/eventbridge"}, "nats": nil,
}

// engines are the packages that a service runs transforms with.
var engines = map[string]string{"lambda-transformer": "pkg/jobs/lambda", "glue-dispatcher": "pkg/jobs/glue"}

// looking are the packages with which people look, and whoever repairs writes.
var looking = []string{"pkg/objects/s3", "pkg/control/dynamo", "pkg/holdqueue/sqs", "pkg/lake/glue"}

// byPlatform is what AWS itself calls as a role, for a program that does not.
var byPlatform = map[string][]string{
	"Function": {"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"},
	"Job":      {"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"},
}

// unused are actions that adapters of a role call for others, and it has no use for. An
// operation that is new in an adapter is granted to each role with it, or stands here.
var unused = map[string][]string{
	"IngestRouter":      {"s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject"},
	"Classifier":        writingState,
	"LockManager":       {"sqs:GetQueueAttributes"},
	"Reconcile":         slices.Concat(writingState, []string{"dynamodb:GetItem", "dynamodb:Query"}),
	"LambdaTransformer": slices.Concat(writingState, []string{"s3:DeleteObject", "s3:ListBucketVersions"}),
	"GlueDispatcher": slices.Concat(writingState, []string{"s3:DeleteObject", "s3:ListBucketVersions",
		"glue:CreateDatabase", "glue:CreateTable", "glue:UpdateTable"}),
	"Curator":   slices.Concat(writingState, []string{"s3:ListBucketVersions"}),
	"Function":  {"s3:DeleteObject", "s3:ListBucketVersions", "s3:GetBucketVersioning"},
	"Job":       {"s3:DeleteObject", "s3:ListBucketVersions", "s3:GetBucketVersioning"},
	"Operators": slices.Concat(repairing, []string{"s3:DeleteObject", "glue:CreateDatabase", "glue:CreateTable", "glue:UpdateTable"}),
	"Repairs":   {"glue:CreateDatabase", "glue:CreateTable", "glue:UpdateTable"},
	"Auditors":  slices.Concat(repairing, []string{"s3:DeleteObject", "s3:PutObject", "s3:AbortMultipartUpload", "glue:CreateDatabase", "glue:CreateTable", "glue:UpdateTable"}),
}

// repairing is what only repairs do with state and lists of files that wait.
var repairing = []string{
	"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem",
	"sqs:CreateQueue", "sqs:TagQueue", "sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility",
}

// writingState is what those do without that read registrations only.
var writingState = []string{"dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"}

// uses says which adapters each role is wired with: a service with those of the places
// that it opens.
func uses(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{
		"Function": {"pkg/objects/s3"}, "Job": {"pkg/objects/s3"}, "Reconcile": {"pkg/control/dynamo"},
		"Operators": slices.Concat(looking, []string{"pkg/alert/sns", "pkg/alert/eventbridge", "pkg/jobs/presence"}), "Repairs": looking, "Auditors": looking,
	}
	for _, service := range roles.Names() {
		role, is := services[service]
		if !is {
			t.Fatalf("the service %s has no role in deploy/aws/roles.yaml", service)
		}
		for _, place := range roles.Opens(service) {
			packages, known := adapters[place]
			if !known {
				t.Errorf("%s opens %s: by which package, on AWS?", service, place)
			}
			all[role] = append(all[role], packages...)
		}
		if engine := engines[service]; engine != "" {
			all[role] = append(all[role], engine)
		}
	}
	return all
}

// TestGrants: a role may do what the adapters do which it is wired with, less what it has no
// use for, and nothing more; the policies name no wildcard of actions, and not everything.
func TestGrants(t *testing.T) {
	t.Parallel()
	called := operations(t)
	uses := uses(t)
	read := testRoles(t)
	if got, want := slices.Sorted(maps.Keys(read)), slices.Sorted(maps.Keys(uses)); !slices.Equal(got, want) {
		t.Fatalf("the template has the roles %v, expected %v", got, want)
	}
	for name, r := range read {
		needed := map[string]bool{}
		for _, a := range byPlatform[name] {
			needed[a] = true
		}
		for _, pkg := range uses[name] {
			if len(called[pkg]) == 0 {
				t.Errorf("%s calls nothing of AWS: is it a package still?", pkg)
			}
			for o := range called[pkg] {
				for _, a := range actions[o] {
					needed[a] = !slices.Contains(setup, a)
				}
			}
		}
		for _, a := range unused[name] {
			if !needed[a] {
				t.Errorf("%s has no use for %s, which none of %v calls: leave it out", name, a, uses[name])
			}
			needed[a] = false
		}
		granted := r.granted()
		for a, is := range needed {
			if is && !granted[a] {
				t.Errorf("%s may not %s, which one of %v calls: grant it in deploy/aws/roles.yaml, or say in unused that it has no use for it", name, a, uses[name])
			}
		}
		for a := range granted {
			if !needed[a] || strings.ContainsAny(a, "*?") {
				t.Errorf("%s may %s, which none of %v calls for it", name, a, uses[name])
			}
		}
		for _, s := range r.Statements {
			for _, on := range s.Resources {
				if on == "*" || on == "" {
					t.Errorf("%s may %v on everything", name, s.Actions)
				}
			}
		}
	}
}

// TestEntrypointRoles: the state machine tells the queue, EventBridge starts the state
// machine, and neither does anything else.
func TestEntrypointRoles(t *testing.T) {
	t.Parallel()
	for workflow, want := range map[string]map[string][]Statement{
		"true": {
			"MachineRole": {{Actions: []string{"sqs:SendMessage"}, Resources: []string{"${Ingress.Arn}"}}},
			"RuleRole":    {{Actions: []string{"states:StartExecution"}, Resources: []string{"${Machine}"}}},
		},
		"false": {},
	} {
		read, err := Read(root+"/deploy/aws/entrypoint.yaml", map[string]string{
			"RawBucket": "raw", "Workflow": workflow, "AWS::Partition": testAccount.Partition, "AWS::Region": testAccount.Region, "AWS::AccountId": testAccount.ID,
		})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string][]Statement{}
		account := []Condition{{stringEquals, "aws:SourceAccount", []string{testAccount.ID}}}
		for name, r := range read {
			got[name] = r.Statements
			if len(r.Trusts) != 1 || !reflect.DeepEqual(r.Trusts[0].Conditions, account) {
				t.Errorf("%s trusts %v, expected for this account alone", name, r.Trusts)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("Workflow=%s: %v, expected %v", workflow, got, want)
		}
	}
}

// TestOnlyItsPlaces: a service may do something in the buckets that it opens, and nothing
// in others; the same holds of queues, the catalog, and the state machine.
func TestOnlyItsPlaces(t *testing.T) {
	t.Parallel()
	read := testRoles(t)
	places := map[string]string{
		"raw": "arn:aws:s3:::raw/x", "staging": "arn:aws:s3:::staging/x", "failed": "arn:aws:s3:::failed/x", "lake": "arn:aws:s3:::lake/x", "audit": "arn:aws:s3:::audit/x",
		"control": testAccount.arn("dynamodb", "table/blotter"), "hold": testAccount.arn("sqs", "blotter-hold-x.fifo"), "ingress": testAccount.arn("sqs", "blotter-ingress"),
		"catalog": testAccount.arn("glue", "table/rms/reports"), "alerts": testAccount.arn("sns", "blotter-alerts"),
	}
	for service, role := range services {
		opens := roles.Opens(service)
		for place, on := range places {
			var may []string
			for _, s := range read[role].Statements {
				if slices.ContainsFunc(s.Resources, func(pattern string) bool { return matches(pattern, on) }) {
					may = append(may, s.Actions...)
				}
			}
			if slices.Contains(opens, place) != (len(may) > 0) {
				t.Errorf("%s opens %v, and may %v on %s", service, opens, may, on)
			}
		}
	}
}

// TestWhoMayWrite: what the design promises of buckets and state holds by rights, too.
func TestWhoMayWrite(t *testing.T) {
	t.Parallel()
	for _, at := range []struct {
		parameters map[string]string
		bucket     string // how the ARN of an object begins, before the place
	}{{ownBuckets, "arn:aws:s3:::"}, {oneBucket, "arn:aws:s3:::all/"}} {
		whoMayWrite(t, rolesOf(t, at.parameters), func(place string) string { return at.bucket + place + "/any/object" })
	}
}

func whoMayWrite(t *testing.T, read map[string]Role, object func(place string) string) {
	t.Helper()
	table := testAccount.arn("dynamodb", "table/blotter")
	for _, c := range []struct {
		Call
		who []string
	}{
		{Call{"s3:PutObject", object("raw")}, nil},
		{Call{"s3:DeleteObject", object("raw")}, nil},
		{Call{"s3:DeleteObjectVersion", object("raw")}, nil},
		{Call{"s3:PutObject", object("staging")}, []string{"Function", "GlueDispatcher", "Job", "LambdaTransformer"}},
		{Call{"s3:DeleteObject", object("staging")}, []string{"Repairs"}},
		{Call{"s3:PutObject", object("failed")}, []string{"Curator", "Repairs"}},
		{Call{"s3:PutObject", object("failed") + "/rejected-4/mended-0123.jsonl"}, []string{"Curator", "Operators", "Repairs"}},
		{Call{"s3:DeleteObject", object("failed")}, []string{"Repairs"}},
		{Call{"s3:PutObject", object("lake")}, []string{"Curator"}},
		{Call{"s3:DeleteObject", object("lake")}, []string{"Curator"}},
		{Call{"s3:PutObject", object("audit")}, []string{"Curator"}},
		{Call{"s3:DeleteObject", object("audit")}, nil},
		{Call{"dynamodb:PutItem", table}, []string{"IngestRouter", "LockManager", "Repairs"}},
		{Call{"dynamodb:GetItem", table}, []string{"Auditors", "Classifier", "Curator", "GlueDispatcher", "IngestRouter", "LambdaTransformer", "LockManager", "Operators", "Repairs"}},
		{Call{"sqs:SendMessage", testAccount.arn("sqs", "blotter-hold-rms.fifo")}, []string{"LockManager", "Repairs"}},
		{Call{"sqs:ReceiveMessage", testAccount.arn("sqs", "blotter-hold-rms.fifo")}, []string{"LockManager", "Repairs"}},
		{Call{"sqs:ChangeMessageVisibility", testAccount.arn("sqs", "blotter-hold-rms.fifo")}, []string{"LockManager", "Repairs"}},
		{Call{"sqs:GetQueueAttributes", testAccount.arn("sqs", "blotter-hold-rms.fifo")}, []string{"Auditors", "Operators", "Repairs"}},
		{Call{"dynamodb:PutItem", testAccount.arn("dynamodb", "table/another")}, nil},
		{Call{"glue:UpdateTable", testAccount.arn("glue", "table/rms/reports")}, []string{"Curator"}},
		{Call{"states:SendTaskSuccess", testAccount.arn("states", "stateMachine:blotter")}, []string{"IngestRouter"}},
		{Call{"sqs:ReceiveMessage", testAccount.arn("sqs", "blotter-ingress")}, []string{"IngestRouter"}},
		{Call{"s3:GetObject", object("another")}, nil},
		{Call{"s3:GetObjectVersion", object("raw")}, []string{"Auditors", "Curator", "Function", "GlueDispatcher", "IngestRouter", "Job", "LambdaTransformer", "Operators", "Repairs"}},
		{Call{"s3:GetObject", object("lake")}, []string{"Auditors", "Curator", "GlueDispatcher", "Job", "Operators", "Repairs"}},
		{Call{"s3:GetObject", object("audit")}, []string{"Auditors", "Curator", "Operators", "Repairs"}},
		// The adapter names the version that S3 has returned, wherever a bucket keeps versions.
		{Call{"s3:GetObjectVersion", object("lake")}, []string{"Auditors", "Curator", "GlueDispatcher", "Job", "Operators", "Repairs"}},
		{Call{"s3:GetObjectVersion", object("failed")}, []string{"Auditors", "Curator", "Function", "GlueDispatcher", "IngestRouter", "Job", "LambdaTransformer", "Operators", "Repairs"}},
		{Call{"s3:GetObjectVersion", object("audit")}, []string{"Auditors", "Curator", "Operators", "Repairs"}},
		{Call{"s3:ListBucket", "arn:aws:s3:::another"}, nil},
		{Call{"glue:UpdateTable", testAccount.arn("glue", "table/another/reports")}, nil},
		// A database is named in full, or by the beginning of its name with * behind.
		{Call{"glue:CreateDatabase", testAccount.arn("glue", "database/rms")}, []string{"Curator"}},
		{Call{"glue:GetTable", testAccount.arn("glue", "table/rms_hr/reports")}, nil},
		{Call{"glue:GetDatabase", testAccount.arn("glue", "database/rms_hr")}, nil},
		{Call{"glue:GetTable", testAccount.arn("glue", "table/cad_2024/calls")}, []string{"Auditors", "Curator", "GlueDispatcher", "Operators", "Repairs"}},
		{Call{"glue:CreateTable", testAccount.arn("glue", "table/cad_2024/calls")}, []string{"Curator"}},
		{Call{"glue:GetTable", testAccount.arn("glue", "table/cad/calls")}, nil},
		{Call{"sqs:GetQueueUrl", testAccount.arn("sqs", "blotter-ingress")}, []string{"Auditors", "IngestRouter", "Operators", "Repairs"}},
		{Call{"sns:Publish", testAccount.arn("sns", "blotter-alerts")}, []string{"Curator", "Operators"}},
		{Call{"sns:Publish", "arn:aws:sns:eu-west-1:999999999999:blotter-alerts"}, nil},
		{Call{"sns:Publish", testAccount.arn("sns", "another")}, nil},
		{Call{"sqs:SendMessage", testAccount.arn("sqs", "blotter-ingress")}, nil},
		{Call{"lambda:InvokeFunction", testAccount.arn("lambda", "function:blotter-transform")}, []string{"LambdaTransformer"}},
		{Call{"lambda:InvokeFunction", testAccount.arn("lambda", "function:another")}, nil},
		{Call{"lambda:GetFunctionConfiguration", testAccount.arn("lambda", "function:blotter-transform")}, []string{"Operators"}},
		{Call{"glue:GetJob", testAccount.arn("glue", "job/blotter-transform")}, []string{"Operators"}},
		{Call{"glue:GetJob", testAccount.arn("glue", "job/another")}, nil},
		{Call{"glue:StartJobRun", testAccount.arn("glue", "job/blotter-transform")}, []string{"GlueDispatcher"}},
	} {
		var who []string
		for name, r := range read {
			if r.Allows(c.Call) {
				who = append(who, name)
			}
		}
		slices.Sort(who)
		if !slices.Equal(who, c.who) {
			t.Errorf("%s on %s: %v may, expected %v", c.Action, c.Resource, who, c.who)
		}
	}
}
