package main

import (
	"testing"

	"google.golang.org/protobuf/proto"

	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// TestRunsOfSeveralFilesAreToldAsSuch: a file without fault does not read as failed, and
// its share of a cost not as nothing.
func TestRunsOfSeveralFilesAreToldAsSuch(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	fault := &blotterv1.Failure{Code: "glue.failed", Message: "run jr_1 ended FAILED"}
	for _, tt := range []struct {
		event proto.Message
		want  string
	}{
		{&blotterv1.TransformFailed{FileId: id, Token: 3, Failure: fault},
			shortID(id) + ", token 3, glue.failed: run jr_1 ended FAILED"},
		{&blotterv1.TransformFailed{FileId: id, Token: 3, Failure: fault, OfRun: true},
			shortID(id) + ", token 3, its run failed, over which of several files is not known, glue.failed: run jr_1 ended FAILED"},
		{&blotterv1.TransformRunEnded{FileId: id, Token: 3, Run: "jr_1", State: "SUCCEEDED", ExecutionSeconds: 61, DpuSeconds: 0.34},
			shortID(id) + ", token 3, jr_1, SUCCEEDED, 61 s, 0.3 DPU-seconds"},
		{&blotterv1.TransformRunEnded{FileId: id, Token: 3, Run: "jr_1", State: "SUCCEEDED", ExecutionSeconds: 61, DpuSeconds: 9.96},
			shortID(id) + ", token 3, jr_1, SUCCEEDED, 61 s, 10 DPU-seconds"},
		{&blotterv1.TransformRunEnded{FileId: id, Token: 3, Run: "jr_1", State: "SUCCEEDED", ExecutionSeconds: 61, DpuSeconds: 122},
			shortID(id) + ", token 3, jr_1, SUCCEEDED, 61 s, 122 DPU-seconds"},
	} {
		if got := sayFile(tt.event); got != tt.want {
			t.Errorf("it says %q, expected %q", got, tt.want)
		}
	}
}
