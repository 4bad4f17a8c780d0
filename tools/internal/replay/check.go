package replay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// Store is what a check needs of the control store.
type Store interface {
	Table(ctx context.Context, table dms.TableID) (control.TableItem, error)
	Tables(ctx context.Context) ([]dms.TableID, error)
	Files(ctx context.Context, table dms.TableID, states []string, limit int) ([]control.FileRow, error)
	Spec(ctx context.Context, table dms.TableID, version uint64) (control.Spec, error)
}

// Report tells how the log and the control store agree on one table.
type Report struct {
	Table  dms.TableID `json:"table"`
	Events int64       `json:"events"` // folded
	Last   Place       `json:"last"`
	// Unpublished counts the events that the store is still to say: they are in
	// its outbox, and taken for said.
	Unpublished int `json:"unpublished,omitempty"`
	Files       int `json:"files"`
	// Differences between the fold and the store; at most MaxDifferences.
	Differences []Difference `json:"differences,omitempty"`
	Breaks      []Break      `json:"breaks,omitempty"`
	// Moving: the table changed each time while it was looked at, so that
	// nothing can be said.
	Moving bool `json:"moving,omitempty"`

	fold *Table
}

// Equal reports whether log and store agree and the log is whole.
func (r Report) Equal() bool { return !r.Moving && len(r.Differences) == 0 && len(r.Breaks) == 0 }

// Folded is the table as the log tells of it.
func (r Report) Folded() *Table { return r.fold }

// maxLooks bounds how often a table is looked at that changes meanwhile.
const maxLooks = 5

// Check folds the log and compares each table with the control store: one table,
// or all if only is zero. It works beside a running system: a table that changed
// while it was looked at is looked at again. The reports are sorted by table; all of them
// come with an *eventlog.MissingError, too.
func Check(ctx context.Context, log Log, store Store, only dms.TableID) ([]Report, error) {
	ids := []dms.TableID{only}
	if only.IsZero() {
		var err error
		if ids, err = store.Tables(ctx); err != nil {
			return nil, fmt.Errorf("list the tables of the control store: %w", err)
		}
	}
	var missing *eventlog.MissingError
	reports := map[dms.TableID]Report{}
	for look := range maxLooks {
		filter := eventlog.Filter{Table: only}
		if len(ids) == 1 {
			filter.Table = ids[0]
		}
		again, err := checkOnce(ctx, log, store, filter, ids, look == 0, reports)
		if err != nil && !errors.As(err, &missing) {
			return nil, err
		}
		if len(again) == 0 {
			return sorted(reports), missing.OrNil()
		}
		ids = again
	}
	for _, id := range ids {
		r := reports[id]
		r.Moving, r.Differences = true, nil
		reports[id] = r
	}
	return sorted(reports), missing.OrNil()
}

func sorted(reports map[dms.TableID]Report) []Report {
	return slices.SortedFunc(maps.Values(reports), func(a, b Report) int {
		return strings.Compare(a.Table.String(), b.Table.String())
	})
}

// checkOnce looks at tables once and gives those that changed meanwhile, also with an
// *eventlog.MissingError. With others, tables that are in the log alone are reported too.
func checkOnce(ctx context.Context, log Log, store Store, f eventlog.Filter, ids []dms.TableID, others bool, reports map[dms.TableID]Report) ([]dms.TableID, error) {
	before := make(map[dms.TableID]uint64, len(ids))
	for _, id := range ids {
		item, err := table(ctx, store, id)
		if err != nil {
			return nil, err
		}
		// Of a table that the store does not know all is folded: it may be lost.
		if before[id] = item.Version; item.Version == 0 {
			before[id] = math.MaxUint64
		}
	}
	var missing *eventlog.MissingError
	folds, err := Fold(ctx, log, f, before)
	if err != nil && !errors.As(err, &missing) {
		return nil, err
	}
	if others {
		for id := range folds {
			if _, known := before[id]; !known {
				ids = append(ids, id)
			}
		}
	}
	var again []dms.TableID
	for _, id := range ids {
		fold := folds[id]
		if fold == nil {
			fold = &Table{State: lockmanager.NewState(id)}
		}
		report, moved, err := compare(ctx, store, fold, before[id])
		if err != nil {
			return nil, err
		}
		reports[id] = report
		if moved {
			again = append(again, id)
		}
	}
	return again, missing.OrNil()
}

// table is the item of a table; one of version 0 if there is none.
func table(ctx context.Context, store Store, id dms.TableID) (control.TableItem, error) {
	item, err := store.Table(ctx, id)
	if err != nil && !errors.Is(err, control.ErrNotFound) {
		return item, fmt.Errorf("read the state of %s: %w", id, err)
	}
	return item, nil
}

// compare holds a fold against the store. moved tells that the table is not at
// the version any more that was folded.
func compare(ctx context.Context, store Store, fold *Table, version uint64) (r Report, moved bool, err error) {
	id := fold.State.Table
	item, err := table(ctx, store, id)
	if err != nil {
		return r, false, err
	}
	if r, err = report(ctx, store, fold, item); err != nil {
		return r, false, err
	}
	after, err := table(ctx, store, id)
	if fold.Beyond > after.Version { // what is said was written before
		r.Differences = append([]Difference{{What: "version", Log: strconv.FormatUint(fold.Beyond, 10), Store: strconv.FormatUint(after.Version, 10)}}, r.Differences...)
	}
	lost := version == math.MaxUint64 && item.Version == 0
	return r, !lost && item.Version != version || after.Version != item.Version, err
}

// report folds what the item's outbox holds beyond the log, and lists what differs.
func report(ctx context.Context, store Store, fold *Table, item control.TableItem) (Report, error) {
	unpublished, unreadable := fold.unpublished(item)
	id := fold.State.Table
	rows, err := store.Files(ctx, id, nil, len(fold.State.Files)+MaxDifferences)
	if err != nil {
		return Report{}, fmt.Errorf("read the files of %s: %w", id, err)
	}
	d := &differences{}
	if unreadable != nil {
		d.add("what is still to be said", "events", unreadable)
	}
	if fold.Last.Version != item.Version {
		d.add("version", fold.Last.Version, item.Version)
	}
	if err := errors.Join(d.state(fold.State, item), d.files(fold.State, rows)); err != nil {
		return Report{}, err
	}
	if err := d.specs(ctx, store, fold); err != nil {
		return Report{}, err
	}
	return Report{
		Table: id, Events: fold.Events, Last: fold.Last, Unpublished: unpublished, Files: len(fold.State.Files),
		Differences: d.list, Breaks: fold.Breaks, fold: fold,
	}, nil
}

// unpublished folds what the table's outbox holds beyond the log.
func (t *Table) unpublished(item control.TableItem) (int, error) {
	n := 0
	for _, b := range item.Outbox {
		e, err := eventlog.Decode(b)
		if err != nil {
			return n, fmt.Errorf("read the outbox of %s: %w", item.Table, err)
		}
		if e.GetVersion() < t.Last.Version || e.GetVersion() == t.Last.Version && e.GetIndex() <= t.Last.Index && t.Events > 0 {
			continue
		}
		event, err := e.GetEvent().UnmarshalNew()
		if err != nil {
			return n, fmt.Errorf("read the outbox of %s: %w", item.Table, err)
		}
		t.fold(0, e, event)
		n++
	}
	return n, nil
}

func (d *differences) state(folded *lockmanager.State, item control.TableItem) error {
	if item.Version == 0 {
		if folded.Token > 0 || folded.Registered() || len(folded.Files) > 0 {
			d.add("table", "known", "not there")
		}
		return nil
	}
	encoded, err := folded.Encode()
	if err != nil {
		return err
	}
	return d.json("", encoded, item.State)
}

func (d *differences) files(folded *lockmanager.State, rows []control.FileRow) error {
	stored := make(map[dms.FileID]bool, len(rows))
	for _, row := range rows {
		stored[row.FileID] = true
		f, ok := folded.Files[row.FileID]
		if !ok {
			d.add("file "+string(row.FileID), "unknown", row.State)
			continue
		}
		want, err := folded.Row(f)
		if err != nil {
			return err
		}
		d.columns("file "+string(row.FileID)+": column ", want, row)
		if err := d.json("file "+string(row.FileID)+": ", want.Body, row.Body); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(folded.Files)) {
		if !stored[id] {
			d.add("file "+string(id), folded.Files[id].Status, "not there")
		}
	}
	return nil
}

// specs compares the registrations, by which files are read.
func (d *differences) specs(ctx context.Context, store Store, fold *Table) error {
	for _, version := range slices.Sorted(maps.Keys(fold.Specs)) {
		what := fmt.Sprintf("registration %d", version)
		stored, err := store.Spec(ctx, fold.State.Table, version)
		switch {
		case errors.Is(err, control.ErrNotFound):
			d.add(what, "known", "not there")
		case err != nil:
			return fmt.Errorf("read registration %d of %s: %w", version, fold.State.Table, err)
		case !bytes.Equal(stored.JSON, fold.Specs[version]):
			d.add(what, fmt.Sprintf("SHA-256 %x", sha256.Sum256(fold.Specs[version])), fmt.Sprintf("SHA-256 %x", sha256.Sum256(stored.JSON)))
		}
	}
	return nil
}

// columns compares what a store keeps of a file beside its body, by which lock-manager
// finds it.
func (d *differences) columns(prefix string, log, store control.FileRow) {
	for _, c := range []struct {
		name       string
		log, store any
	}{
		{"kind", log.Kind, store.Kind}, {"state", log.State, store.State}, {"order", log.Order, store.Order},
		{"live", log.Live, store.Live}, {"last modified", log.LastModified.UTC().Format(time.RFC3339Nano), store.LastModified.UTC().Format(time.RFC3339Nano)},
	} {
		if c.log != c.store {
			d.add(prefix+c.name, c.log, c.store)
		}
	}
}

// At folds the log up to where f ends, and tells what the control store has
// otherwise: what has changed since. f chooses one table, or all that the log
// knows by then. A running system may go on meanwhile. All reports come with an
// *eventlog.MissingError, too.
func At(ctx context.Context, log Log, store Store, f eventlog.Filter) ([]Report, error) {
	var missing *eventlog.MissingError
	folds, err := Fold(ctx, log, f, nil)
	if err != nil && !errors.As(err, &missing) {
		return nil, err
	}
	if _, ok := folds[f.Table]; !ok && !f.Table.IsZero() {
		folds[f.Table] = &Table{State: lockmanager.NewState(f.Table)}
	}
	reports := make(map[dms.TableID]Report, len(folds))
	for id, fold := range folds {
		item, err := table(ctx, store, id)
		if err != nil {
			return nil, err
		}
		item.Outbox = nil
		if reports[id], err = report(ctx, store, fold, item); err != nil {
			return nil, err
		}
	}
	return sorted(reports), missing.OrNil()
}
