package lake

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// ragged gives the data files with so many position-delete files that one is to
// take their place, those with the most first. Delete files that apply to several
// data files are another engine's, and left alone.
func (u *upkeep) ragged() []*dataFile {
	var out []*dataFile
	for _, f := range u.before.files {
		own := !slices.ContainsFunc(f.deletes, func(d iceberg.DataFile) bool { return u.deletes[d.FilePath()].uses != 1 })
		if len(f.deletes) > u.lake.cfg.Maintenance.MaxFileDeletes && own {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b *dataFile) int { return cmp.Compare(len(b.deletes), len(a.deletes)) })
	return out
}

// stageDeletes merges the position deletes of data files, one file for each, and
// drops delete files that hide nothing.
func (u *upkeep) stageDeletes(ctx context.Context, tx *table.Transaction, m *Maintained) (iceberg.Properties, error) {
	ragged := u.ragged()
	ragged = ragged[:min(len(ragged), u.lake.cfg.Maintenance.StepFiles)]
	remove := slices.Clone(u.dangling[:min(len(u.dangling), u.lake.cfg.Maintenance.StepObjects)])
	var add []table.DeleteFileAddition
	for _, f := range ragged {
		dead, err := u.lake.deletedRows(ctx, f)
		if err != nil {
			return nil, err
		}
		file, key, err := u.lake.writePositions(ctx, u.req.Spec.ID, f.FilePath(), dead.rows())
		if err != nil {
			return nil, err
		}
		u.created = append(u.created, key)
		var sequence int64
		for _, d := range f.deletes {
			sequence = max(sequence, u.deletes[d.FilePath()].sequence)
		}
		remove = append(remove, f.deletes...)
		add = append(add, table.DeleteFileAddition{File: file, DataSequenceNumber: sequence})
		u.addDeletes = append(u.addDeletes, file)
	}
	if err := u.lake.step(StepDeletes); err != nil {
		return nil, err
	}
	m.count(remove, u.addDeletes)
	if err := tx.ReplaceFilesWithDeleteFiles(ctx, nil, nil, remove, add, u.summary(), table.WithoutAutoNameMapping()); err != nil {
		return nil, fmt.Errorf("stage snapshot: %w", err)
	}
	return nil, nil
}

// rows lists the numbers in a set, ascending.
func (b bitmap) rows() []int64 {
	out := make([]int64, 0, b.count())
	for i := range int64(len(b)) * 64 {
		if b.has(i) {
			out = append(out, i)
		}
	}
	return out
}
