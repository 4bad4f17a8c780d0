package s3

import (
	"errors"
	"net/http"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

func statusOf(err error) int {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// isMissing: no object, or no such version, which may also be a mark of deletion.
// A missing bucket is none of these.
func isMissing(err error) bool {
	switch codeOf(err) {
	case "NoSuchBucket":
		return false
	case "NoSuchKey", "NoSuchVersion", "NotFound":
		return true
	}
	return statusOf(err) == http.StatusNotFound || statusOf(err) == http.StatusMethodNotAllowed
}

// isPrecondition: a condition of the request does not hold.
func isPrecondition(err error) bool {
	return codeOf(err) == "PreconditionFailed" || statusOf(err) == http.StatusPreconditionFailed
}

// isConflict: another conditional write of the key was under way.
func isConflict(err error) bool { return codeOf(err) == "ConditionalRequestConflict" }
