package sns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssns "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/openblotter/blotter/pkg/alert"
)

// Topic publishes to one topic.
type Topic struct {
	client *awssns.Client
	arn    string
}

var _ alert.Channel = (*Topic)(nil)

// New makes a channel; it asks nothing of AWS yet.
func New(client *awssns.Client, arn string) *Topic { return &Topic{client, arn} }

// Name implements alert.Channel.
func (t *Topic) Name() string { return "topic " + t.arn }

// Send implements alert.Channel.
func (t *Topic) Send(ctx context.Context, a alert.Alert) error {
	content, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encode alert %s: %w", a.ID, err)
	}
	forms := map[string]string{"default": a.Text()}
	for _, protocol := range []string{"http", "https", "sqs", "lambda", "firehose"} {
		forms[protocol] = string(content)
	}
	message, err := json.Marshal(forms)
	if err != nil {
		return fmt.Errorf("encode alert %s: %w", a.ID, err)
	}
	in := &awssns.PublishInput{
		TopicArn: &t.arn, Subject: aws.String(a.Title()),
		Message: aws.String(string(message)), MessageStructure: aws.String("json"),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"table": text(a.Table), "kind": text(a.Kind), "reason": text(a.Reason),
		},
	}
	if strings.HasSuffix(t.arn, ".fifo") {
		in.MessageGroupId, in.MessageDeduplicationId = &a.Table, &a.ID
	}
	_, err = t.client.Publish(ctx, in)
	var invalid *types.InvalidParameterException
	var value *types.InvalidParameterValueException
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid), errors.As(err, &value):
		err = errors.Join(alert.ErrRefused, err)
	}
	return fmt.Errorf("publish to %s: %w", t.Name(), err)
}

// text makes an attribute. It must not be empty.
func text(s string) types.MessageAttributeValue {
	if s == "" {
		s = "-"
	}
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
}
