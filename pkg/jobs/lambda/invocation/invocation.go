// Package invocation is what the Lambda function and who invokes it say to each
// other. It links no AWS client.
//
// The request is a plan of one file (package plan). Whoever asks and however, the
// function leaves in the plan's stage what it staged, manifest last, or the failure
// of the file (transform.WriteFailure), and answers with an Answer. An error of the
// function is a fault that may pass.
package invocation

import (
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
)

// Answer says that the transform has come to its end.
type Answer struct {
	// Stage is the folder of the staging bucket in which its result lies.
	Stage string `json:"stage"`
}

// Timeout is the failure of a file that takes longer than the function has.
func Timeout(key string) *transform.Failure {
	return &transform.Failure{
		Code: wire.FailureTimeout, ObjectKey: key, Message: "the transform takes longer than the Lambda function may run",
		Hint: "give the function more memory, with which it gets more processor, or set the table's flag to G; then resume with --retry",
	}
}
