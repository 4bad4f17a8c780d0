package cloudformation

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const small = `
Parameters:
  Name: {Type: String, Default: blotter}
  Zones: {Type: "List<AWS::EC2::Subnet::Id>"}
  Kind: {Type: String, Default: big, AllowedValues: [big, small]}
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
			"QueueName": "blotter-queue", "Size": size, "Arn": "${Queue.Arn}", "Tell": "${Queue.Arn} in eu-west-1",
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
	for says, parameters := range map[string]map[string]string{
		"parameter Zones has no value": {"AWS::Region": "eu-west-1"},
		"AWS::Region has no value":     {"Zones": "a"},
		"allowed are [big small]":      {"Zones": "a", "AWS::Region": "eu-west-1", "Kind": "tiny"},
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
	}
}
