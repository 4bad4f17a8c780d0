package lake

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// SchemaVersion is one of the schemas that a table has had. Its columns, and what
// it tells of them, leave out provenance.
type SchemaVersion struct {
	ID      int  `json:"id"`
	Current bool `json:"current"`
	// SnapshotID and Since name the first snapshot with this schema, of those that
	// the table still knows; 0 and nil if there is none: nothing was written in it,
	// or its snapshots have expired.
	SnapshotID int64             `json:"snapshot_id,omitempty"`
	Since      *time.Time        `json:"since,omitempty"` // UTC
	Token      string            `json:"token,omitempty"` // of the commit that made the snapshot
	Columns    []registry.Column `json:"columns"`
	// Added, Changed and Removed compare with the schema before it.
	Added   []registry.Column `json:"added,omitempty"`
	Changed []ColumnChange    `json:"changed,omitempty"`
	Removed []registry.Column `json:"removed,omitempty"`
	// Moved tells that columns which stayed stand in another order.
	Moved bool `json:"moved,omitempty"`
}

// ColumnChange is a column before and after.
type ColumnChange struct {
	Was registry.Column `json:"was"`
	Is  registry.Column `json:"is"`
}

// Schemas gives the schemas of a table, in the order in which it had them;
// ErrNoTable if there is no such table. A schema comes with the commit that
// needs it, so that it is as old as its snapshot.
func (l *Lake) Schemas(ctx context.Context, id dms.TableID) ([]SchemaVersion, error) {
	tbl, err := l.load(ctx, id)
	if err != nil {
		return nil, err
	}
	list, err := schemaVersions(tbl.Metadata())
	if err != nil {
		return nil, fmt.Errorf("read the schemas of table %s: %w", id, err)
	}
	return list, nil
}

func schemaVersions(meta table.Metadata) ([]SchemaVersion, error) {
	first := map[int]table.Snapshot{}
	for _, s := range meta.Snapshots() {
		if s.SchemaID == nil {
			continue
		}
		if known, ok := first[*s.SchemaID]; !ok || s.TimestampMs < known.TimestampMs {
			first[*s.SchemaID] = s
		}
	}
	var list []SchemaVersion
	for _, schema := range meta.Schemas() {
		v := SchemaVersion{ID: schema.ID, Current: schema.ID == meta.CurrentSchema().ID}
		cols, err := userColumns(schema)
		if err != nil {
			return nil, err
		}
		v.Columns = slices.DeleteFunc(cols, func(c registry.Column) bool { return strings.HasPrefix(c.Name, fillerPrefix) })
		if s, ok := first[schema.ID]; ok {
			since := time.UnixMilli(s.TimestampMs).UTC()
			v.SnapshotID, v.Since = s.SnapshotID, &since
			if s.Summary != nil {
				v.Token = s.Summary.Properties[PropertyToken]
			}
		}
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b SchemaVersion) int { return a.ID - b.ID })
	for i := 1; i < len(list); i++ {
		list[i].compare(list[i-1].Columns)
	}
	return list, nil
}

// compare tells what is different from the schema before.
func (v *SchemaVersion) compare(before []registry.Column) {
	was := map[int]registry.Column{}
	for _, c := range before {
		was[c.ID] = c
	}
	var stayed, order []int
	for _, c := range v.Columns {
		old, ok := was[c.ID]
		switch {
		case !ok:
			v.Added = append(v.Added, c)
			continue
		case old != c:
			v.Changed = append(v.Changed, ColumnChange{Was: old, Is: c})
		}
		stayed = append(stayed, c.ID)
		delete(was, c.ID)
	}
	for _, c := range before {
		if _, gone := was[c.ID]; gone {
			v.Removed = append(v.Removed, c)
		} else {
			order = append(order, c.ID)
		}
	}
	v.Moved = !slices.Equal(stayed, order)
}
