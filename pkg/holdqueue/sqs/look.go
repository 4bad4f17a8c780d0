package sqs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/openblotter/blotter/pkg/lifecycle"
)

const (
	// atOnce is how many messages SQS gives or takes in one call.
	atOnce = 10
	// putBackTimeout bounds the way back into sight. What stays out of it comes
	// back by itself.
	putBackTimeout = 30 * time.Second
	// answerTimeout is how long an answer is waited for, beyond the wait for messages, once
	// the caller's context has ended.
	answerTimeout = 5 * time.Second
)

// seen is a message that was taken out of sight.
type seen struct {
	body
	handle *string
}

// look takes messages out of sight, shows each to visit, and puts back those that
// it keeps. visit ends the look by goOn false, at the end of its ten messages.
func (q *Queue) look(ctx context.Context, url string, visit func(seen) (keep, goOn bool, err error)) (err error) {
	var kept []*string
	defer func() { err = errors.Join(err, q.putBack(ctx, url, kept)) }()
	for wait := time.Duration(0); len(kept) < maxSeen; {
		if err := ctx.Err(); err != nil {
			return err
		}
		out, err := q.receive(ctx, url, wait)
		if err != nil {
			return err
		}
		if len(out) == 0 {
			if wait == q.cfg.Settle {
				return nil
			}
			wait = q.cfg.Settle
			continue
		}
		wait = 0
		stop, at := false, len(kept)
		for _, m := range out {
			kept = append(kept, m.ReceiptHandle)
		}
		for _, m := range out {
			s := seen{handle: m.ReceiptHandle}
			if err := json.Unmarshal([]byte(aws.ToString(m.Body)), &s.body); err != nil || s.FileID == "" {
				return fmt.Errorf("message %s of queue %s is none of ours: empty the queue and rebuild it", aws.ToString(m.MessageId), url)
			}
			keep, goOn, err := visit(s)
			if err != nil {
				return err
			}
			if keep {
				at++
			} else {
				kept = slices.Delete(kept, at, at+1)
			}
			stop = stop || !goOn
		}
		if stop {
			return nil
		}
	}
	return nil
}

// receive takes some messages out of sight. It waits for its answer also when ctx has
// ended: SQS gives messages to one whose caller has gone, too.
func (q *Queue) receive(ctx context.Context, url string, wait time.Duration) ([]types.Message, error) {
	ctx, cancel := lifecycle.Outlive(ctx, wait+answerTimeout)
	defer cancel()
	out, err := q.client.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: atOnce, WaitTimeSeconds: int32(wait / time.Second),
		VisibilityTimeout: int32(q.cfg.Hidden / time.Second),
		// A repeated request whose answer was lost gets the same messages.
		ReceiveRequestAttemptId: aws.String(rand.Text()),
	})
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}

// putBack lets messages be seen again, also when ctx has ended.
func (q *Queue) putBack(ctx context.Context, url string, handles []*string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBackTimeout)
	defer cancel()
	for some := range slices.Chunk(handles, atOnce) {
		entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(some))
		for i, h := range some {
			entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: h}
		}
		out, err := q.client.ChangeMessageVisibilityBatch(ctx, &awssqs.ChangeMessageVisibilityBatchInput{QueueUrl: &url, Entries: entries})
		if err != nil {
			return fmt.Errorf("put messages back in sight: %w", err)
		}
		if len(out.Failed) > 0 {
			return fmt.Errorf("put messages back in sight: %s", aws.ToString(out.Failed[0].Code))
		}
	}
	return nil
}
