package lake

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// worn gives the data files of which so much is deleted that they are to be
// written anew, in key order.
func (u *upkeep) worn() []*dataFile {
	return u.withDeleted(u.lake.cfg.Maintenance.DeletedFraction)
}

// withDeleted gives the data files of which more than a part is deleted, in key order.
func (u *upkeep) withDeleted(limit float64) []*dataFile {
	var out []*dataFile
	for _, f := range u.before.files {
		if n := u.deletedOf(f); n > 0 && float64(n) > limit*float64(f.Count()) && u.rewritable(f) {
			out = append(out, f)
		}
	}
	return out
}

// untidy gives the data files that are small or have a deleted row, if merging
// them all costs little. Those with deleted rows come first: however a step cuts
// the list, it leaves fewer of them, or fewer small ones.
func (u *upkeep) untidy() []*dataFile {
	files := u.withDeleted(0)
	touched := len(files)
	for _, f := range u.small() {
		if !slices.Contains(files[:touched], f) {
			files = append(files, f)
		}
	}
	var rows, size int64
	for _, f := range files {
		rows += f.Count()
		size += f.FileSizeBytes()
	}
	c := u.lake.cfg.Maintenance
	if rows > c.TidyRows || size > c.TidyBytes || touched == 0 && len(files) < 2 {
		return nil
	}
	return files
}

// small gives the data files that are to be merged with others, smallest first.
func (u *upkeep) small() []*dataFile {
	c := u.lake.cfg.Maintenance
	var out []*dataFile
	for _, f := range u.before.files {
		if f.Count() < c.SmallFileRows && f.FileSizeBytes() < c.SmallFileBytes && u.rewritable(f) {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b *dataFile) int {
		return cmp.Or(cmp.Compare(a.Count(), b.Count()), cmp.Compare(a.FilePath(), b.FilePath()))
	})
	return out
}

// chooseCompaction gives the files that one step merges: all that are untidy if
// they are few, else worn ones, else small ones. Of the small ones it takes as many as together outweigh the next larger
// one, so that each row is written anew a logarithmic number of times.
func (u *upkeep) chooseCompaction() []*dataFile {
	if untidy := u.untidy(); len(untidy) > 0 {
		return u.bounded(untidy)
	}
	if worn := u.worn(); len(worn) > 0 {
		return u.bounded(worn)
	}
	small := u.small()
	limit := u.lake.cfg.Maintenance.MaxSmallFiles
	n, sum := 2, small[0].Count()+small[1].Count()
	for n < len(small) && (small[n].Count() <= 2*sum || len(small)-n >= limit) {
		sum += small[n].Count()
		n++
	}
	return u.bounded(small[:n])
}

// bounded cuts a list of files to what one step may take.
func (u *upkeep) bounded(files []*dataFile) []*dataFile {
	c := u.lake.cfg.Maintenance
	var rows, size int64
	for i, f := range files {
		rows += f.Count()
		size += f.FileSizeBytes()
		if i > 0 && (i >= c.StepFiles || rows > c.StepRows || size > c.StepBytes) {
			return files[:i]
		}
	}
	return files
}

// stageCompact merges data files into new ones, without their deleted rows.
func (u *upkeep) stageCompact(ctx context.Context, tx *table.Transaction, m *Maintained) (iceberg.Properties, error) {
	var sources []*rowSource
	for _, f := range u.chooseCompaction() {
		u.drop = append(u.drop, f.DataFile)
		sources = append(sources, u.lake.tableSource(f, nil))
	}
	if err := u.writeMerged(ctx, sources); err != nil {
		return nil, err
	}
	if err := u.lake.step(StepWritten); err != nil {
		return nil, err
	}
	m.count(u.drop, u.add)
	if err := tx.ReplaceFiles(ctx, u.drop, u.add, u.droppedDeletes(), u.summary(), table.WithoutAutoNameMapping()); err != nil {
		return nil, fmt.Errorf("stage snapshot: %w", err)
	}
	return nil, nil
}

// count tells of files that were replaced by others.
func (m *Maintained) count(removed, added []iceberg.DataFile) {
	for _, f := range removed {
		m.Removed++
		m.BytesRemoved += f.FileSizeBytes()
	}
	for _, f := range added {
		m.Added++
		m.BytesAdded += f.FileSizeBytes()
	}
}
