package lake

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// expirable gives the snapshots that may expire now, oldest first: neither young,
// nor of the newest, nor named by a branch, a tag or the table's properties.
func (u *upkeep) expirable() []table.Snapshot {
	old := u.beyondKept()
	n := slices.IndexFunc(old, func(s table.Snapshot) bool { return u.expiry(s).After(u.now) })
	if n < 0 {
		n = len(old)
	}
	return old[:min(n, u.lake.cfg.Maintenance.StepSnapshots)]
}

// mayRemove tells whether another engine has forbidden to remove anything.
func (u *upkeep) mayRemove() bool { return u.tbl.Properties().GetBool("gc.enabled", true) }

func (u *upkeep) expiry(s table.Snapshot) time.Time {
	return time.UnixMilli(s.TimestampMs).Add(u.lake.cfg.Maintenance.ExpireAfter)
}

// beyondKept gives the snapshots that nothing but their age keeps, oldest first.
func (u *upkeep) beyondKept() []table.Snapshot {
	if !u.mayRemove() {
		return nil
	}
	all := slices.Clone(u.tbl.Metadata().Snapshots())
	slices.SortStableFunc(all, func(a, b table.Snapshot) int { return cmp.Compare(a.TimestampMs, b.TimestampMs) })
	named := map[int64]bool{u.state.last.SnapshotID: true}
	for _, ref := range u.tbl.Metadata().Refs() {
		named[ref.SnapshotID] = true
	}
	old := all[:max(0, len(all)-u.lake.cfg.Maintenance.KeepSnapshots)]
	return slices.DeleteFunc(slices.Clone(old), func(s table.Snapshot) bool { return named[s.SnapshotID] })
}

// nextExpiry is when enough snapshots will be old; zero if there are too few.
func (u *upkeep) nextExpiry() time.Time {
	old := u.beyondKept()
	if n := u.lake.cfg.Maintenance.ExpireAtLeast; len(old) >= n {
		return u.expiry(old[n-1])
	}
	return time.Time{}
}

// stageExpire forgets snapshots, in a commit that makes an empty one: only so can
// the commit be pinned. What they alone referred to are orphans from then on.
func (u *upkeep) stageExpire(ctx context.Context, tx *table.Transaction, m *Maintained) (iceberg.Properties, error) {
	old := u.expirable()
	ids := make([]int64, len(old))
	for i, s := range old {
		ids[i] = s.SnapshotID
	}
	u.edit = func(updates []table.Update) []table.Update {
		return append(updates, table.NewRemoveSnapshotsUpdate(ids, false))
	}
	m.Removed, m.Added = int64(len(ids)), 1
	return nil, stageEmpty(ctx, tx, u.summary())
}
