package guide

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/holdqueue/sqs"
	"github.com/openblotter/blotter/tools/internal/cloudformation"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// TestLongestName: with the longest name that the templates and the page allow, the tasks
// of services.yaml get places that the program takes.
func TestLongestName(t *testing.T) {
	t.Parallel()
	_, prose := readPage(t, "../../../deploy/guide/account.md")
	said := regexp.MustCompile(`of at most (\d+)\s+characters`).FindStringSubmatch(prose)
	if said == nil {
		t.Fatal("the page says no longest name")
	}
	most := 0
	if _, err := fmt.Sscan(said[1], &most); err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("n", most)
	template, err := cloudformation.Read("../../../deploy/aws/services.yaml")
	if err != nil {
		t.Fatal(err)
	}
	parameters := map[string]string{
		"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012", "Name": name,
		"Image": "i", "Vpc": "v", "Subnets": "s", "Nats": "tls://nats-1.blotter.internal:4222", "NatsCidr": "c", "Raw": "s3://rms-raw/dms/",
		"Staging": "s3://staging", "Failed": "s3://failed", "Lake": "s3://lake", "Audit": "s3://audit",
	}
	made, err := template.Resolve(parameters)
	if err != nil {
		t.Fatal(err)
	}
	tasks := 0
	for task, r := range made {
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
			places := roles.PlacesOf(func(variable string) string { return got[variable] })
			if err := places.Validate(); err != nil {
				t.Errorf("%s: %v", task, err)
			}
			hold := sqs.DefaultConfig()
			hold.Prefix = strings.TrimPrefix(places.Hold, "sqs://")
			if err := hold.Validate(); err != nil || !strings.Contains(hold.Prefix, name) {
				t.Errorf("%s holds files in %s: %v", task, places.Hold, err)
			}
		}
	}
	if tasks != 7 {
		t.Errorf("%d tasks have places", tasks)
	}
	parameters["Name"] += "n"
	if _, err := template.Resolve(parameters); err == nil {
		t.Error("the template takes a longer name than the page says")
	}
}
