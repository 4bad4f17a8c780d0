package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// ErrMachine tells that the fault is of where a job was to run, and of no file: a
// Dispatcher runs the job again until the deadline of its grant, and never says that
// the file failed.
var ErrMachine = errors.New("the machine cannot run the job")

// Job is the transform of one file under one token.
type Job struct {
	Table    registry.Table
	File     *blotterv1.FileRef
	Token    uint64
	Deadline time.Time
}

// Batch gives the job as a batch of one file.
func (j Job) Batch() Batch {
	return Batch{Table: j.Table, Files: []*blotterv1.FileRef{j.File}, Token: j.Token, Deadline: j.Deadline}
}

// Runner runs a transform somewhere and follows it to its end. Running a job
// again is safe: what is staged is named by file and token and the same for the
// same input.
type Runner interface {
	// Name says where the job runs, for TransformStarted.
	Name() string
	// Run blocks until the job has ended. A *transform.Failure is the file's
	// fault and final; any other error may pass.
	Run(ctx context.Context, job Job) (*blotterv1.StagedFile, error)
}
