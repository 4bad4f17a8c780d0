package stepfunctions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/awsconfig/awstest/stack"
	"github.com/openblotter/blotter/pkg/callback"
	"github.com/openblotter/blotter/pkg/callback/callbacktest"
)

// waits bounds whatever is awaited of AWS.
const waits = 2 * time.Minute

// template is a state machine whose one task tells a queue its token and waits, as that of
// deploy/aws/entrypoint.yaml does.
const template = `
AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Name: {Type: String}
Resources:
  Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Name}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: states.amazonaws.com}, Action: sts:AssumeRole}]
      Policies:
        - PolicyName: tell
          PolicyDocument: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: sqs:SendMessage, Resource: !GetAtt Queue.Arn}]}
  Machine:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      StateMachineName: !Ref Name
      RoleArn: !GetAtt Role.Arn
      DefinitionSubstitutions: {Url: !Ref Queue}
      Definition:
        StartAt: Wait
        States:
          Wait:
            Type: Task
            Resource: arn:aws:states:::sqs:sendMessage.waitForTaskToken
            TimeoutSeconds: 300
            Parameters: {QueueUrl: "${Url}", MessageBody: {token.$: $$.Task.Token, execution.$: $$.Execution.Id}}
            End: true
Outputs:
  Queue: {Value: !Ref Queue}
  Machine: {Value: !Ref Machine}
`

// workflow is a state machine on AWS, and its executions by the tokens of their tasks.
type workflow struct {
	sfn        *sfn.Client
	sqs        *awssqs.Client
	queue      string // the URL
	machine    string
	executions map[string]string
}

func deploy(t *testing.T, cfg aws.Config) *workflow {
	t.Helper()
	made := stack.Deploy(t, template, map[string]string{"Name": awstest.Name(t)})
	return &workflow{
		sfn: sfn.NewFromConfig(cfg), sqs: awssqs.NewFromConfig(cfg), queue: made["Queue"], machine: made["Machine"], executions: map[string]string{},
	}
}

// wait starts an execution, and gives the token of its task once that waits.
func (w *workflow) wait(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waits)
	defer cancel()
	if _, err := w.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &w.machine, Input: aws.String(`{}`)}); err != nil {
		t.Fatal(err)
	}
	for {
		got, err := w.sqs.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: &w.queue, WaitTimeSeconds: 20})
		if err != nil {
			t.Fatalf("wait for a task: %v", err)
		}
		for _, m := range got.Messages {
			var told struct{ Token, Execution string }
			if err := json.Unmarshal([]byte(aws.ToString(m.Body)), &told); err != nil {
				t.Fatal(err)
			}
			if _, err := w.sqs.DeleteMessage(ctx, &awssqs.DeleteMessageInput{QueueUrl: &w.queue, ReceiptHandle: m.ReceiptHandle}); err != nil {
				t.Fatal(err)
			}
			w.executions[told.Token] = told.Execution
			return told.Token
		}
	}
}

// ended waits for the end of a task's execution, which ends as its task does.
func (w *workflow) ended(t *testing.T, token string) callbacktest.Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waits)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		is, err := w.sfn.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: aws.String(w.executions[token])})
		if err != nil {
			t.Fatalf("wait for the end of an execution: %v", err)
		}
		if is.Status != types.ExecutionStatusRunning {
			return callbacktest.Answer{Output: plain(t, aws.ToString(is.Output)), Code: aws.ToString(is.Error), Cause: aws.ToString(is.Cause)}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// plain writes JSON without spaces and escapes that its text does not need: nobody promises
// which of them an output has.
func plain(t *testing.T, output string) string {
	t.Helper()
	if output == "" {
		return ""
	}
	var value struct {
		Outcome string `json:"outcome"`
		Key     string `json:"key"`
	}
	err := json.Unmarshal([]byte(output), &value)
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestContract(t *testing.T) {
	cfg := awstest.Config(t)
	w := deploy(t, cfg)
	callbacktest.Run(t, callbacktest.Site{
		Tasks: New(w.sfn), Wait: w.wait, Ended: w.ended,
		Stop: func(t *testing.T, token string) {
			t.Helper()
			if _, err := w.sfn.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: aws.String(w.executions[token])}); err != nil {
				t.Fatal(err)
			}
			if got := w.ended(t, token); got.Output != "" {
				t.Errorf("an execution that was stopped has the output %s", got.Output)
			}
		},
		AnswersStopped: awstest.StandIn(),
	})
}

// wired is the adapter on a wire that answers for AWS, and what was said to it last.
func wired(t *testing.T, status int, body string) (*Tasks, *bytes.Buffer) {
	t.Helper()
	said := &bytes.Buffer{}
	cfg := aws.Config{Region: "us-east-1", RetryMaxAttempts: 1, HTTPClient: http.DefaultClient, Credentials: aws.AnonymousCredentials{}}
	awstest.NewWire(&cfg).Set(func(r *http.Request) (*http.Response, error) {
		said.Reset()
		if _, err := io.Copy(said, r.Body); err != nil {
			return nil, err
		}
		return awstest.Answer(r, status, "application/x-amz-json-1.0", body), nil
	}, nil)
	return New(sfn.NewFromConfig(cfg)), said
}

// TestErrors: of a task nobody waits for AWS says so in three ways; all else may be tried
// again, and no error shows the token.
func TestErrors(t *testing.T) {
	const token = "secret-token"
	for code, gone := range map[string]bool{
		"TaskTimedOut": true, "TaskDoesNotExist": true, "InvalidToken": true,
		"InvalidOutput": false, "ThrottlingException": false, "AccessDeniedException": false, "KmsThrottlingException": false,
	} {
		tasks, _ := wired(t, http.StatusBadRequest, `{"__type":"`+code+`","message":"so it is"}`)
		for doing, err := range map[string]error{
			"tell a task that it succeeded": tasks.Succeed(t.Context(), token, []byte(`{}`)),
			"tell a task that it failed":    tasks.Fail(t.Context(), token, "Code", "cause"),
			"keep a task waiting":           tasks.Beat(t.Context(), token),
		} {
			if err == nil || errors.Is(err, callback.ErrGone) != gone {
				t.Errorf("%s, %s: %v", code, doing, err)
				continue
			}
			if !strings.HasPrefix(err.Error(), doing+": ") || !strings.Contains(err.Error(), code) || strings.Contains(err.Error(), token) {
				t.Errorf("%s, %s is told as: %v", code, doing, err)
			}
		}
	}
}

// TestLongAnswers: what is longer than AWS takes is cut between characters.
func TestLongAnswers(t *testing.T) {
	tasks, said := wired(t, http.StatusOK, `{}`)
	if err := tasks.Fail(t.Context(), "token", strings.Repeat("é", callback.MaxCode+1), strings.Repeat("ü", callback.MaxCause+1)); err != nil {
		t.Fatal(err)
	}
	var sent struct{ Error, Cause string }
	if err := json.Unmarshal(said.Bytes(), &sent); err != nil {
		t.Fatal(err)
	}
	if n, m := utf8.RuneCountInString(sent.Error), utf8.RuneCountInString(sent.Cause); n != callback.MaxCode || m != callback.MaxCause ||
		strings.Trim(sent.Error, "é")+strings.Trim(sent.Cause, "ü") != "" {
		t.Errorf("sent %d characters of the code and %d of the cause", n, m)
	}
}
