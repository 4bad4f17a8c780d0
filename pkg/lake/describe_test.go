package lake

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// What the tests of this package look at beside what it offers.

// Description tells of a table.
type Description struct {
	Identifier       table.Identifier // in the catalog
	Location         string
	MetadataLocation string
	Columns          []registry.Column // without provenance
	Token            uint64            // of the last commit
	Generation       uint64            // that the last replacement published; 0 if none
	Last             Result            // of the last commit; zero if there was none
	Snapshots        int
	SnapshotID       int64 // 0 if there is none
	UpdatedAt        time.Time
	Rows             int64 // live, by the metadata
	DataFiles        int
	DeleteFiles      int
	Bytes            int64 // of data and delete files
	TombstoneFiles   int
	Tombstones       int64 // remembered deletes
}

// Describe tells of a table; ErrNoTable if there is no such table.
func (l *Lake) Describe(ctx context.Context, id dms.TableID) (Description, error) {
	tbl, err := l.load(ctx, id)
	if err != nil {
		return Description{}, err
	}
	d, err := describe(ctx, tbl)
	if err != nil {
		return d, fmt.Errorf("describe table %s: %w", id, err)
	}
	return d, nil
}

func describe(ctx context.Context, tbl *table.Table) (Description, error) {
	d := Description{
		Identifier: tbl.Identifier(), Location: tbl.Location(), MetadataLocation: tbl.MetadataLocation(),
		Snapshots: len(tbl.Metadata().Snapshots()), UpdatedAt: time.UnixMilli(tbl.Metadata().LastUpdatedMillis()).UTC(),
	}
	var err error
	if d.Columns, err = userColumns(tbl.Schema()); err != nil {
		return d, err
	}
	state, err := readState(tbl.Properties())
	if err != nil {
		return d, err
	}
	d.Token, d.Last, d.TombstoneFiles = state.token, state.last, len(state.tombstones)
	for _, t := range state.tombstones {
		d.Tombstones += t.Rows
	}
	if v := tbl.Properties()[PropertyGeneration]; v != "" {
		if d.Generation, err = strconv.ParseUint(v, 10, 64); err != nil {
			return d, fmt.Errorf("read property %s: %w", PropertyGeneration, err)
		}
	}
	if s := tbl.CurrentSnapshot(); s != nil {
		d.SnapshotID = s.SnapshotID
	}
	snap, err := readSnapshot(ctx, tbl, nil)
	if err != nil {
		return d, err
	}
	d.Rows, d.DataFiles, d.DeleteFiles = snap.rows, len(snap.files), len(snap.deletes)
	for _, f := range snap.files {
		d.Bytes += f.FileSizeBytes()
	}
	for _, f := range snap.deletes {
		d.Bytes += f.FileSizeBytes()
	}
	return d, nil
}

// CountRows counts the live rows, reading position deletes but no rows.
func (l *Lake) CountRows(ctx context.Context, id dms.TableID) (int64, error) {
	tbl, err := l.load(ctx, id)
	if err != nil {
		return 0, err
	}
	s, err := readSnapshot(ctx, tbl, nil)
	if err != nil {
		return 0, fmt.Errorf("count rows of %s: %w", id, err)
	}
	var n int64
	for _, f := range s.files {
		hidden, err := l.deletedRows(ctx, f)
		if err != nil {
			return 0, fmt.Errorf("count rows of %s: %w", id, err)
		}
		n += f.Count() - hidden.count()
	}
	return n, nil
}
