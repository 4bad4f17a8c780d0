package sqs_test

import (
	"errors"
	"testing"
	"time"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/ingress"
	"github.com/openblotter/blotter/pkg/ingress/ingresstest"
	"github.com/openblotter/blotter/pkg/ingress/sqs"
)

func TestQueue(t *testing.T) {
	client := awssqs.NewFromConfig(awstest.Config(t))
	ingresstest.Run(t, func(t *testing.T) (ingress.Queue, func(string)) {
		name := awstest.Name(t)
		made, err := client.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: &name})
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

func TestNoQueue(t *testing.T) {
	client := awssqs.NewFromConfig(awstest.Config(t))
	if _, err := sqs.Open(t.Context(), client, awstest.Name(t), 0); !errors.Is(err, sqs.ErrNoQueue) {
		t.Errorf("opened a queue that is not there: %v", err)
	}
}
