package lake

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
)

// Missing is an object that a table names and that is not there, or cannot be read.
type Missing struct {
	Key  string // in the warehouse
	What string // "manifest list", "manifest", "data file", "delete file" or "remembered deletes"
	// Snapshot is the oldest one that needs it; 0: the table as it is.
	Snapshot int64
	Current  bool // the newest snapshot needs it
}

// Missing looks for the objects that a table's snapshots and properties name; ErrNoTable
// if there is no such table. Beside a running system an answer may be outdated by
// maintenance: what is missing is asked for again, and told only if it is named still.
func (l *Lake) Missing(ctx context.Context, id dms.TableID) ([]Missing, error) {
	first, err := l.missing(ctx, id)
	if err != nil || len(first) == 0 {
		return nil, err
	}
	return l.missing(ctx, id)
}

func (l *Lake) missing(ctx context.Context, id dms.TableID) ([]Missing, error) {
	tbl, err := l.load(ctx, id)
	if err != nil {
		return nil, err
	}
	f := &finder{lake: l, there: map[string]struct{}{}, seen: map[string]bool{}}
	for _, folder := range ownFolders(id) {
		for info, err := range l.bucket.List(ctx, folder) {
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", folder, err)
			}
			f.there[info.Key] = struct{}{}
		}
	}
	state, err := readState(tbl.Properties())
	if err != nil {
		return nil, err
	}
	for _, t := range state.tombstones {
		f.at = Missing{Current: true}
		if err := f.check(ctx, t.Key, "remembered deletes"); err != nil {
			return nil, err
		}
	}
	current := tbl.CurrentSnapshot()
	for _, s := range tbl.Metadata().Snapshots() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f.at = Missing{Snapshot: s.SnapshotID, Current: current != nil && current.SnapshotID == s.SnapshotID}
		if err := f.snapshot(ctx, s); err != nil {
			return nil, err
		}
	}
	return f.list, nil
}

// finder walks what a table names. Every object is looked at once.
type finder struct {
	lake  *Lake
	there map[string]struct{}
	seen  map[string]bool // value: it is there
	at    Missing
	list  []Missing
}

// check notes an object unless it is there.
func (f *finder) check(ctx context.Context, key, what string) error {
	if there, seen := f.seen[key]; seen {
		if !there && f.at.Current {
			for i := range f.list {
				f.list[i].Current = f.list[i].Current || f.list[i].Key == key
			}
		}
		return nil
	}
	_, there := f.there[key]
	if !there { // it may lie in no folder of the table's own
		_, err := f.lake.bucket.Stat(ctx, key)
		if err != nil && !errors.Is(err, objects.ErrNotFound) {
			return fmt.Errorf("look for %s: %w", key, err)
		}
		there = err == nil
	}
	f.seen[key] = there
	if !there {
		m := f.at
		m.Key, m.What = key, what
		f.list = append(f.list, m)
	}
	return nil
}

func (f *finder) location(ctx context.Context, location, what string) (there bool, err error) {
	key, err := f.lake.io.Key(location)
	if err != nil {
		return false, nil // another engine's, elsewhere
	}
	err = f.check(ctx, key, what)
	return f.seen[key], err
}

func (f *finder) snapshot(ctx context.Context, s table.Snapshot) error {
	there, err := f.location(ctx, s.ManifestList, "manifest list")
	if err != nil || !there {
		return err
	}
	manifests, err := s.Manifests(f.lake.io)
	if err != nil {
		return fmt.Errorf("read the manifests of snapshot %d: %w", s.SnapshotID, err)
	}
	for _, m := range manifests {
		known := f.seen[m.FilePath()+"\x00entries"]
		there, err := f.location(ctx, m.FilePath(), "manifest")
		if err != nil {
			return err
		}
		if !there || known && !f.at.Current {
			continue
		}
		f.seen[m.FilePath()+"\x00entries"] = true
		for entry, err := range m.Entries(f.lake.io, true) {
			if err != nil {
				return fmt.Errorf("read manifest %s: %w", m.FilePath(), err)
			}
			what := "data file"
			if entry.DataFile().ContentType() != 0 {
				what = "delete file"
			}
			if _, err := f.location(ctx, entry.DataFile().FilePath(), what); err != nil {
				return err
			}
		}
	}
	return nil
}
