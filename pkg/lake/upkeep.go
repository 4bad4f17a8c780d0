package lake

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/dms"
)

// upkeep is one look at a table with the eyes of maintenance, and a step that
// is prepared upon it.
type upkeep struct {
	batch
	now       time.Time
	manifests []iceberg.ManifestFile // of data files
	// deletes are the live position-delete files by location, dangling those of
	// them that apply to no data file.
	deletes  map[string]deleteFile
	dangling []iceberg.DataFile
	// edit changes what a staged step commits; nil: nothing.
	edit func([]table.Update) []table.Update
	// swept is what the search for orphans has found; nil before it.
	swept *sweep
}

// deleteFile is a position-delete file as a manifest has it.
type deleteFile struct {
	iceberg.DataFile
	sequence int64 // its data sequence number
	uses     int   // data files that it may apply to
}

// Due is a step of maintenance that is due, and why.
type Due struct {
	Step   string `json:"step"`
	Reason string `json:"reason"`
}

// look reads a table's metadata, manifests included; no data.
func (l *Lake) look(ctx context.Context, tbl *table.Table, id dms.TableID) (*upkeep, error) {
	u := &upkeep{now: l.now(), deletes: map[string]deleteFile{}}
	u.lake, u.req.Spec.ID, u.tbl = l, id, tbl
	var err error
	if u.state, err = readState(tbl.Properties()); err != nil {
		return nil, err
	}
	if u.columns, err = userColumns(tbl.Schema()); err != nil {
		return nil, err
	}
	if u.key, err = keyOfTable(tbl, u.columns); err != nil {
		return nil, err
	}
	if u.prov, err = provenanceOf(tbl.Schema(), tbl.Metadata().LastColumnID()+1); err != nil {
		return nil, err
	}
	u.order = tbl.Metadata().DefaultSortOrder()
	if u.before, err = readSnapshot(ctx, tbl, u.key); err != nil {
		return nil, err
	}
	return u, u.readManifests()
}

func (u *upkeep) readManifests() error {
	current := u.tbl.CurrentSnapshot()
	if current == nil {
		return nil
	}
	manifests, err := current.Manifests(u.lake.io)
	if err != nil {
		return fmt.Errorf("read the manifests of snapshot %d: %w", current.SnapshotID, err)
	}
	uses := map[string]int{}
	for _, f := range u.before.files {
		for _, d := range f.deletes {
			uses[d.FilePath()]++
		}
	}
	for _, m := range manifests {
		if m.ManifestContent() == iceberg.ManifestContentData {
			u.manifests = append(u.manifests, m)
			continue
		}
		for entry, err := range m.Entries(u.lake.io, true) {
			if err != nil {
				return fmt.Errorf("read manifest %s: %w", m.FilePath(), err)
			}
			d := deleteFile{DataFile: entry.DataFile(), sequence: entry.SequenceNum(), uses: uses[entry.DataFile().FilePath()]}
			u.deletes[d.FilePath()] = d
			if d.uses == 0 {
				u.dangling = append(u.dangling, d.DataFile)
			}
		}
	}
	slices.SortFunc(u.dangling, func(a, b iceberg.DataFile) int { return cmp.Compare(a.FilePath(), b.FilePath()) })
	return nil
}

// due gives the steps that are due, the first to be taken first.
func (u *upkeep) due() []Due {
	if u.tbl.CurrentSnapshot() == nil {
		return nil
	}
	c := u.lake.cfg.Maintenance
	var due []Due
	say := func(step, format string, args ...any) { due = append(due, Due{step, fmt.Sprintf(format, args...)}) }
	if n := len(u.untidy()); n > 0 {
		say(MaintainCompact, "%d data file(s) that are small or have deleted rows, at most %d rows and %d bytes together", n, c.TidyRows, c.TidyBytes)
	}
	if n := len(u.worn()); n > 0 {
		say(MaintainCompact, "%d data file(s) with more than %g %% of their rows deleted", n, 100*c.DeletedFraction)
	}
	if n := len(u.small()); n > c.MaxSmallFiles {
		say(MaintainCompact, "%d small data files, more than %d", n, c.MaxSmallFiles)
	}
	if n := len(u.ragged()); n > 0 {
		say(MaintainDeletes, "%d data file(s) with more than %d delete files", n, c.MaxFileDeletes)
	}
	if n := len(u.dangling); n > 0 {
		say(MaintainDeletes, "%d delete file(s) that hide nothing", n)
	}
	if n := len(u.manifests); n > c.MaxManifests && len(u.smallManifests()) > 1 {
		say(MaintainManifests, "%d manifests, more than %d", n, c.MaxManifests)
	}
	if n := len(u.expirable()); n >= c.ExpireAtLeast {
		say(MaintainExpire, "%d snapshot(s) older than %s", n, c.ExpireAfter)
	}
	if at := u.nextScan(); !at.IsZero() && !at.After(u.now) {
		say(MaintainOrphans, "the folders were not searched since %s", cmp.Or(u.state.orphans.scannedText(), "the beginning"))
	}
	return due
}

// next is when a step becomes due by the passing of time alone; zero if never.
func (u *upkeep) next() time.Time {
	var next time.Time
	for _, at := range []time.Time{u.nextExpiry(), u.nextScan()} {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// Due tells which steps of maintenance are due, the first to be taken first, and
// when one will be by the passing of time alone (zero: never); ErrNoTable if
// there is no such table.
func (l *Lake) Due(ctx context.Context, id dms.TableID) ([]Due, time.Time, error) {
	u, err := l.lookAt(ctx, id)
	if err != nil {
		return nil, time.Time{}, err
	}
	return u.due(), u.next(), nil
}

func (l *Lake) lookAt(ctx context.Context, id dms.TableID) (*upkeep, error) {
	tbl, err := l.load(ctx, id)
	if err != nil {
		return nil, err
	}
	u, err := l.look(ctx, tbl, id)
	if err != nil {
		return nil, fmt.Errorf("look at table %s: %w", id, err)
	}
	return u, nil
}

// rewritable tells whether maintenance may write a data file anew: those that
// other engines wrote in an unknown order are left alone.
func (u *upkeep) rewritable(f *dataFile) bool { return len(u.key) == 0 || f.sorted }

// deletedOf counts the deleted rows of a data file, as far as the metadata tells.
func (u *upkeep) deletedOf(f *dataFile) int64 {
	var n int64
	for _, d := range f.deletes {
		if u.deletes[d.FilePath()].uses <= 1 {
			n += d.Count()
		}
	}
	return n
}
