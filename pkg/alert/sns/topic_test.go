package sns

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssns "github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/openblotter/blotter/pkg/alert"
	"github.com/openblotter/blotter/pkg/alert/alerttest"
	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
)

// topic makes a topic for one test.
func topic(t *testing.T, client *awssns.Client) string {
	t.Helper()
	made, err := client.CreateTopic(t.Context(), &awssns.CreateTopicInput{Name: aws.String(awstest.Name(t))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := client.DeleteTopic(context.Background(), &awssns.DeleteTopicInput{TopicArn: made.TopicArn}); err != nil {
			t.Error(err)
		}
	})
	return aws.ToString(made.TopicArn)
}

// notification is what a subscriber gets.
type notification struct {
	Subject, Message  string
	MessageAttributes map[string]struct{ Value string }
}

func TestTopic(t *testing.T) {
	cfg := awstest.Config(t)
	client := awssns.NewFromConfig(cfg)
	arn, queue := topic(t, client), awstest.NewQueue(t, cfg, "sns.amazonaws.com")
	if _, err := client.Subscribe(t.Context(), &awssns.SubscribeInput{TopicArn: &arn, Protocol: aws.String("sqs"), Endpoint: &queue.ARN}); err != nil {
		t.Fatal(err)
	}
	alerttest.Run(t, alerttest.Site{Channel: New(client, arn), Taken: func(t *testing.T) (a alert.Alert) {
		t.Helper()
		var n notification
		if err := json.Unmarshal([]byte(queue.Receive(t)), &n); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(n.Message), &a); err != nil {
			t.Fatalf("%v: %s", err, n.Message)
		}
		if n.Subject != a.Title() || n.MessageAttributes["table"].Value != a.Table || n.MessageAttributes["reason"].Value != a.Reason {
			t.Errorf("subject %q, attributes %v", n.Subject, n.MessageAttributes)
		}
		return a
	}})
}

func TestATopicThatIsNotThere(t *testing.T) {
	client := awssns.NewFromConfig(awstest.Config(t))
	arn := topic(t, client) + "-other"
	if err := New(client, arn).Send(t.Context(), alerttest.Full()); err == nil || errors.Is(err, alert.ErrRefused) || !strings.Contains(err.Error(), arn) {
		t.Errorf("got %v: it may be made yet", err)
	}
}
