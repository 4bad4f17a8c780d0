package sqs_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/ingress"
	"github.com/openblotter/blotter/pkg/ingress/ingresstest"
	"github.com/openblotter/blotter/pkg/ingress/sqs"
)

func TestQueue(t *testing.T) {
	client := awssqs.NewFromConfig(awstest.Config(t))
	ingresstest.Run(t, func(t *testing.T) (ingress.Queue, func(string)) {
		name := awstest.Name(t)
		made, err := client.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"VisibilityTimeout": "600"}})
		if err != nil {
			t.Fatal(err)
		}
		q, err := sqs.Open(t.Context(), client, name, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return q, func(body string) {
			if _, err := client.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: made.QueueUrl, MessageBody: &body}); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestPollThatOutlivesItsReceiver: SQS gives a message to a poll that is under way, whether
// its caller lives or not. It must come to who asks next, long before its visibility timeout
// is over.
func TestPollThatOutlivesItsReceiver(t *testing.T) {
	client, name := awssqs.NewFromConfig(awstest.Config(t)), awstest.Name(t)
	made, err := client.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"VisibilityTimeout": "600"}})
	if err != nil {
		t.Fatal(err)
	}
	q, err := sqs.Open(t.Context(), client, name, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	polling := make(chan struct{}, 8)
	receiving, end := context.WithCancel(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { polling <- struct{}{} },
	}))
	defer end()
	ended := make(chan error, 1)
	go func() {
		_, err := q.Receive(receiving)
		ended <- err
	}()
	<-polling
	for range 8 { // what is answered later than the poll was asked for shows that it has begun
		if _, err := sqs.Open(t.Context(), client, name, 0); err != nil {
			t.Fatal(err)
		}
	}
	end()
	if _, err := client.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: made.QueueUrl, MessageBody: aws.String("late")}); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("who ended received with %v", err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 10 { // longer than a poll sleeps that was left behind
		<-tick.C
		is, err := client.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{
			QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessagesNotVisible},
		})
		if err != nil {
			t.Fatal(err)
		}
		if hidden := is.Attributes[string(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible)]; hidden != "0" {
			t.Fatalf("%s messages are out of sight that nobody has", hidden)
		}
	}
	if messages, err := q.Receive(t.Context()); err != nil || len(messages) != 1 {
		t.Errorf("received %v with %v", messages, err)
	}
}

// wired is a queue on a wire that answers for AWS.
func wired(t *testing.T, answer func(operation string, body []byte) (int, string)) *sqs.Queue {
	t.Helper()
	cfg := aws.Config{Region: "us-east-1", RetryMaxAttempts: 1, HTTPClient: http.DefaultClient, Credentials: aws.AnonymousCredentials{}}
	awstest.NewWire(&cfg).Set(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		status, text := answer(strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS."), body)
		return awstest.Answer(r, status, "application/x-amz-json-1.0", text), nil
	}, nil)
	q, err := sqs.Open(t.Context(), awssqs.NewFromConfig(cfg), "q", 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// TestReceiverEnds: what an answer brings to a receiver that has ended meanwhile is shown
// again at once, and each error of that is told.
func TestReceiverEnds(t *testing.T) {
	for name, c := range map[string]struct {
		received, released string
		status             int
		says               string
	}{
		"with messages": {two, `{"Successful":[{"Id":"0"},{"Id":"1"}]}`, http.StatusOK, ""},
		"with none":     {`{}`, "", http.StatusOK, ""},
		"refused":       {two, `{"__type":"AccessDeniedException","message":"no"}`, http.StatusBadRequest, "show 2 messages again: "},
		"half refused":  {two, `{"Successful":[{"Id":"0"}],"Failed":[{"Id":"1","Code":"InternalError","SenderFault":false}]}`, http.StatusOK, "1 failed, the first with InternalError"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, end := context.WithCancel(t.Context())
			released := ""
			q := wired(t, func(operation string, body []byte) (int, string) {
				switch operation {
				case "GetQueueUrl":
					return http.StatusOK, `{"QueueUrl":"https://sqs.us-east-1.amazonaws.com/1/q"}`
				case "ReceiveMessage":
					end()
					return http.StatusOK, c.received
				case "ChangeMessageVisibilityBatch":
					released = string(body)
				}
				return c.status, c.released
			})
			messages, err := q.Receive(ctx)
			if !errors.Is(err, context.Canceled) || len(messages) > 0 || !strings.Contains(err.Error(), c.says) {
				t.Errorf("received %v with %v", messages, err)
			}
			for _, handle := range []string{"handle-a", "handle-b"} {
				want := `"ReceiptHandle":"` + handle + `","VisibilityTimeout":0`
				if c.received == two && !strings.Contains(released, want) || c.received != two && released != "" {
					t.Errorf("shown again was %s", released)
				}
			}
		})
	}
}

// two is an answer with two messages.
const two = `{"Messages":[{"MessageId":"a","Body":"a","ReceiptHandle":"handle-a","MD5OfBody":"0cc175b9c0f1b6a831c399e269772661"},
	{"MessageId":"b","Body":"b","ReceiptHandle":"handle-b","MD5OfBody":"92eb5ffee6ae2fec3ad71c777531578f"}]}`

func TestNoQueue(t *testing.T) {
	client := awssqs.NewFromConfig(awstest.Config(t))
	if _, err := sqs.Open(t.Context(), client, awstest.Name(t), 0); !errors.Is(err, sqs.ErrNoQueue) {
		t.Errorf("opened a queue that is not there: %v", err)
	}
}
