package jobs

import (
	"context"

	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/wire"
)

// Documents gives the plan of a job as it is written for where it runs: the same for
// the same job.
func Documents(m plan.Maker) func(Job) ([]byte, error) {
	return func(job Job) ([]byte, error) { return planOf(m, job).Document() }
}

// DocumentsNow is Documents of plans against the snapshot that each table has now.
func DocumentsNow(m plan.Maker) func(context.Context, Job) ([]byte, error) {
	return func(ctx context.Context, job Job) ([]byte, error) {
		p, err := m.Against(ctx, planOf(m, job))
		if err != nil {
			return nil, err
		}
		return p.Document()
	}
}

func planOf(m plan.Maker, job Job) plan.Plan {
	return m.Make(job.Table, job.Token, job.Deadline, wire.FileOf(job.File))
}
