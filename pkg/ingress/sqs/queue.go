package sqs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/openblotter/blotter/pkg/ingress"
	"github.com/openblotter/blotter/pkg/lifecycle"
)

const (
	// maxMessages is what one call gives at most.
	maxMessages = 10
	// maxWait is the longest poll, maxHidden the longest that a message can be hidden.
	maxWait   = 20 * time.Second
	maxHidden = 12 * time.Hour
	// answerTimeout is how long the answer to a poll is waited for beyond the poll itself
	// once the receiver's context has ended; releaseTimeout bounds what is done with it.
	answerTimeout  = 5 * time.Second
	releaseTimeout = 5 * time.Second
)

// ErrNoQueue: there is no queue of this name in the account and region.
var ErrNoQueue = errors.New("there is no such queue")

// Queue is a queue of SQS.
type Queue struct {
	client *awssqs.Client
	url    string
	wait   time.Duration
}

var _ ingress.Queue = (*Queue)(nil)

// Open finds a queue by its name. wait is how long a poll waits for messages, in whole
// seconds from 0 to 20. ErrNoQueue if it is not there.
func Open(ctx context.Context, client *awssqs.Client, name string, wait time.Duration) (*Queue, error) {
	if wait < 0 || wait > maxWait || wait%time.Second != 0 {
		return nil, fmt.Errorf("poll queue %s for %s: whole seconds from 0 to %s", name, wait, maxWait)
	}
	out, err := client.GetQueueUrl(ctx, &awssqs.GetQueueUrlInput{QueueName: &name})
	if isNoQueue(err) {
		return nil, fmt.Errorf("find queue %s: %w", name, errors.Join(ErrNoQueue, err))
	}
	if err != nil {
		return nil, fmt.Errorf("find queue %s: %w", name, err)
	}
	return &Queue{client: client, url: aws.ToString(out.QueueUrl), wait: wait}, nil
}

// Receive implements ingress.Queue.
func (q *Queue) Receive(ctx context.Context) ([]ingress.Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	polling, cancel := lifecycle.Outlive(ctx, q.wait+answerTimeout)
	defer cancel()
	out, err := q.client.ReceiveMessage(polling, &awssqs.ReceiveMessageInput{
		QueueUrl: &q.url, MaxNumberOfMessages: maxMessages, WaitTimeSeconds: int32(q.wait / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameApproximateReceiveCount},
	})
	if err != nil {
		return nil, errors.Join(ctx.Err(), fmt.Errorf("receive messages: %w", err))
	}
	if ctx.Err() != nil {
		return nil, errors.Join(ctx.Err(), q.release(ctx, out.Messages))
	}
	messages := make([]ingress.Message, len(out.Messages))
	for i, m := range out.Messages {
		// What is no number is not told.
		n, _ := strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
		messages[i] = ingress.Message{
			ID: aws.ToString(m.MessageId), Body: []byte(aws.ToString(m.Body)), Deliveries: n, Receipt: aws.ToString(m.ReceiptHandle),
		}
	}
	return messages, nil
}

// release shows messages again that nobody takes.
func (q *Queue) release(ctx context.Context, messages []types.Message) error {
	if len(messages) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle}
	}
	out, err := q.client.ChangeMessageVisibilityBatch(ctx, &awssqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url, Entries: entries})
	if err != nil {
		return fmt.Errorf("show %d messages again: %w", len(messages), err)
	}
	if len(out.Failed) > 0 {
		return fmt.Errorf("show %d messages again: %d failed, the first with %s", len(messages), len(out.Failed), aws.ToString(out.Failed[0].Code))
	}
	return nil
}

// Delete implements ingress.Queue.
func (q *Queue) Delete(ctx context.Context, m ingress.Message) error {
	_, err := q.client.DeleteMessage(ctx, &awssqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: &m.Receipt})
	if err != nil && !isOvertaken(err) {
		return fmt.Errorf("delete message %s: %w", m.ID, err)
	}
	return nil
}

// Hide implements ingress.Queue.
func (q *Queue) Hide(ctx context.Context, m ingress.Message, d time.Duration) error {
	_, err := q.client.ChangeMessageVisibility(ctx, &awssqs.ChangeMessageVisibilityInput{
		QueueUrl: &q.url, ReceiptHandle: &m.Receipt, VisibilityTimeout: int32(min(d, maxHidden) / time.Second),
	})
	if err != nil && !isOvertaken(err) {
		return fmt.Errorf("hide message %s: %w", m.ID, err)
	}
	return nil
}

// isOvertaken reports whether a receipt is no more in force: its message is deleted,
// or in sight, or with somebody else.
func isOvertaken(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "ReceiptHandleIsInvalid", "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight":
		return true
	}
	return false
}

func isNoQueue(err error) bool {
	var missing *types.QueueDoesNotExist
	var api smithy.APIError
	return errors.As(err, &missing) || errors.As(err, &api) && api.ErrorCode() == "AWS.SimpleQueueService.NonExistentQueue"
}
