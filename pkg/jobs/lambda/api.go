package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go"
)

// API is what the runner calls of Lambda. Its HTTP client must wait for an answer
// as long as the function may run.
type API interface {
	Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

var _ API = (*lambda.Client)(nil)

// once turns off the client's own retries: the runner counts invocations.
func once(o *lambda.Options) { o.Retryer = aws.NopRetryer{} }

// How an invocation ended, in the words of RunEnd.State.
const (
	stateSucceeded   = "SUCCEEDED"
	stateFailed      = "FAILED"
	stateTimeout     = "TIMEOUT"
	stateOutOfMemory = "OUT_OF_MEMORY"
	stateNoAnswer    = "NO_ANSWER"
	stateNoOutput    = "NO_OUTPUT" // it says that it staged, and there is no manifest
)

// codeOf gives the stable code of a bad end.
func codeOf(state string) string { return "lambda." + strings.ToLower(state) }

// functionError is the payload of an invocation whose function has failed.
type functionError struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

// stateOf tells from the payload of a failed function how it ended. Lambda leaves
// only text for what it did to the function. Log is the end of the run's log.
func stateOf(payload []byte, log string) string {
	var e functionError
	if err := json.Unmarshal(payload, &e); err != nil {
		return stateFailed
	}
	report := reportOf(log)
	switch {
	case e.Type == "Sandbox.Timedout" || strings.Contains(e.Message, "Task timed out after"):
		return stateTimeout
	case e.Type == "Runtime.OutOfMemory",
		strings.Contains(e.Message, "signal: killed"),
		e.Type == "Runtime.ExitError" && report.memory > 0 && report.memory >= report.size:
		return stateOutOfMemory
	}
	return stateFailed
}

// report is the REPORT line that Lambda ends the log of a run with.
type report struct {
	billed       time.Duration
	size, memory int // in MB: what the function has, and what it used at most
}

var (
	reportBilled = regexp.MustCompile(`Billed Duration: (\d+) ms`)
	reportSize   = regexp.MustCompile(`Memory Size: (\d+) MB`)
	reportMemory = regexp.MustCompile(`Max Memory Used: (\d+) MB`)
)

func reportOf(log string) report {
	number := func(re *regexp.Regexp) int {
		m := re.FindStringSubmatch(log)
		if m == nil {
			return 0
		}
		n, _ := strconv.Atoi(m[1]) // digits; 0 if there are too many
		return n
	}
	return report{
		billed: time.Duration(number(reportBilled)) * time.Millisecond,
		size:   number(reportSize), memory: number(reportMemory),
	}
}

// logOf decodes the end of a run's log; empty if there is none.
func logOf(out *lambda.InvokeOutput) string {
	log, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
	if err != nil {
		return ""
	}
	return string(log)
}

// refusal is what the error of a call means.
type refusal int

const (
	lost    refusal = iota // the function may have run
	noRoom                 // it did not; it may be tried again
	refused                // it did not, and will not
)

// classify tells what an error of Invoke means, and its stable code.
func classify(err error) (refusal, string) {
	var api smithy.APIError
	var response *awshttp.ResponseError
	if !errors.As(err, &api) || !errors.As(err, &response) {
		return lost, "lambda.no_answer"
	}
	switch api.ErrorCode() {
	case "EC2ThrottledException", "ENILimitReachedException", "SubnetIPAddressLimitReachedException",
		"ResourceConflictException", "ResourceNotReadyException", "SnapStartNotReadyException", "ENINotReadyException":
		return noRoom, "lambda.not_ready"
	case "ExpiredToken", "ExpiredTokenException", "InvalidSignatureException", "RequestExpired":
		return noRoom, "lambda.credentials"
	}
	switch status := response.HTTPStatusCode(); {
	case status == http.StatusTooManyRequests:
		return noRoom, "lambda.throttled"
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout:
		return refused, "lambda.refused"
	}
	return lost, "lambda.no_answer"
}

// saying gives what Lambda said, without the wrappings of the client.
func saying(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}
	return err.Error()
}
