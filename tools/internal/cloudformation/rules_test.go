package cloudformation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// made resolves a template of the project with the parameters that it has to be given.
func made(t *testing.T, name string, more map[string]string) map[string]Resource {
	t.Helper()
	read, err := Read("../../../deploy/aws/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012"}
	for p, about := range read.Parameters {
		if about.Default == nil {
			given[p] = "x"
		}
	}
	maps.Copy(given, more)
	resources, err := read.Resolve(given)
	if err != nil {
		t.Fatal(err)
	}
	return resources
}

// TestRulesLoseNothing: each target of a rule is tried for a day; what a queue does not get
// in that time lies in another queue; and of each rule an alarm tells what was not delivered.
func TestRulesLoseNothing(t *testing.T) {
	t.Parallel()
	watched := map[any]bool{}
	rules := map[any]string{}
	for _, resources := range []map[string]Resource{
		made(t, "entrypoint", nil), made(t, "entrypoint", map[string]string{"Workflow": "false"}), made(t, "alerts", nil),
	} {
		for name, r := range resources {
			switch r.Type {
			case "AWS::CloudWatch::Alarm":
				if r.Properties["MetricName"] == "FailedInvocations" {
					of, _ := r.Properties["Dimensions"].([]any)
					watched[of[0].(map[string]any)["Value"]] = true
				}
			case "AWS::Events::Rule":
				rules[r.Properties["Name"]] = name
				for _, of := range r.Properties["Targets"].([]any) {
					target := of.(map[string]any)
					if text(target["RetryPolicy"]) == "" || !strings.Contains(fmt.Sprint(target["RetryPolicy"]), "86400") {
						t.Errorf("%s: the target is not tried for a day: %v", name, target["RetryPolicy"])
					}
					if dead := fmt.Sprint(target["DeadLetterConfig"]); target["Id"] != "topic" && (target["DeadLetterConfig"] == nil || strings.Contains(dead, text(target["Arn"]))) {
						t.Errorf("%s: what its target does not get is lost: %v", name, dead)
					}
				}
			}
		}
	}
	if len(rules) != 6 {
		t.Errorf("the rules are %v", rules)
	}
	for rule, name := range rules {
		if !watched[rule] {
			t.Errorf("no alarm tells of what %s (%s) does not deliver", name, rule)
		}
	}
}

// TestRulesReachTheTopic: EventBridge names no account to SNS and its key, so that no
// condition may be put on it there; CloudWatch does.
func TestRulesReachTheTopic(t *testing.T) {
	t.Parallel()
	policies := map[string]string{"AWS::SNS::TopicPolicy": "PolicyDocument", "AWS::KMS::Key": "KeyPolicy"}
	for name, r := range made(t, "alerts", nil) {
		policy, is := r.Properties[policies[r.Type]].(map[string]any)
		if !is {
			continue
		}
		var services []string
		for _, of := range policy["Statement"].([]any) {
			statement := of.(map[string]any)
			principal, _ := statement["Principal"].(map[string]any)
			service, is := principal["Service"].(string)
			if !is && principal["Service"] != nil {
				t.Errorf("%s: one statement is for %v", name, principal["Service"])
			}
			if service != "" {
				services = append(services, service)
				if bound := statement["Condition"] != nil; bound == (service == "events.amazonaws.com") {
					t.Errorf("%s: that %s has a condition is %t", name, service, bound)
				}
			}
		}
		if slices.Sort(services); !slices.Equal(services, []string{"cloudwatch.amazonaws.com", "events.amazonaws.com"}) {
			t.Errorf("%s lets %v publish", name, services)
		}
		delete(policies, r.Type)
	}
	if len(policies) > 0 {
		t.Errorf("alerts.yaml lacks %v", policies)
	}
}
