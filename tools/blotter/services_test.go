package main

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/tools/internal/cloudformation"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// deployment are the parameters with which the templates of deploy/aws are read.
var deployment = map[string]string{
	"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012",
	"Image": "image", "Vpc": "vpc-1", "Subnets": "subnet-1,subnet-2", "Nats": "tls://nats-1.blotter.internal:4222,nats-2.blotter.internal:4222", "NatsCidr": "10.0.0.0/16",
	"Raw": "s3://rms-raw/dms/", "Staging": "s3://staging", "Failed": "s3://failed", "Lake": "s3://lake", "Audit": "s3://audit",
}

// allOptions are what a deployment may say besides, and with it is to be read.
var allOptions = map[string]string{
	"NatsGroup": "sg-0123456789abcdef0", "ClientCertificates": "true", "OtlpEndpoint": "http://collector.example.internal:4317", "OlderAuditKeys": "rms.example.gov+00000000+AAAA",
	"Alerts": "arn:aws:sns:eu-west-1:123456789012:on-call,arn:aws:events:eu-west-1:123456789012:event-bus/operations",
}

// templateOf reads a template of deploy/aws.
func templateOf(t *testing.T, name string, parameters map[string]string) map[string]cloudformation.Resource {
	t.Helper()
	read, err := cloudformation.Read(filepath.Join("../../deploy/aws", name))
	if err != nil {
		t.Fatal(err)
	}
	made, err := read.Resolve(parameters)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// in gives what lies in maps and lists of a template, by the names on the way.
func in[T any](t *testing.T, v any, names ...string) T {
	t.Helper()
	for _, name := range names {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	got, is := v.(T)
	if !is {
		t.Fatalf("%v of the template is %T %v", names, v, v)
	}
	return got
}

// pairs makes a map of a list of maps with these two keys.
func pairs(t *testing.T, list []any, key, value string) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, e := range list {
		m[in[string](t, e, key)] = fmt.Sprint(in[any](t, e, value))
	}
	return m
}

func texts(list []any) []string {
	var all []string
	for _, e := range list {
		all = append(all, fmt.Sprint(e))
	}
	return all
}

// TestServicesTemplate holds deploy/aws/services.yaml against the program: its commands are
// understood, each variable is read by something, the files that a container is told of are
// those that the first one writes, and the roles are those of roles.yaml.
func TestServicesTemplate(t *testing.T) {
	t.Parallel()
	checkServices(t, templateOf(t, "services.yaml", deployment))
	all := maps.Clone(deployment)
	maps.Copy(all, allOptions)
	made := templateOf(t, "services.yaml", all)
	t.Run("with all options", func(t *testing.T) { checkServices(t, made) })
	got := pairs(t, in[[]any](t, in[[]any](t, made["CuratorTask"].Properties, "ContainerDefinitions")[1], "Environment"), "Name", "Value")
	for variable, want := range map[string]string{
		"BLOTTER_ALERTS": allOptions["Alerts"], "OTEL_EXPORTER_OTLP_ENDPOINT": allOptions["OtlpEndpoint"], archive.OlderVariable: allOptions["OlderAuditKeys"],
		"BLOTTER_NATS_CERT": "/run/secrets/client.pem", "BLOTTER_NATS_KEY": "/run/secrets/client.key",
	} {
		if got[variable] != want {
			t.Errorf("%s is %q, expected %q", variable, got[variable], want)
		}
	}
	open := map[string]any{
		"GroupId": "sg-0123456789abcdef0", "IpProtocol": "tcp", "FromPort": uint64(4222), "ToPort": uint64(4222),
		"SourceSecurityGroupId": "${Group}", "Description": "The tasks of Blotter",
	}
	if got := made["NatsIngress"].Properties; !reflect.DeepEqual(got, open) {
		t.Errorf("the NATS servers are opened by %v, expected %v", got, open)
	}
	if got := len(in[[]any](t, made["Group"].Properties, "SecurityGroupEgress")); got != 3 {
		t.Errorf("a task has %d ways out; expected those to AWS, NATS and the collector", got)
	}
}

func checkServices(t *testing.T, made map[string]cloudformation.Resource) {
	t.Helper()
	var services, tasks []string
	for name, r := range made {
		switch r.Type {
		case "AWS::ECS::Service":
			services = append(services, in[string](t, r.Properties, "ServiceName"))
			if want := "${" + name + "Task}"; r.Properties["TaskDefinition"] != want {
				t.Errorf("%s runs %v, expected %s", name, r.Properties["TaskDefinition"], want)
			}
			if breaker := in[map[string]any](t, r.Properties, "DeploymentConfiguration", "DeploymentCircuitBreaker"); breaker["Enable"] != true || breaker["Rollback"] != true {
				t.Errorf("a deployment of %s that fails is not taken back: %v", name, breaker)
			}
			if in[string](t, r.Properties, "NetworkConfiguration", "AwsvpcConfiguration", "AssignPublicIp") != "DISABLED" {
				t.Errorf("%s has public addresses", name)
			}
		case "AWS::ECS::TaskDefinition":
			service := strings.TrimPrefix(in[string](t, r.Properties, "Family"), "blotter-")
			tasks = append(tasks, service)
			t.Run(service, func(t *testing.T) { checkTask(t, made, strings.TrimSuffix(name, "Task"), service, r) })
		}
	}
	want := roles.Names()
	slices.Sort(want)
	if slices.Sort(services); !slices.Equal(services, want) {
		t.Errorf("the template has the services %v, there are the roles %v", services, want)
	}
	want = append(want, "reconcile")
	slices.Sort(want)
	if slices.Sort(tasks); !slices.Equal(tasks, want) {
		t.Errorf("the template has tasks %v, expected %v", tasks, want)
	}
	if got := in[string](t, made["Daily"].Properties, "Target", "EcsParameters", "TaskDefinitionArn"); got != "${ReconcileTask}" {
		t.Errorf("the schedule runs %s", got)
	}
}

// checkTask looks at the task definition of a service, or of the scheduled reconcile.
func checkTask(t *testing.T, made map[string]cloudformation.Resource, name, service string, task cloudformation.Resource) {
	containers := in[[]any](t, task.Properties, "ContainerDefinitions")
	if len(containers) != 2 {
		t.Fatalf("%d containers", len(containers))
	}
	first, main := containers[0], containers[1]
	wait := pairs(t, in[[]any](t, main, "DependsOn"), "ContainerName", "Condition")
	if want := map[string]string{in[string](t, first, "Name"): "SUCCESS"}; !maps.Equal(wait, want) {
		t.Errorf("the program waits for %v, expected %v", wait, want)
	}
	if m, _ := main.(map[string]any); m["Secrets"] != nil {
		t.Errorf("the program is given secrets as variables: %v", m["Secrets"])
	}
	environment := pairs(t, in[[]any](t, main, "Environment"), "Name", "Value")
	known := map[string]bool{"AWS_REGION": true, "OTEL_EXPORTER_OTLP_ENDPOINT": true, archive.KeyVariable: service == "curator", archive.OlderVariable: service == "curator"}
	for _, p := range roles.PlaceList() {
		known[p.Variable()] = true
		if environment[p.Variable()] == "" {
			t.Errorf("%s is not said", p.Variable())
		}
	}
	for _, c := range credentialList {
		known[c.variable()] = true
	}
	files := map[string]bool{}
	for variable, value := range environment {
		if !known[variable] {
			t.Errorf("nothing reads %s", variable)
		}
		if file, is := strings.CutPrefix(value, "/run/secrets/"); is {
			files[file] = true
		}
	}
	if err := roles.PlacesOf(func(name string) string { return environment[name] }).Validate(); err != nil {
		t.Error(err)
	}
	if (environment[archive.KeyVariable] != "") != (service == "curator") {
		t.Errorf("the key of the archive is told as %q", environment[archive.KeyVariable])
	}
	secrets := pairs(t, in[[]any](t, first, "Secrets"), "Name", "ValueFrom")
	secret := templateOf(t, "secrets.yaml", map[string]string{"ClientCertificates": "true"})[name+"Seed"]
	if secrets["SEED"] != "${import blotter-"+name+"Seed}" || in[string](t, secret.Properties, "Name") != "blotter/"+service+".nk" {
		t.Errorf("the seed is %s, which is %v", secrets["SEED"], secret)
	}
	checkHealth(t, service, main)
	checkFiles(t, texts(in[[]any](t, first, "Command")), secrets, files)
	checkCommand(t, service, texts(in[[]any](t, main, "Command")))
	checkTaskRoles(t, made, service, task, secrets)
}

// checkHealth: what runs as a service is asked how it is, by a command without a shell that
// looks into the service's own folder and has time to answer.
func checkHealth(t *testing.T, service string, container any) {
	t.Helper()
	m, _ := container.(map[string]any)
	if service == "reconcile" { // it runs to its end
		if m["HealthCheck"] != nil {
			t.Errorf("it is asked how it is: %v", m["HealthCheck"])
		}
		return
	}
	check := texts(in[[]any](t, container, "HealthCheck", "Command"))
	if len(check) < 3 || check[0] != "CMD" || check[1] != "/blotter" {
		t.Fatalf("%q needs a shell, or is another program than the image has", check)
	}
	cmd, rest, err := newRoot().Find(check[2:])
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	run, command, findErr := newRoot().Find(texts(in[[]any](t, container, "Command")))
	if err := errors.Join(err, findErr, run.ParseFlags(command)); err != nil || cmd.Name() != "health" {
		t.Fatalf("%q is %v, %v", check, cmd.Name(), err)
	}
	if got, want := cmd.Flag("dir").Value.String(), run.Flag("dir").Value.String(); got != want {
		t.Errorf("it asks in %s, the service works in %s", got, want)
	}
	number := func(name string) uint64 { return in[uint64](t, container, "HealthCheck", name) }
	if timeout := number("Timeout"); timeout < 10 || timeout > 60 || number("Interval") < timeout || number("Retries") < 2 || number("StartPeriod") < 60 || number("StartPeriod") > 300 {
		t.Errorf("the check is %v", m["HealthCheck"])
	}
}

// checkFiles runs the first container's command: it writes the files that the program is
// told of, from the variables that it is given.
func checkFiles(t *testing.T, args []string, secrets map[string]string, want map[string]bool) {
	t.Helper()
	cmd, rest, err := newRoot().Find(args)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err != nil || cmd.Name() != "secrets" || cmd.Flag("out").Value.String() != "/run/secrets" {
		t.Fatalf("%q is %v, %v", args, cmd, err)
	}
	written, err := readSecrets(cmd.Flags().Args(), func(name string) (string, bool) { v, has := secrets[name]; return v, has })
	got := map[string]bool{}
	for _, f := range written {
		got[f.name] = true
	}
	if err != nil || !maps.Equal(got, want) || len(written) != len(secrets) {
		t.Errorf("%q writes %v of %v, %v; the program reads %v", args, got, secrets, err, want)
	}
}

// checkCommand parses a command line of the template.
func checkCommand(t *testing.T, service string, args []string) {
	t.Helper()
	cmd, rest, err := newRoot().Find(args)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil {
		err = cmd.ValidateArgs(cmd.Flags().Args())
	}
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	switch cmd.Name() {
	case "run":
		if got := cmd.Flag("roles").Value.String(); got != "["+service+"]" {
			t.Errorf("it runs %s", got)
		}
	case "reconcile":
		if service != "reconcile" || cmd.Flag("reason").Value.String() == "" {
			t.Errorf("%q runs as %s, which is to stand in the log", args, service)
		}
	default:
		t.Errorf("it is %s", cmd.Name())
	}
	if !strings.HasPrefix(cmd.Flag("dir").Value.String(), "/tmp/") {
		t.Errorf("%q works outside of the scratch volume", args)
	}
}

// checkTaskRoles: the task runs as its role of roles.yaml, and what starts it reads its own
// secrets alone.
func checkTaskRoles(t *testing.T, made map[string]cloudformation.Resource, service string, task cloudformation.Resource, secrets map[string]string) {
	t.Helper()
	parameters := maps.Clone(deployment)
	for _, other := range []string{"Image", "Vpc", "Subnets", "Nats", "NatsCidr", "Raw", "Staging", "Failed", "Lake", "Audit"} {
		delete(parameters, other)
	}
	for _, bucket := range []string{"Raw", "Staging", "Failed", "Lake", "Audit"} {
		parameters[bucket+"Bucket"] = strings.ToLower(bucket)
	}
	parameters["Database"] = "rms"
	var arns []string
	for _, r := range templateOf(t, "roles.yaml", parameters) {
		if r.Type == "AWS::IAM::Role" {
			arns = append(arns, "arn:aws:iam::123456789012:role/"+in[string](t, r.Properties, "RoleName"))
		}
	}
	role := in[string](t, task.Properties, "TaskRoleArn")
	if !slices.Contains(arns, role) || !strings.HasSuffix(role, "/blotter-"+service) {
		t.Errorf("it runs as %s; there are %v", role, arns)
	}
	execution := strings.TrimSuffix(strings.TrimPrefix(in[string](t, task.Properties, "ExecutionRoleArn"), "${"), ".Arn}")
	statement := in[[]any](t, in[[]any](t, made[execution].Properties, "Policies")[0], "PolicyDocument", "Statement")
	want := slices.Sorted(maps.Values(secrets))
	got := texts(in[[]any](t, statement[0], "Resource"))
	slices.Sort(got)
	if len(statement) != 1 || in[string](t, statement[0], "Action") != "secretsmanager:GetSecretValue" || !reflect.DeepEqual(got, want) {
		t.Errorf("it is started with the right to %v, its secrets are %v", statement, want)
	}
}

// TestAlertsTemplate holds deploy/aws/alerts.yaml against the other templates: its topic is
// the one that services are told of, and every alarm looks at something that one of them
// makes.
func TestAlertsTemplate(t *testing.T) {
	t.Parallel()
	made := templateOf(t, "alerts.yaml", map[string]string{
		"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012", "Services": "true", "Email": "on-call@example.org",
	})
	services := templateOf(t, "services.yaml", deployment)
	entrypoint := templateOf(t, "entrypoint.yaml", map[string]string{
		"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012", "RawBucket": "rms-raw",
	})
	names := func(resources map[string]cloudformation.Resource, of, property string) (all []string) {
		for _, r := range resources {
			if r.Type == of {
				all = append(all, fmt.Sprint(r.Properties[property]))
			}
		}
		slices.Sort(all)
		return all
	}
	there := map[string][]string{
		"QueueName": names(entrypoint, "AWS::SQS::Queue", "QueueName"), "RuleName": append(names(entrypoint, "AWS::Events::Rule", "Name"), names(made, "AWS::Events::Rule", "Name")...),
		"ScheduleGroup": names(services, "AWS::Scheduler::ScheduleGroup", "Name"), "ClusterName": names(services, "AWS::ECS::Cluster", "ClusterName"),
		"ServiceName": names(services, "AWS::ECS::Service", "ServiceName"),
	}
	var watched []string
	for name, r := range made {
		if r.Type != "AWS::CloudWatch::Alarm" {
			continue
		}
		for dimension, value := range pairs(t, in[[]any](t, r.Properties, "Dimensions"), "Name", "Value") {
			if !slices.Contains(there[dimension], value) {
				t.Errorf("%s looks at the %s %s; there are %v", name, dimension, value, there[dimension])
			}
			if dimension == "ServiceName" {
				watched = append(watched, value)
			}
		}
		if actions := texts(in[[]any](t, r.Properties, "AlarmActions")); !slices.Equal(actions, []string{"${Topic}"}) {
			t.Errorf("%s tells %v", name, actions)
		}
	}
	if slices.Sort(watched); !slices.Equal(watched, there["ServiceName"]) {
		t.Errorf("of the services %v only %v are watched", there["ServiceName"], watched)
	}
	told := pairs(t, in[[]any](t, in[[]any](t, services["CuratorTask"].Properties, "ContainerDefinitions")[1], "Environment"), "Name", "Value")["BLOTTER_ALERTS"]
	if topic := "arn:aws:sns:eu-west-1:123456789012:" + in[string](t, made["Topic"].Properties, "TopicName"); told != topic {
		t.Errorf("the services tell %s, the topic is %s", told, topic)
	}
	family := in[string](t, services["ReconcileTask"].Properties, "Family")
	failed := in[[]any](t, made["ReconcileFailed"].Properties, "EventPattern", "detail", "taskDefinitionArn")
	if got, want := in[string](t, failed[0], "prefix"), "arn:aws:ecs:eu-west-1:123456789012:task-definition/"+family+":"; got != want {
		t.Errorf("the rule hears of tasks of %s, expected %s", got, want)
	}
}
