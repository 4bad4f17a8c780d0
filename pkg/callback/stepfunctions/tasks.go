package stepfunctions

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/openblotter/blotter/pkg/callback"
)

// Tasks answers tasks of Step Functions.
type Tasks struct{ client *sfn.Client }

var _ callback.Tasks = (*Tasks)(nil)

// New makes the adapter; it asks nothing of AWS yet.
func New(client *sfn.Client) *Tasks { return &Tasks{client} }

// Succeed implements callback.Tasks.
func (t *Tasks) Succeed(ctx context.Context, token string, output []byte) error {
	_, err := t.client.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: &token, Output: aws.String(string(output))})
	return told("tell a task that it succeeded", err)
}

// Fail implements callback.Tasks.
func (t *Tasks) Fail(ctx context.Context, token, code, cause string) error {
	_, err := t.client.SendTaskFailure(ctx, &sfn.SendTaskFailureInput{
		TaskToken: &token, Error: aws.String(cut(code, callback.MaxCode)), Cause: aws.String(cut(cause, callback.MaxCause)),
	})
	return told("tell a task that it failed", err)
}

// Beat implements callback.Tasks.
func (t *Tasks) Beat(ctx context.Context, token string) error {
	_, err := t.client.SendTaskHeartbeat(ctx, &sfn.SendTaskHeartbeatInput{TaskToken: &token})
	return told("keep a task waiting", err)
}

func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most])
	}
	return text
}

// told wraps an error; those that say that nobody waits are callback.ErrGone.
func told(doing string, err error) error {
	var (
		timedOut *types.TaskTimedOut
		missing  *types.TaskDoesNotExist
		invalid  *types.InvalidToken
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &timedOut), errors.As(err, &missing), errors.As(err, &invalid):
		return fmt.Errorf("%s: %w", doing, errors.Join(callback.ErrGone, err))
	}
	return fmt.Errorf("%s: %w", doing, err)
}
