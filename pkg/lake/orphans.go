package lake

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/objects"
)

// orphanRecord is what the table's properties say of the last search for orphans.
type orphanRecord struct {
	Scanned time.Time `json:"scanned,omitzero"`
	// Left counts the orphans that the search found beyond what one step removes,
	// Removing those that the step was about to remove, 0 once they are gone; Young the unreferenced objects that were not old enough; Oldest is when the
	// oldest of these was written.
	Left     int64     `json:"left"`
	Removing int64     `json:"removing,omitempty"`
	Young    int64     `json:"young"`
	Oldest   time.Time `json:"oldest,omitzero"`
}

func (r orphanRecord) scannedText() string {
	if r.Scanned.IsZero() {
		return ""
	}
	return r.Scanned.Format(time.RFC3339)
}

// nextScan is when the folders of the table are to be searched again; zero if
// nothing can be an orphan.
func (u *upkeep) nextScan() time.Time {
	c, r := u.lake.cfg.Maintenance, u.state.orphans
	snapshots := u.tbl.Metadata().Snapshots()
	switch own := u.state.last.Maintained != nil && u.state.last.Maintained.Step == MaintainOrphans; {
	case len(snapshots) == 0 || !u.mayRemove():
		return time.Time{}
	case r.Scanned.IsZero():
		first := snapshots[0].TimestampMs
		for _, s := range snapshots {
			first = min(first, s.TimestampMs)
		}
		return time.UnixMilli(first).Add(c.OrphanAge)
	case r.Left+r.Removing > 0:
		return r.Scanned
	case own && r.Young == 0: // the table is as that search left it
		return time.Time{}
	case own:
		return laterTime(r.Oldest.Add(c.OrphanAge), r.Scanned.Add(c.OrphanEvery))
	}
	return r.Scanned.Add(c.OrphanEvery)
}

func laterTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sweep is what a search of a table's folders found.
type sweep struct {
	orphans []objects.Info // old enough, at most as many as one step removes
	left    int64          // old enough, beyond these
	bytes   int64          // of all that are old enough
	young   int64
	oldest  time.Time // of the young
}

// sweepFolders compares what lies in the table's own folders with all that the
// table refers to.
func (u *upkeep) sweepFolders(ctx context.Context) (*sweep, error) {
	known, err := u.references(ctx)
	if err != nil {
		return nil, err
	}
	c := u.lake.cfg.Maintenance
	s := &sweep{}
	for _, folder := range ownFolders(u.req.Spec.ID) {
		for info, err := range u.lake.bucket.List(ctx, folder) {
			if err != nil {
				return nil, fmt.Errorf("search %s: %w", folder, err)
			}
			if _, ok := known[info.Key]; ok || strings.HasSuffix(info.Key, "/version-hint.text") {
				continue
			}
			switch {
			case info.LastModified.Add(c.OrphanAge).After(u.now):
				s.young++
				if s.oldest.IsZero() || info.LastModified.Before(s.oldest) {
					s.oldest = info.LastModified.UTC()
				}
			case len(s.orphans) < c.StepObjects:
				s.orphans = append(s.orphans, info)
				s.bytes += info.Size
			default:
				s.left++
				s.bytes += info.Size
			}
		}
	}
	return s, nil
}

// references gives the keys of all objects that the table's metadata, any of its
// snapshots or its properties name. It holds one key for each object. It reads the
// manifest list of each snapshot and each manifest once, except those that this
// Lake remembers from before: the first search of a table with 4,000 snapshots
// takes as many reads, while the table is locked; the next takes those of what was
// committed in between.
func (u *upkeep) references(ctx context.Context) (map[string]struct{}, error) {
	known := map[string]struct{}{}
	name := func(location string) {
		// What lies outside of the warehouse lies in none of the folders.
		if key, err := u.lake.io.Key(location); err == nil {
			known[key] = struct{}{}
		}
	}
	meta := u.tbl.Metadata()
	name(u.tbl.MetadataLocation())
	for entry := range meta.PreviousFiles() {
		name(entry.MetadataFile)
	}
	for s := range meta.Statistics() {
		name(s.StatisticsPath)
	}
	for s := range meta.PartitionStatistics() {
		name(s.StatisticsPath)
	}
	for _, t := range u.state.tombstones {
		known[t.Key] = struct{}{}
	}
	read := map[string]bool{}
	for _, snapshot := range meta.Snapshots() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		name(snapshot.ManifestList)
		if err := u.lake.named.each(u.lake.io, snapshot, read, name); err != nil {
			return nil, err
		}
	}
	return known, nil
}

// stageOrphans searches, and commits what was found before anything is removed:
// a commit that lands proves that no newer grant runs.
func (u *upkeep) stageOrphans(ctx context.Context, tx *table.Transaction, m *Maintained) (iceberg.Properties, error) {
	var err error
	if u.swept, err = u.sweepFolders(ctx); err != nil {
		return nil, err
	}
	for _, info := range u.swept.orphans {
		m.Removed++
		m.BytesRemoved += info.Size
	}
	record, err := u.swept.record(u.now, m.Removed).property()
	if err != nil {
		return nil, err
	}
	return record, stageEmpty(ctx, tx, u.summary())
}

// record is what is kept of a search, some of whose orphans are still to be removed.
func (s *sweep) record(at time.Time, removing int64) orphanRecord {
	return orphanRecord{Scanned: at.UTC(), Left: s.left, Removing: removing, Young: s.young, Oldest: s.oldest}
}

func (r orphanRecord) property() (iceberg.Properties, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode property %s: %w", PropertyOrphans, err)
	}
	return iceberg.Properties{PropertyOrphans: string(b)}, nil
}

// recheckEvery is after how many removed objects the token is looked at again.
const recheckEvery = 100

// removeSwept removes what the search found, once the step that counts it is
// committed, and then has the table say that it is gone. Whatever comes in between
// leaves a table whose folders are due to be searched again.
func (u *upkeep) removeSwept(ctx context.Context, token uint64) error {
	if u.swept == nil {
		return nil
	}
	for n, info := range u.swept.orphans {
		if n%recheckEvery == 0 && n > 0 {
			if err := u.stillOurs(ctx, token); err != nil {
				return err
			}
		}
		if err := u.lake.bucket.Remove(ctx, info.Key); err != nil {
			return fmt.Errorf("remove orphan %s: %w", info.Key, err)
		}
		if err := u.lake.step(StepRemoved); err != nil {
			return err
		}
	}
	return u.tellRemoved(ctx, token)
}

// tellRemoved changes the record of the search in the table's properties, and
// nothing else.
func (u *upkeep) tellRemoved(ctx context.Context, token uint64) error {
	tbl, state, err := u.ours(ctx, token)
	if err != nil || state.orphans.Removing == 0 {
		return err
	}
	tx, err := pin(tbl)
	if err != nil {
		return err
	}
	record, err := u.swept.record(u.now, 0).property()
	if err != nil {
		return err
	}
	if err := tx.SetProperties(record); err != nil {
		return fmt.Errorf("set properties: %w", err)
	}
	if _, err := tx.Commit(ctx); err != nil {
		return commitFailed(err)
	}
	return nil
}

// stillOurs makes sure that no newer token has committed.
func (u *upkeep) stillOurs(ctx context.Context, token uint64) error {
	_, _, err := u.ours(ctx, token)
	return err
}

// ours gives the table as it is now, unless a newer token has committed.
func (u *upkeep) ours(ctx context.Context, token uint64) (*table.Table, tableState, error) {
	tbl, err := u.lake.load(ctx, u.req.Spec.ID)
	if err != nil {
		return nil, tableState{}, err
	}
	state, err := readState(tbl.Properties())
	if err == nil && state.token != token {
		err = ErrStale
	}
	return tbl, state, err
}
