package guide

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/tools/internal/cloudformation"
	"github.com/openblotter/blotter/tools/internal/iam"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// TestAccountPage holds the page about an account against what it is about: commands and
// variables that there are, parameters of the templates, names that the policies allow.
func TestAccountPage(t *testing.T) {
	t.Parallel()
	blocks, prose := readPage(t, "../../../deploy/guide/account.md")
	checkCommands(t, prose)
	known := map[string]bool{"AWS_REGION": true, "BLOTTER_NATS_CA": true, "BLOTTER_NATS_NKEY": true}
	for _, p := range roles.PlaceList() {
		known[p.Variable()] = true
	}
	environment := map[string]string{}
	var aws strings.Builder
	policies := map[string]string{}
	for _, b := range blocks {
		switch {
		case b.is("sh", "only"):
			for line := range strings.Lines(b.text) {
				checkCommands(t, "`"+strings.TrimSpace(line)+"`")
			}
		case b.is("text", "environment"):
			for line := range strings.Lines(b.text) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
				if !known[name] {
					t.Errorf("%s: nothing reads %s", b, name)
				}
				environment[name] = value
			}
		case b.is("sh", "aws"):
			aws.WriteString(b.text)
		case b.is("json", "key"), b.is("json", "people"):
			policies[b.words[0]] = b.text
		case b.is("text", "names"), b.is("text", "profile"), b.lang == "sql":
		default:
			t.Errorf("%s: no rule tries this block", b)
		}
	}
	for name := range known {
		if environment[name] == "" {
			t.Errorf("the environment of the services lacks %s", name)
		}
	}
	checkPolicies(t, aws.String(), policies)
	checkParameters(t, aws.String())
	checkEnvironment(t, aws.String(), environment)
	checkRoles(t, prose, environment)
}

var deployed = regexp.MustCompile(`--template-file (deploy/aws/[a-z]+\.yaml)((?:[^\n\\]|\\\n)*)`)

// checkParameters: each template is given parameters that it has, and all that it asks for.
func checkParameters(t *testing.T, commands string) {
	t.Helper()
	found := deployed.FindAllStringSubmatch(commands, -1)
	if len(found) != 6 { // the alerts are deployed twice
		t.Fatalf("%d templates are deployed: %q", len(found), found)
	}
	before := map[string]map[string]bool{} // what a stack was given stays
	for _, m := range found {
		template, err := cloudformation.Read("../../../" + m[1])
		if err != nil {
			t.Fatal(err)
		}
		given := before[m[1]]
		if given == nil {
			given = map[string]bool{}
			before[m[1]] = given
		}
		for word := range strings.FieldsSeq(m[2]) {
			if name, _, is := strings.Cut(word, "="); is {
				given[name] = true
				if _, has := template.Parameters[name]; !has {
					t.Errorf("%s has no parameter %s", m[1], name)
				}
			}
		}
		for name, p := range template.Parameters {
			if p.Default == nil && !given[name] {
				t.Errorf("%s is not given its parameter %s", m[1], name)
			}
		}
	}
}

// checkPolicies: each policy that the page shows is given to AWS by a command, as the file
// of its name, and lets roles do something that the template has.
func checkPolicies(t *testing.T, commands string, policies map[string]string) {
	t.Helper()
	if len(policies) != 2 {
		t.Errorf("the page has the policies %v", policies)
	}
	template, err := cloudformation.Read("../../../deploy/aws/roles.yaml")
	if err != nil {
		t.Fatal(err)
	}
	made, err := template.Resolve(map[string]string{
		"RawBucket": "b", "StagingBucket": "b", "FailedBucket": "b", "LakeBucket": "b", "AuditBucket": "b", "Database": "d",
		"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012",
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range policies {
		var policy struct {
			Version   string
			Statement []struct {
				Effect              string
				Principal, Resource any
				Action              any
				Condition           map[string]map[string]any
			}
		}
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&policy); err != nil || policy.Version != "2012-10-17" || len(policy.Statement) == 0 {
			t.Errorf("the policy %s: %v", name, err)
		}
		if !strings.Contains(commands, "file://"+name+".json") {
			t.Errorf("no command is given %s.json", name)
		}
		for _, s := range policy.Statement {
			if role, is := s.Resource.(string); is && strings.Contains(role, ":role/") {
				_, role, _ = strings.Cut(role, ":role/")
				if !slices.ContainsFunc(slices.Collect(maps.Values(made)), func(r cloudformation.Resource) bool { return r.Properties["RoleName"] == role }) {
					t.Errorf("the policy %s lets take the role %s, which roles.yaml does not make", name, role)
				}
			}
		}
	}
}

// checkEnvironment: the tasks of the template, with the parameters that the page gives it,
// have the environment that the page shows, and the curator the key of the archive besides.
func checkEnvironment(t *testing.T, commands string, environment map[string]string) {
	t.Helper()
	parameters := map[string]string{"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012"}
	for _, m := range deployed.FindAllStringSubmatch(commands, -1) {
		if m[1] != "deploy/aws/services.yaml" {
			continue
		}
		for word := range strings.FieldsSeq(m[2]) {
			if name, value, is := strings.Cut(word, "="); is {
				parameters[name] = value
			}
		}
	}
	template, err := cloudformation.Read("../../../deploy/aws/services.yaml")
	if err != nil {
		t.Fatal(err)
	}
	made, err := template.Resolve(parameters)
	if err != nil {
		t.Fatal(err)
	}
	tasks := 0
	for name, r := range made {
		containers, _ := r.Properties["ContainerDefinitions"].([]any)
		for _, c := range containers {
			list, _ := c.(map[string]any)["Environment"].([]any)
			got := map[string]string{}
			for _, v := range list {
				v, _ := v.(map[string]any)
				got[fmt.Sprint(v["Name"])] = fmt.Sprint(v["Value"])
			}
			if len(got) == 0 {
				continue
			}
			tasks++
			want := maps.Clone(environment)
			if name == "CuratorTask" {
				want["BLOTTER_AUDIT_KEY"] = "/run/secrets/audit-key"
			}
			if !maps.Equal(got, want) {
				t.Errorf("%s has the environment %v, the page shows %v", name, got, want)
			}
		}
	}
	if tasks != 7 {
		t.Errorf("%d tasks have an environment", tasks)
	}
}

// checkRoles: with the environment of the page, the roles may use what it names.
func checkRoles(t *testing.T, prose string, environment map[string]string) {
	t.Helper()
	account := iam.Account{Partition: "aws", Region: "eu-west-1", ID: "123456789012"}
	bucket := func(variable string) string {
		name, _, _ := strings.Cut(strings.TrimPrefix(environment[variable], "s3://"), "/")
		return name
	}
	read, err := iam.Read("../../../deploy/aws/roles.yaml", map[string]string{
		"RawBucket": bucket("BLOTTER_RAW"), "StagingBucket": bucket("BLOTTER_STAGING"), "FailedBucket": bucket("BLOTTER_FAILED"),
		"LakeBucket": bucket("BLOTTER_LAKE"), "AuditBucket": bucket("BLOTTER_AUDIT"), "Database": "rms",
		"AWS::Partition": account.Partition, "AWS::Region": account.Region, "AWS::AccountId": account.ID,
	})
	if err != nil {
		t.Fatal(err)
	}
	arn := func(service, resource string) string {
		return "arn:aws:" + service + ":eu-west-1:123456789012:" + resource
	}
	for _, may := range []struct{ role, action, on string }{
		{"IngestRouter", "sqs:ReceiveMessage", arn("sqs", strings.TrimPrefix(environment["BLOTTER_INGRESS"], "sqs://"))},
		{"LockManager", "sqs:CreateQueue", arn("sqs", strings.TrimPrefix(environment["BLOTTER_HOLD"], "sqs://")+"rms-reports.fifo")},
		{"Classifier", "dynamodb:GetItem", arn("dynamodb", "table/"+strings.TrimPrefix(environment["BLOTTER_CONTROL"], "dynamodb://"))},
		{"LambdaTransformer", "lambda:InvokeFunction", arn("lambda", "function:blotter-transform")},
		{"Curator", "sns:Publish", environment["BLOTTER_ALERTS"]},
		{"Curator", "glue:UpdateTable", arn("glue", "table/rms/reports")},
		// What `blotter audit trim` reads.
		{"Auditors", "dynamodb:Query", arn("dynamodb", "table/"+strings.TrimPrefix(environment["BLOTTER_CONTROL"], "dynamodb://")+"/index/any")},
		{"Auditors", "s3:GetObject", "arn:aws:s3:::" + bucket("BLOTTER_AUDIT") + "/spans/any"},
		{"Auditors", "s3:ListBucket", "arn:aws:s3:::" + bucket("BLOTTER_AUDIT")},
	} {
		if !read[may.role].Allows(iam.Call{Action: may.action, Resource: may.on}) {
			t.Errorf("%s may not %s on %s", may.role, may.action, may.on)
		}
	}
	var names []string
	for _, m := range regexp.MustCompile("(?m)^\\| (`[a-z-]+`(?:, `[a-z-]+`)*) \\| [0-9.]+ vCPU").FindAllStringSubmatch(prose, -1) {
		for name := range strings.SplitSeq(m[1], ", ") {
			names = append(names, strings.Trim(name, "`"))
		}
	}
	want := roles.Names()
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("the page has services %v, there are the roles %v", names, want)
	}
}
