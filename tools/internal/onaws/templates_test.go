package onaws

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/awsconfig/awstest/stack"
)

// TestSmallTemplates has CloudFormation make the secrets and the alerts of deploy/aws, with
// what is optional, and take them away. The services it cannot: KNOWN-DIFFERENCES.md.
func TestSmallTemplates(t *testing.T) {
	name := awstest.Name(t)
	name = "t" + name[len(name)-8:]
	made := map[string]map[string]string{}
	for file, parameters := range map[string]map[string]string{
		"secrets": {"Name": name, "ClientCertificates": "true"},
		"alerts":  {"Name": name, "Services": "true", "Email": "on-call@example.org"},
	} {
		template, err := os.ReadFile("../../../deploy/aws/" + file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		made[file] = stack.Deploy(t, string(template), parameters)
	}
	if topic := made["alerts"]["Topic"]; !strings.HasPrefix(topic, "arn:aws:sns:") || !strings.HasSuffix(topic, ":"+name+"-alerts") {
		t.Errorf("the topic is %q", topic)
	}
	names := slices.Sorted(maps.Keys(made["secrets"]))
	want := []string{
		"AuditKey", "Authorities", "ClassifierSeed", "ClientCertificate", "ClientKey", "CuratorSeed", "GlueDispatcherSeed",
		"IngestRouterSeed", "LambdaTransformerSeed", "LockManagerSeed", "ReconcileSeed",
	}
	if !slices.Equal(names, want) {
		t.Errorf("the secrets are %v", names)
	}
}
