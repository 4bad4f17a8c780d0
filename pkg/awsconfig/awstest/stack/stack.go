// Package stack has CloudFormation make what a template says, for one test.
package stack

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
)

// limit bounds how long a stack may take.
const limit = 3 * time.Minute

// Deploy makes a stack of a template with these parameters, gives its outputs, and has it
// taken away when the test ends.
func Deploy(t *testing.T, template string, parameters map[string]string) map[string]string {
	t.Helper()
	name := awstest.Name(t)
	client := cloudformation.NewFromConfig(awstest.Config(t))
	in := &cloudformation.CreateStackInput{
		StackName: &name, TemplateBody: &template, Capabilities: []types.Capability{types.CapabilityCapabilityNamedIam},
	}
	for key, value := range parameters {
		in.Parameters = append(in.Parameters, types.Parameter{ParameterKey: &key, ParameterValue: &value})
	}
	if _, err := client.CreateStack(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := client.DeleteStack(context.WithoutCancel(t.Context()), &cloudformation.DeleteStackInput{StackName: &name}); err != nil {
			t.Error(err)
		}
	})
	waiter := cloudformation.NewStackCreateCompleteWaiter(client, func(o *cloudformation.StackCreateCompleteWaiterOptions) {
		o.MinDelay = 100 * time.Millisecond
	})
	made, err := waiter.WaitForOutput(t.Context(), &cloudformation.DescribeStacksInput{StackName: &name}, limit)
	if err != nil {
		t.Fatal(err)
	}
	outputs := map[string]string{}
	for _, o := range made.Stacks[0].Outputs {
		outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	return outputs
}
