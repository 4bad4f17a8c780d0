package awstest

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Queue is a queue of SQS that hears what others send.
type Queue struct {
	client *sqs.Client
	url    string
	ARN    string
}

// NewQueue makes a queue into which a principal of AWS ("sns.amazonaws.com") may send,
// for one test.
func NewQueue(t testing.TB, cfg aws.Config, principal string) *Queue {
	t.Helper()
	q := &Queue{client: sqs.NewFromConfig(cfg)}
	made, err := q.client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(Name(t))})
	if err != nil {
		t.Fatal(err)
	}
	q.url = aws.ToString(made.QueueUrl)
	t.Cleanup(func() {
		if _, err := q.client.DeleteQueue(context.Background(), &sqs.DeleteQueueInput{QueueUrl: &q.url}); err != nil {
			t.Error(err)
		}
	})
	is, err := q.client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &q.url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		t.Fatal(err)
	}
	q.ARN = is.Attributes[string(types.QueueAttributeNameQueueArn)]
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + principal +
		`"},"Action":"sqs:SendMessage","Resource":"` + q.ARN + `"}]}`
	if _, err := q.client.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{
		QueueUrl: &q.url, Attributes: map[string]string{string(types.QueueAttributeNamePolicy): policy},
	}); err != nil {
		t.Fatal(err)
	}
	return q
}

// Receive waits for the next message, takes it, and gives its body. The test fails if
// none comes within two minutes.
func (q *Queue) Receive(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		got, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: 1, WaitTimeSeconds: 5})
		if err != nil {
			t.Fatalf("wait for a message: %v", err)
		}
		for _, m := range got.Messages {
			if _, err := q.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				t.Fatal(err)
			}
			return aws.ToString(m.Body)
		}
	}
}
