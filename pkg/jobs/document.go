package jobs

import (
	"context"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/wire"
)

// Documents gives the plan of a job as it is written for where it runs: the same for
// the same job.
func Documents(m plan.Maker) func(Job) ([]byte, error) {
	return func(job Job) ([]byte, error) { return PlanOf(m, job.Batch()).Document() }
}

// DocumentsNow gives the plans of batches against the snapshot that each table has now.
func DocumentsNow(m plan.Maker) func(context.Context, Batch) ([]byte, error) {
	return func(ctx context.Context, b Batch) ([]byte, error) {
		p, err := m.Against(ctx, PlanOf(m, b))
		if err != nil {
			return nil, err
		}
		return p.Document()
	}
}

// PlanOf makes the plan of a batch.
func PlanOf(m plan.Maker, b Batch) plan.Plan {
	files := make([]dms.File, len(b.Files))
	for i, file := range b.Files {
		files[i] = wire.FileOf(file)
	}
	return m.Make(b.Table, b.Token, b.Deadline, files...)
}
