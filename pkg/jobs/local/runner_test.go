package local_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/local"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
)

func TestRunner(t *testing.T) {
	jobstest.Run(t, func(t *testing.T, raw, staging objects.Bucket) jobs.Runner {
		cfg := transform.DefaultConfig()
		cfg.ScratchDir = t.TempDir()
		return local.New(raw, staging, nil, cfg)
	})
}

func TestDeadline(t *testing.T) {
	raw, staging := jobstest.Buckets(t)
	job := jobstest.LoadJob(t, raw)
	job.Deadline = time.Unix(1, 0)
	_, err := local.New(raw, staging, nil, transform.DefaultConfig()).Run(t.Context(), job)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("past its deadline a job ended with %v", err)
	}
}
