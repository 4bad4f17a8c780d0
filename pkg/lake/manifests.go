package lake

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// targetManifestBytes is how large a merged manifest becomes: Iceberg's default.
const targetManifestBytes = 8 << 20

// smallManifests gives the manifests that one step merges, smallest first.
func (u *upkeep) smallManifests() []iceberg.ManifestFile {
	small := slices.DeleteFunc(slices.Clone(u.manifests), func(m iceberg.ManifestFile) bool { return m.Length() >= targetManifestBytes/2 })
	slices.SortStableFunc(small, func(a, b iceberg.ManifestFile) int {
		return cmp.Or(cmp.Compare(a.Length(), b.Length()), cmp.Compare(a.FilePath(), b.FilePath()))
	})
	return small[:min(len(small), u.lake.cfg.Maintenance.StepManifests)]
}

// stageManifests merges the small manifests of data files. Those of deletes go
// when what they name is merged or dropped.
func (u *upkeep) stageManifests(ctx context.Context, tx *table.Transaction, m *Maintained) (iceberg.Properties, error) {
	chosen := map[string]bool{}
	for _, f := range u.smallManifests() {
		chosen[f.FilePath()] = true
	}
	done, err := tx.RewriteManifests(ctx, table.WithManifestTargetSize(targetManifestBytes),
		table.WithRewriteManifestPredicate(func(f iceberg.ManifestFile) bool { return chosen[f.FilePath()] }))
	if err != nil {
		return nil, fmt.Errorf("stage snapshot: %w", err)
	}
	if done.IsNoOp() {
		u.strategy, m.Step = MaintainNone, MaintainNone
		return u.stageNone(ctx, tx, m)
	}
	for _, f := range done.RewrittenManifests {
		m.Removed++
		m.BytesRemoved += f.Length()
	}
	for _, f := range done.AddedManifests {
		m.Added++
		m.BytesAdded += f.Length()
		if key, err := u.lake.io.Key(f.FilePath()); err == nil {
			u.created = append(u.created, key)
		}
	}
	staged, err := tx.StagedTable()
	if err != nil {
		return nil, fmt.Errorf("read staged snapshot: %w", err)
	}
	u.edit = u.summarize(*staged.CurrentSnapshot())
	return nil, u.lake.step(StepWritten)
}

// summarize puts the summary of a step into the snapshot of a merge of manifests,
// for which iceberg-go takes none.
func (u *upkeep) summarize(snapshot table.Snapshot) func([]table.Update) []table.Update {
	summary := table.Summary{Operation: table.OpReplace, Properties: iceberg.Properties{}}
	if s := snapshot.Summary; s != nil {
		summary.Operation = s.Operation
		maps.Copy(summary.Properties, s.Properties)
	}
	maps.Copy(summary.Properties, u.summary())
	snapshot.Summary = &summary
	return func(updates []table.Update) []table.Update {
		for i, update := range updates {
			if update.Action() == table.UpdateAddSnapshot {
				updates[i] = table.NewAddSnapshotUpdate(&snapshot)
			}
		}
		return updates
	}
}
