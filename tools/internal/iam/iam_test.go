package iam

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../../.."

// actions says what each operation that the code calls needs, by its name in the SDK:
// from the Service Authorization Reference.
var actions = map[string][]string{
	"dynamodb.BatchGetItem":  {"dynamodb:BatchGetItem"},
	"dynamodb.CreateTable":   {"dynamodb:CreateTable"},
	"dynamodb.DeleteItem":    {"dynamodb:DeleteItem"},
	"dynamodb.DescribeTable": {"dynamodb:DescribeTable"},
	"dynamodb.GetItem":       {"dynamodb:GetItem"},
	"dynamodb.PutItem":       {"dynamodb:PutItem"},
	"dynamodb.Query":         {"dynamodb:Query"},
	"dynamodb.TransactWriteItems": {
		"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem",
	},
	"eventbridge.PutEvents":            {"events:PutEvents"},
	"glue.BatchStopJobRun":             {"glue:BatchStopJobRun"},
	"glue.CreateDatabase":              {"glue:CreateDatabase"},
	"glue.CreateTable":                 {"glue:CreateTable"},
	"glue.GetDatabase":                 {"glue:GetDatabase"},
	"glue.GetJob":                      {"glue:GetJob"},
	"glue.GetJobRun":                   {"glue:GetJobRun"},
	"glue.GetJobRuns":                  {"glue:GetJobRuns"},
	"glue.GetTable":                    {"glue:GetTable"},
	"glue.StartJobRun":                 {"glue:StartJobRun"},
	"glue.UpdateTable":                 {"glue:UpdateTable"},
	"lambda.GetFunctionConfiguration":  {"lambda:GetFunctionConfiguration"},
	"lambda.Invoke":                    {"lambda:InvokeFunction"},
	"s3.AbortMultipartUpload":          {"s3:AbortMultipartUpload"},
	"s3.CompleteMultipartUpload":       {"s3:PutObject"},
	"s3.CopyObject":                    {"s3:PutObject", "s3:GetObject", "s3:GetObjectVersion"},
	"s3.CreateBucket":                  {"s3:CreateBucket"},
	"s3.CreateMultipartUpload":         {"s3:PutObject"},
	"s3.DeleteObject":                  {"s3:DeleteObject"},
	"s3.GetBucketVersioning":           {"s3:GetBucketVersioning"},
	"s3.GetObject":                     {"s3:GetObject", "s3:GetObjectVersion"},
	"s3.HeadBucket":                    {"s3:ListBucket"},
	"s3.HeadObject":                    {"s3:GetObject", "s3:GetObjectVersion"},
	"s3.ListObjectVersions":            {"s3:ListBucketVersions"},
	"s3.ListObjectsV2":                 {"s3:ListBucket"},
	"s3.PutBucketVersioning":           {"s3:PutBucketVersioning"},
	"s3.PutObject":                     {"s3:PutObject"},
	"s3.UploadPart":                    {"s3:PutObject"},
	"s3.UploadPartCopy":                {"s3:PutObject", "s3:GetObject", "s3:GetObjectVersion"},
	"sfn.SendTaskFailure":              {"states:SendTaskFailure"},
	"sfn.SendTaskHeartbeat":            {"states:SendTaskHeartbeat"},
	"sfn.SendTaskSuccess":              {"states:SendTaskSuccess"},
	"sns.Publish":                      {"sns:Publish"},
	"sqs.ChangeMessageVisibility":      {"sqs:ChangeMessageVisibility"},
	"sqs.ChangeMessageVisibilityBatch": {"sqs:ChangeMessageVisibility"},
	"sqs.CreateQueue":                  {"sqs:CreateQueue", "sqs:TagQueue"},
	"sqs.DeleteMessage":                {"sqs:DeleteMessage"},
	"sqs.GetQueueAttributes":           {"sqs:GetQueueAttributes"},
	"sqs.GetQueueUrl":                  {"sqs:GetQueueUrl"},
	"sqs.ReceiveMessage":               {"sqs:ReceiveMessage"},
	"sqs.SendMessage":                  {"sqs:SendMessage"},
}

// setup is what only `blotter places --create` calls, as whoever sets an account up.
var setup = []string{"dynamodb:CreateTable", "s3:CreateBucket", "s3:PutBucketVersioning"}

// notCode are folders of tests' own stand-ins, which call nothing of a system.
var notCode = []string{"pkg/awsconfig/awstest", "pkg/jobs/glue/gluetest", "pkg/lake/glue/gluetest", "tools/bench", "tools/conformance", ".ci"}

// operations finds what is called of AWS, by package: whoever calls an operation names
// its input. Helpers of the SDK that call by themselves are not used.
func operations(t *testing.T) map[string]map[string]bool {
	t.Helper()
	const sdk = "github.com/aws/aws-sdk-go-v2/service/"
	found := map[string]map[string]bool{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(root, path)
		switch {
		case err != nil || relErr != nil:
			return err
		case e.IsDir() && (slices.Contains(notCode, filepath.ToSlash(rel)) || strings.HasPrefix(e.Name(), ".") && rel != "."):
			return filepath.SkipDir
		case e.IsDir(), !strings.HasSuffix(rel, ".go"), strings.HasSuffix(rel, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		services := map[string]string{} // by the name in the file
		for _, i := range file.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			if strings.HasPrefix(path, "github.com/aws/aws-sdk-go-v2/feature/") {
				t.Errorf("%s imports %s: which calls that makes nothing here can see", rel, path)
			}
			service, is := strings.CutPrefix(path, sdk)
			if err != nil || !is || strings.Contains(service, "/") {
				continue
			}
			name := service
			if i.Name != nil {
				name = i.Name.Name
			}
			services[name] = service
		}
		pkg := filepath.ToSlash(filepath.Dir(rel))
		ast.Inspect(file, func(n ast.Node) bool {
			of, is := n.(*ast.SelectorExpr)
			if !is {
				return true
			}
			name, is := of.X.(*ast.Ident)
			operation, input := strings.CutSuffix(of.Sel.Name, "Input")
			if is && input && services[name.Name] != "" {
				if found[pkg] == nil {
					found[pkg] = map[string]bool{}
				}
				found[pkg][services[name.Name]+"."+operation] = true
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var testAccount = Account{"aws", "eu-west-1", "123456789012"}

// ownBuckets is a deployment in which each place has a bucket of its own.
var ownBuckets = map[string]string{
	"RawBucket": "raw", "StagingBucket": "staging", "FailedBucket": "failed", "LakeBucket": "lake", "AuditBucket": "audit", "Database": "rms", "Database3": "cad_*", "Programs": "programs",
	"AlertBus": "arn:aws:events:eu-west-1:123456789012:event-bus/alerts",
}

// oneBucket is one in which all of them are folders of one.
var oneBucket = map[string]string{
	"RawBucket": "all", "StagingBucket": "all", "FailedBucket": "all", "LakeBucket": "all", "AuditBucket": "all", "Database": "rms", "Database3": "cad_*",
	"RawPrefix": "raw/", "StagingPrefix": "staging/", "FailedPrefix": "failed/", "LakePrefix": "lake/", "AuditPrefix": "audit/",
}

func testRoles(t *testing.T) map[string]Role { return rolesOf(t, ownBuckets) }

func rolesOf(t *testing.T, parameters map[string]string) map[string]Role {
	t.Helper()
	all := map[string]string{"AWS::Partition": testAccount.Partition, "AWS::Region": testAccount.Region, "AWS::AccountId": testAccount.ID}
	maps.Copy(all, parameters)
	roles, err := Read(root+"/deploy/aws/roles.yaml", all)
	if err != nil {
		t.Fatal(err)
	}
	return roles
}

// granted gives all actions of a role.
func (r Role) granted() map[string]bool {
	all := map[string]bool{}
	for _, s := range r.Statements {
		for _, a := range s.Actions {
			all[a] = true
		}
	}
	return all
}

// TestEveryCallIsGranted: each operation that stands in the code is known here, and some
// role may call it, or nobody but whoever sets the account up.
func TestEveryCallIsGranted(t *testing.T) {
	t.Parallel()
	all := map[string]bool{}
	for _, r := range testRoles(t) {
		maps.Copy(all, r.granted())
	}
	called := map[string]bool{}
	for pkg, operations := range operations(t) {
		for o := range operations {
			called[o] = true
			if len(actions[o]) == 0 {
				t.Errorf("%s calls %s: what does it need? say so in actions, and grant it in deploy/aws/roles.yaml", pkg, o)
			}
			for _, a := range actions[o] {
				if all[a] == slices.Contains(setup, a) {
					t.Errorf("%s calls %s, which needs %s: it must be granted to a role, or be for setting up, and not both", pkg, o, a)
				}
			}
		}
	}
	// A listing is asked by a paginator of the SDK, which makes the input as well.
	for o := range actions {
		if !called[o] {
			t.Errorf("nobody calls %s: leave it out", o)
		}
	}
}

// TestNeeds reads requests as the SDK sends them.
func TestNeeds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		service, method, path, target, body, source string
		operation                                   string
		want                                        []Call
	}{
		{service: "s3", method: "GET", path: "/raw/dms/a%20b.csv?versionId=7", operation: "s3.GetObject", want: []Call{{"s3:GetObjectVersion", "arn:aws:s3:::raw/dms/a b.csv"}}},
		{service: "s3", method: "GET", path: "/raw?versions=&prefix=dms", operation: "s3.ListObjectVersions", want: []Call{{"s3:ListBucketVersions", "arn:aws:s3:::raw"}}},
		{service: "s3", method: "PUT", path: "/failed/x?partNumber=1&uploadId=u", source: "raw/a%20b?versionId=7", operation: "s3.UploadPartCopy",
			want: []Call{{"s3:PutObject", "arn:aws:s3:::failed/x"}, {"s3:GetObjectVersion", "arn:aws:s3:::raw/a b"}}},
		{service: "s3", method: "DELETE", path: "/lake/x?uploadId=u", operation: "s3.AbortMultipartUpload", want: []Call{{"s3:AbortMultipartUpload", "arn:aws:s3:::lake/x"}}},
		{service: "s3", method: "DELETE", path: "/lake/x?versionId=u", operation: "s3.DeleteObject", want: []Call{{"s3:DeleteObjectVersion", "arn:aws:s3:::lake/x"}}},
		{service: "dynamodb", method: "POST", path: "/", target: "DynamoDB_20120810.TransactWriteItems",
			body: `{"TransactItems":[{"Put":{"TableName":"b"}},{"ConditionCheck":{"TableName":"b"}}]}`, operation: "dynamodb.TransactWriteItems",
			want: []Call{{"dynamodb:PutItem", testAccount.arn("dynamodb", "table/b")}, {"dynamodb:ConditionCheckItem", testAccount.arn("dynamodb", "table/b")}}},
		{service: "dynamodb", method: "POST", path: "/", target: "DynamoDB_20120810.Query", body: `{"TableName":"b","IndexName":"i"}`, operation: "dynamodb.Query",
			want: []Call{{"dynamodb:Query", testAccount.arn("dynamodb", "table/b/index/i")}}},
		{service: "sqs", method: "POST", path: "/", target: "AmazonSQS.ChangeMessageVisibilityBatch", body: `{"QueueUrl":"https://sqs/1/q"}`, operation: "sqs.ChangeMessageVisibilityBatch",
			want: []Call{{"sqs:ChangeMessageVisibility", testAccount.arn("sqs", "q")}}},
		{service: "sqs", method: "POST", path: "/", target: "AmazonSQS.CreateQueue", body: `{"QueueName":"q","tags":{"a":"b"}}`, operation: "sqs.CreateQueue",
			want: []Call{{"sqs:CreateQueue", testAccount.arn("sqs", "q")}, {"sqs:TagQueue", testAccount.arn("sqs", "q")}}},
		{service: "glue", method: "POST", path: "/", target: "AWSGlue.UpdateTable", body: `{"DatabaseName":"d","TableInput":{"Name":"t"}}`, operation: "glue.UpdateTable",
			want: []Call{{"glue:UpdateTable", testAccount.arn("glue", "catalog")}, {"glue:UpdateTable", testAccount.arn("glue", "database/d")}, {"glue:UpdateTable", testAccount.arn("glue", "table/d/t")}}},
		{service: "glue", method: "POST", path: "/", target: "AWSGlue.StartJobRun", body: `{"JobName":"j"}`, operation: "glue.StartJobRun", want: []Call{{"glue:StartJobRun", testAccount.arn("glue", "job/j")}}},
		{service: "lambda", method: "POST", path: "/2015-03-31/functions/f/invocations", operation: "lambda.Invoke", want: []Call{{"lambda:InvokeFunction", testAccount.arn("lambda", "function:f")}}},
		{service: "lambda", method: "GET", path: "/2015-03-31/functions/f/configuration", operation: "lambda.GetFunctionConfiguration",
			want: []Call{{"lambda:GetFunctionConfiguration", testAccount.arn("lambda", "function:f")}}},
		{service: "states", method: "POST", path: "/", target: "AWSStepFunctions.SendTaskSuccess", body: `{}`, operation: "sfn.SendTaskSuccess", want: []Call{{"states:SendTaskSuccess", ""}}},
		{service: "sns", method: "POST", path: "/", body: "Action=Publish&TopicArn=arn%3Aa", operation: "sns.Publish", want: []Call{{"sns:Publish", "arn:a"}}},
		{service: "events", method: "POST", path: "/", target: "AWSEvents.PutEvents", body: `{"Entries":[{"EventBusName":"b"},{"EventBusName":"b"}]}`, operation: "eventbridge.PutEvents",
			want: []Call{{"events:PutEvents", testAccount.arn("events", "event-bus/b")}}},
	} {
		r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=K/20240101/eu-west-1/"+tt.service+"/aws4_request, SignedHeaders=host, Signature=0")
		r.Header.Set("X-Amz-Target", tt.target)
		r.Header.Set("X-Amz-Copy-Source", tt.source)
		operation, got, err := testAccount.Needs(r, []byte(tt.body))
		if err != nil || operation != tt.operation || !slices.Equal(got, tt.want) {
			t.Errorf("%s %s %s: got %s %v, %v; want %s %v", tt.method, tt.path, tt.target, operation, got, err, tt.operation, tt.want)
		}
		if len(actions[operation]) == 0 {
			t.Errorf("%s is not among the operations", operation)
		}
	}
	for _, r := range []*http.Request{httptest.NewRequest("GET", "/raw/x", nil)} {
		if _, _, err := testAccount.Needs(r, nil); err == nil {
			t.Errorf("%s %s is not signed, and taken", r.Method, r.URL)
		}
	}
}

// TestDoor: what is allowed goes on with its body, what is not is told and answered in
// the protocol of the service.
func TestDoor(t *testing.T) {
	t.Parallel()
	var came []string
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		came = append(came, r.Method+" "+r.URL.String()+" "+b.String())
		if strings.HasSuffix(r.URL.Path, "/missing") {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer behind.Close()
	to, err := url.Parse(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	var refused []string
	d := NewDoor(Role{Name: "Test", Statements: []Statement{
		{Actions: []string{"s3:PutObject", "s3:GetObject"}, Resources: []string{"arn:aws:s3:::b/in/*", "arn:aws:s3:::c/*"}},
		{Actions: []string{"s3:ListBucket"}, Resources: []string{"arn:aws:s3:::c"}, Conditions: []Condition{{stringLikeIfExists, "s3:prefix", []string{"in/*"}}}},
	}}, testAccount, to, func(why string) { refused = append(refused, why) })
	send := func(service, method, path, target, body string) (int, string) {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=K/20240101/eu-west-1/"+service+"/aws4_request")
		r.Header.Set("X-Amz-Target", target)
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	if code, _ := send("s3", "PUT", "/b/in/a%2Fb", "", "content"); code != http.StatusOK || !slices.Equal(came, []string{"PUT /b/in/a%2Fb content"}) {
		t.Errorf("%d, %q came", code, came)
	}
	if code, body := send("s3", "PUT", "/b/out", "", "content"); code != http.StatusForbidden || !strings.Contains(body, "<Code>AccessDenied</Code>") {
		t.Errorf("%d %s", code, body)
	}
	if code, body := send("glue", "POST", "/", "AWSGlue.GetTable", `{"DatabaseName":"d","Name":"t"}`); code != http.StatusBadRequest || !strings.Contains(body, "AccessDeniedException") {
		t.Errorf("%d %s", code, body)
	}
	if len(came) != 1 || len(refused) != 2 || !strings.Contains(refused[0], "s3:PutObject on resource: arn:aws:s3:::b/out") {
		t.Errorf("came %q, refused %q", came, refused)
	}
	if used := d.Used(); len(used) != 1 || !used[Call{"s3:PutObject", "arn:aws:s3:::b/in/a/b"}] {
		t.Errorf("used %v", used)
	}
	// A list goes as far as its condition, and an object that is not there is refused to who may not list.
	for path, want := range map[string]int{
		"/c?list-type=2&prefix=in%2Fa": http.StatusOK, "/c?list-type=2&prefix=out%2F": http.StatusForbidden,
		"/c/missing": http.StatusNotFound, "/b/in/missing": http.StatusForbidden,
	} {
		if code, body := send("s3", "GET", path, "", ""); code != want {
			t.Errorf("GET %s: %d %s, expected %d", path, code, body, want)
		}
	}
}

// TestRead: what cannot be read is told.
func TestRead(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "roles.yaml")
	for content, says := range map[string]string{
		"Resources: {R: {Type: AWS::IAM::Role, Properties: {Policies: [{PolicyDocument: {Statement: [{Effect: Deny, Action: a, Resource: b}]}}]}}}":              `the effect "Deny"`,
		"Resources: {R: {Type: AWS::IAM::Role, Properties: {Policies: [{PolicyDocument: {Statement: [{Effect: Allow, Action: a, Resource: !Sub \"${X}\"}]}}]}}}": "there is no X to refer to",
		"Resources: {R: {Type: AWS::IAM::Role, Properties: {Policies: [{PolicyDocument: {Statement: [{Effect: Allow, Condition: {Bool: {a: true}}}]}}]}}}":       "the condition Bool",
		"Resources: {R: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {Statement: [{Effect: Allow, Action: sts:TagSession}]}}}}":                 "no trust",
		"Resources: {P: {Type: AWS::IAM::Policy, Properties: {Roles: [R], PolicyDocument: {Statement: [{Effect: Allow, Action: a, Resource: b}]}}}}":             "there is no role R",
		"Resources: [": "roles.yaml",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(file, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", content, err)
		}
	}
	if _, err := Read(root+"/deploy/aws/roles.yaml", map[string]string{"Unknown": "x"}); err == nil || !strings.Contains(err.Error(), "no parameter Unknown") {
		t.Errorf("an unknown parameter: %v", err)
	}
}
