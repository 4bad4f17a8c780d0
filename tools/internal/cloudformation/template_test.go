package cloudformation

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

const small = `
Parameters:
  Name: {Type: String, Default: blotter}
  Zones: {Type: "List<AWS::EC2::Subnet::Id>"}
  Kind: {Type: String, Default: big, AllowedValues: [big, small]}
  Word: {Type: String, Default: ab, AllowedPattern: "[a-z]{2}|x"}
Conditions:
  IsBig: !Equals [!Ref Kind, big]
  IsSmall: !Not [!Equals [!Ref Kind, big]]
  Both: !And [!Equals [a, a], !Equals [a, b]]
  Either: !Or [!Equals [a, a], !Equals [a, b]]
Mappings:
  Sizes:
    big: {Memory: 4096}
    small: {Memory: 512}
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub "${Name}-queue"
      Size: !FindInMap [Sizes, !Ref Kind, Memory]
      Arn: !GetAtt Queue.Arn
      Other: {"Fn::ImportValue": !Sub "${Name}-${Word}"}
      Tell: !Sub "${Queue.Arn} in ${AWS::Region}"
      Zones: !Ref Zones
      Where: !If [IsBig, !Ref Other, !Ref AWS::NoValue]
      List: [!If [IsSmall, 1, !Ref AWS::NoValue], "two", true]
      Text: |
        one
        two
  Other:
    Type: AWS::SQS::Queue
    Condition: IsBig
  Never:
    Type: AWS::SQS::Queue
    Condition: Both
  Always:
    Type: AWS::SQS::Queue
    Condition: Either
Outputs:
  Queue: {Value: !Ref Queue, Export: {Name: !Sub "${Name}-queue"}}
  Other: {Condition: IsBig, Value: !GetAtt Other.Arn, Export: {Name: other}}
  Plain: {Value: !Ref Kind}
`

func write(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "small.yaml")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestResolve(t *testing.T) {
	t.Parallel()
	read, err := Read(write(t, small))
	if err != nil {
		t.Fatal(err)
	}
	queue := func(where any, size uint64, list ...any) Resource {
		r := Resource{"AWS::SQS::Queue", map[string]any{
			"QueueName": "blotter-queue", "Size": size, "Arn": "${Queue.Arn}", "Other": "${import blotter-ab}", "Tell": "${Queue.Arn} in eu-west-1",
			"Zones": []any{"a", "b"}, "List": list, "Text": "one\ntwo\n",
		}}
		if where != nil {
			r.Properties["Where"] = where
		}
		return r
	}
	empty := Resource{Type: "AWS::SQS::Queue"}
	for kind, want := range map[string]map[string]Resource{
		"big":   {"Queue": queue("${Other}", 4096, "two", true), "Other": empty, "Always": empty},
		"small": {"Queue": queue(nil, 512, uint64(1), "two", true), "Always": empty},
	} {
		got, err := read.Resolve(map[string]string{"Zones": "a, b", "Kind": kind, "AWS::Region": "eu-west-1"})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n%v, expected\n%v", kind, err, got, want)
		}
	}
	for kind, want := range map[string]map[string]string{
		"big": {"blotter-queue": "${Queue}", "other": "${Other.Arn}"}, "small": {"blotter-queue": "${Queue}"},
	} {
		got, err := read.Exports(map[string]string{"Zones": "a", "Kind": kind, "AWS::Region": "eu-west-1"})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s exports %v, %v; expected %v", kind, got, err, want)
		}
	}
	for says, parameters := range map[string]map[string]string{
		"parameter Zones has no value": {"AWS::Region": "eu-west-1"},
		"AWS::Region has no value":     {"Zones": "a"},
		"allowed are [big small]":      {"Zones": "a", "AWS::Region": "eu-west-1", "Kind": "tiny"},
		"allowed is [a-z]{2}|x":        {"Zones": "a", "AWS::Region": "eu-west-1", "Word": "abx"},
		"there is no parameter Size":   {"Zones": "a", "AWS::Region": "eu-west-1", "Size": "1"},
	} {
		if _, err := read.Resolve(parameters); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v, expected %s", parameters, err, says)
		}
	}
}

// TestRefused: what does not hold together is told when it is read.
func TestRefused(t *testing.T) {
	t.Parallel()
	for content, says := range map[string]string{
		"Resources: {Q: {Type: T, Properties: {A: !Ref P}}}":                                       "there is no P to refer to",
		"Resources: {Q: {Type: T, Properties: {A: !Sub \"${P.Arn}\"}}}":                            "there is no P to refer to",
		"Resources: {Q: {Type: T, Properties: {A: !GetAtt P.Arn}}}":                                "there is no P to refer to",
		"Resources: {Q: {Type: T, Properties: {A: !GetAtt Q}}}":                                    "expected Resource.Attribute",
		"Resources: {Q: {Type: T, Properties: {A: !If [C, a, b]}}}":                                "expected a condition",
		"Resources: {Q: {Type: T, Properties: {A: !FindInMap [M, a, b]}}}":                         "expected a mapping",
		"Resources: {Q: {Type: T, Condition: C}}":                                                  "there is no condition C",
		"Resources: {Q: {Properties: {}}}":                                                         "Q has no type",
		"Parameters: {P: {Type: String}}\nResources: {}":                                           "nothing uses the parameter P",
		"Parameters: {P: {Type: String}}\nResources: {Q: {Type: T, Properties: {A: !GetAtt P.A}}}": "there is no P to refer to",
		"Resources: {Q: {Type: T, Properties: {A: !Cidr [a]}}}":                                    "no function that is known",
		"Resources: {Q: {Type: T, Properties: {A: {B: [null]}}}}":                                  "line 1: CloudFormation takes no null",
		"Resources: {Q: {Type: T, Properties: {A: }}}":                                             "CloudFormation takes no null",
		"Resources: {Q: &a {Type: T}, R: *a}":                                                      "CloudFormation takes no",
		"Resources: [":                                                                             "small.yaml",
		"[]":                                                                                       "a template is a map",
	} {
		if _, err := Read(write(t, content)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, expected %s", content, err, says)
		}
	}
}

// TestTemplates reads those of the project.
func TestTemplates(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../deploy/aws/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("found %v, %v", files, err)
	}
	for _, file := range files {
		if _, err := Read(file); err != nil {
			t.Error(err)
		}
		// What `aws cloudformation deploy` takes without a bucket to put it into.
		if about, err := os.Stat(file); err != nil || about.Size() > 51_200 {
			t.Errorf("%s has %d bytes; 51,200 are allowed (%v)", file, about.Size(), err)
		}
	}
}

// TestNames: the longest name that the templates take makes no name of a role or a schedule
// that is too long for AWS; one that is longer they do not take.
func TestNames(t *testing.T) {
	t.Parallel()
	parameters := map[string]string{
		"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012",
		"RawBucket": "b", "StagingBucket": "b", "FailedBucket": "b", "LakeBucket": "b", "AuditBucket": "b", "Database": "d",
		"Image": "i", "Vpc": "v", "Subnets": "s", "Nats": "n", "NatsCidr": "c", "Raw": "r", "Staging": "s", "Failed": "f", "Lake": "l", "Audit": "a",
	}
	limits := map[string]struct {
		property string
		most     int
	}{
		"AWS::IAM::Role": {"RoleName", 64}, "AWS::Scheduler::Schedule": {"Name", 64}, "AWS::Events::Rule": {"Name", 64},
		"AWS::SQS::Queue": {"QueueName", 80}, "AWS::StepFunctions::StateMachine": {"StateMachineName", 80},
	}
	longest := 0
	for _, name := range []string{"entrypoint", "roles", "secrets", "services", "alerts"} {
		read, err := Read("../../../deploy/aws/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		given := map[string]string{"Name": strings.Repeat("n", 35)}
		for p, value := range parameters {
			if _, has := read.Parameters[p]; has || strings.HasPrefix(p, "AWS::") {
				given[p] = value
			}
		}
		made, err := read.Resolve(given)
		if err != nil {
			t.Fatal(err)
		}
		for resource, r := range made {
			limit, has := limits[r.Type]
			n := len(text(r.Properties[limit.property]))
			if has && n > limit.most {
				t.Errorf("%s: %s has a name of %d characters; %d are allowed", name, resource, n, limit.most)
			}
			if r.Type == "AWS::IAM::Role" {
				longest = max(longest, n)
			}
		}
		given["Name"] += "n"
		if _, err := read.Resolve(given); err == nil || !strings.Contains(err.Error(), "parameter Name is") {
			t.Errorf("%s takes a name of %d characters: %v", name, len(given["Name"]), err)
		}
	}
	if longest != 64 {
		t.Errorf("the longest name of a role has %d characters: longer names of a system would do", longest)
	}
}

// TestImports: what one template takes from another, that one gives, with and without what
// is optional.
func TestImports(t *testing.T) {
	t.Parallel()
	secrets, err := Read("../../../deploy/aws/secrets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	services, err := Read("../../../deploy/aws/services.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for certificates, count := range map[string]int{"false": 9, "true": 11} {
		exports, err := secrets.Exports(map[string]string{"Name": "system", "ClientCertificates": certificates})
		if err != nil || len(exports) != count {
			t.Fatalf("exported are %v, %v", exports, err)
		}
		made, err := services.Resolve(map[string]string{
			"Name": "system", "ClientCertificates": certificates, "AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012",
			"Image": "i", "Vpc": "v", "Subnets": "s", "Nats": "n", "NatsCidr": "c", "Raw": "r", "Staging": "s", "Failed": "f", "Lake": "l", "Audit": "a",
		})
		if err != nil {
			t.Fatal(err)
		}
		used := map[string]bool{}
		for _, m := range regexp.MustCompile(`\$\{import ([^}]*)\}`).FindAllStringSubmatch(fmt.Sprint(made), -1) {
			used[m[1]] = true
			if exports[m[1]] == "" {
				t.Errorf("services.yaml imports %s, which secrets.yaml does not export", m[1])
			}
		}
		if len(used) != count {
			t.Errorf("of %v only %v are used", exports, used)
		}
	}
	kept, err := secrets.Exports(map[string]string{"Name": "system", "ExistingAuditKey": "arn:aws:secretsmanager:r:a:secret:k-1"})
	if err != nil || kept["system-AuditKey"] != "arn:aws:secretsmanager:r:a:secret:k-1" {
		t.Errorf("the key that was left is %v, %v", kept, err)
	}
}
