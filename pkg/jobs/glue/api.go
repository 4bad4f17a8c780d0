package glue

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/smithy-go"
)

// API is what the runner calls of Glue.
type API interface {
	StartJobRun(context.Context, *glue.StartJobRunInput, ...func(*glue.Options)) (*glue.StartJobRunOutput, error)
	GetJobRun(context.Context, *glue.GetJobRunInput, ...func(*glue.Options)) (*glue.GetJobRunOutput, error)
	GetJobRuns(context.Context, *glue.GetJobRunsInput, ...func(*glue.Options)) (*glue.GetJobRunsOutput, error)
	BatchStopJobRun(context.Context, *glue.BatchStopJobRunInput, ...func(*glue.Options)) (*glue.BatchStopJobRunOutput, error)
}

var _ API = (*glue.Client)(nil)

// once turns off the client's own retries: a start whose answer was lost must not
// be sent again unseen.
func once(o *glue.Options) { o.Retryer = aws.NopRetryer{} }

// refusal is what the error of a start means.
type refusal int

const (
	unknown refusal = iota // a run may have been started
	noRoom                 // none was; it may be tried again
	refused                // none was, and none will be
)

// ends of a start, and what they are called in events.
var rooms = map[string]string{
	"ConcurrentRunsExceededException":      "glue.concurrent_runs",
	"ResourceNumberLimitExceededException": "glue.capacity",
}

// passing are faults of the credentials that their renewal heals.
var passing = []string{"ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidSignatureException", "RequestTimeTooSkewed"}

// classify tells what the error of StartJobRun means, and its stable code.
func classify(err error) (refusal, string) {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return unknown, ""
	}
	code := api.ErrorCode()
	if name, ok := rooms[code]; ok {
		return noRoom, name
	}
	if _, throttled := retry.DefaultThrottleErrorCodes[code]; throttled {
		return noRoom, "glue.throttled"
	}
	if slices.Contains(passing, code) {
		return noRoom, "glue.credentials"
	}
	var timedOut *types.OperationTimeoutException // Glue calls it the client's fault, and may have done it
	var response *awshttp.ResponseError
	if errors.As(err, &timedOut) || !errors.As(err, &response) {
		return unknown, ""
	}
	switch status := response.HTTPStatusCode(); {
	case status == http.StatusTooManyRequests:
		return noRoom, "glue.throttled"
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout:
		return refused, "glue.refused"
	}
	return unknown, ""
}

// missing reports whether Glue does not know what was asked for.
func missing(err error) bool {
	var gone *types.EntityNotFoundException
	return errors.As(err, &gone)
}

// saying gives what Glue said, without the wrappings of the client.
func saying(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}
	return err.Error()
}
