package hammer

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// maxFiles is more than any history has.
const maxFiles = 100_000

// check looks at everything that the design promises, once all is at rest. The
// numbers are those of the invariants of the design.
func (w *world) check(n *node) error {
	var records []eventlog.Record
	for r, err := range n.log.Read(w.ctx, eventlog.Filter{}) {
		if err != nil {
			return err
		}
		records = append(records, r)
	}
	w.report.Events = len(records)
	if found := CheckEvents(records); len(found) > 0 { // 6
		w.violateAll(found)
		return nil // of such a log nothing else can be told
	}
	w.checkRaw() // 5
	if err := w.checkArchive(n); err != nil {
		return err
	}
	if err := w.checkStaged(n, records); err != nil {
		return err
	}
	tables, err := n.store.Tables(w.ctx)
	if err != nil {
		return err
	}
	for _, id := range tables {
		mine := slices.DeleteFunc(slices.Clone(records), func(r eventlog.Record) bool { return r.Table != id })
		names := nameFiles(mine)
		w.checkOrder(id, mine) // 1, 3
		for _, look := range []func() error{
			func() error { // 6
				found, err := CheckFold(w.ctx, mine, n.store, id)
				w.violateAll(found)
				return err
			},
			func() error { return w.checkFiles(n, id, names) }, // 5
			func() error { return w.checkRows(n, id, names) },  // 2, 8
			func() error { return w.checkSnapshots(n, id, mine, names) },
		} {
			if err := look(); err != nil {
				return fmt.Errorf("check %s: %w", id, err)
			}
		}
	}
	if w.site.cfg.Check == nil {
		return nil
	}
	found, err := w.site.cfg.Check(w.ctx, w.rest(n, records))
	w.violateAll(found)
	return err
}

func (w *world) rest(n *node, records []eventlog.Record) Rest {
	at := Rest{
		Dir: w.site.cfg.Dir, Log: n.log, Store: n.store, Lake: n.lake, Tables: w.specs, Records: records,
		Replaced: map[dms.TableID]bool{}, IDs: map[dms.TableID]map[string]bool{},
	}
	for _, spec := range w.specs {
		if spec.ID.IsTransactions() {
			continue
		}
		t := w.history.table(spec.ID.Table)
		at.Replaced[spec.ID], at.IDs[spec.ID] = t.generations > 1, map[string]bool{}
		for _, r := range w.history.expected(t) {
			id, _, _ := strings.Cut(r, "|")
			at.IDs[spec.ID][id] = true
		}
	}
	return at
}

// checkRaw: no raw object was changed or removed.
func (w *world) checkRaw() {
	newest := map[string]*file{}
	for _, list := range w.history.byKey {
		if last := list[len(list)-1]; !last.modified.IsZero() {
			newest[last.key] = last
		}
	}
	for key, f := range newest {
		b, err := os.ReadFile(filepath.Join(w.site.cfg.Dir, "raw", filepath.FromSlash(key)))
		if err != nil || string(b) != f.content {
			w.violate("the raw object %s is not what was delivered (%v)", key, err)
		}
	}
}

// checkStaged: the same file was staged to the same bytes, however often.
func (w *world) checkStaged(n *node, records []eventlog.Record) error {
	type staging struct {
		file string
		spec uint64
	}
	first := map[staging]transform.Manifest{}
	for _, r := range records {
		e, ok := r.Event.(*blotterv1.FileTransformed)
		if !ok {
			continue
		}
		s := e.GetStaged()
		m, err := transform.ReadManifest(w.ctx, n.staging, s.GetManifestKey(), s.GetManifestSha256())
		if err != nil {
			return fmt.Errorf("read what was staged of %s: %w", s.GetFileId(), err)
		}
		key := staging{string(m.FileID), m.SpecVersion}
		before, again := first[key]
		if !again {
			first[key] = m
			continue
		}
		if !slices.EqualFunc(before.Rows, m.Rows, sameBytes) || !slices.EqualFunc(before.Deletes, m.Deletes, sameBytes) || before.Counts != m.Counts {
			w.violate("%s: file %s was staged twice, under tokens %d and %d, to different bytes", r.Table, m.FileID, before.Token, m.Token)
		}
	}
	return nil
}

func sameBytes(a, b transform.StagedParquet) bool { return a.SHA256 == b.SHA256 && a.Rows == b.Rows }

// nameFiles gives the objects of a table's files.
func nameFiles(records []eventlog.Record) map[string]dms.Object {
	names := map[string]dms.Object{}
	for _, r := range records {
		if e, ok := r.Event.(*blotterv1.FileAccepted); ok {
			o := e.GetFile().GetObject()
			names[e.GetFile().GetFileId()] = dms.Object{Bucket: o.GetBucket(), Key: o.GetKey(), ETag: o.GetEtag()}
		}
	}
	return names
}

// checkFiles: every file that was delivered has come to an end, and to the right one.
func (w *world) checkFiles(n *node, table dms.TableID, names map[string]dms.Object) error {
	rows, err := n.store.Files(w.ctx, table, nil, maxFiles)
	if err != nil {
		return err
	}
	ended := map[*file]string{}
	for _, row := range rows {
		w.report.Ends[row.State]++
		f := w.history.find(names[string(row.FileID)])
		if f == nil {
			w.violate("%s: the store tells of file %s, which was never delivered", table, row.FileID)
			continue
		}
		if before, twice := ended[f]; twice {
			w.violate("%s: %s is two files, %s and %s", table, f.key, before, row.State)
		}
		ended[f] = row.State
	}
	if held, err := n.hold.Len(w.ctx, table); err != nil || held > 0 {
		w.violate("%s: %d files are left in the hold queue (%v)", table, held, err)
	}
	for f := range w.history.files() {
		want, mine := w.history.end(f, table)
		got, told := ended[f]
		switch {
		case !mine && told:
			w.violate("%s: %s is not a file of this table", table, f.key)
		case mine && !told:
			w.violate("%s: nothing is known of %s", table, f.key)
		case mine && !slices.Contains(want, got):
			w.violate("%s: %s ended as %s, expected %v", table, f.key, got, want)
		}
	}
	return nil
}

// checkRows: the rows are those that the model has, each with the file and the row
// that it came from.
func (w *world) checkRows(n *node, table dms.TableID, names map[string]dms.Object) error {
	if table.IsTransactions() {
		return nil
	}
	set, err := n.lake.Rows(w.ctx, table)
	if err != nil {
		return err
	}
	got, err := readRows(w.ctx, set, names)
	if err != nil {
		return err
	}
	if diff := difference(w.history.expected(w.history.table(table.Table)), got); diff != "" {
		w.violate("%s: the rows differ: %s", table, diff)
	}
	return nil
}

// readRows reads rows as the model spells them, sorted.
func readRows(ctx context.Context, set *lake.RowSet, names map[string]dms.Object) ([]string, error) {
	var out []string
	for r, err := range set.All(ctx) {
		if err != nil {
			return nil, err
		}
		out = append(out, row{
			id: lake.FormatValue(set.Columns[0].Type, r.Values[0]), note: lake.FormatValue(set.Columns[1].Type, r.Values[1]),
			key: names[string(r.File)].Key, number: int(r.Number),
		}.String())
	}
	slices.Sort(out)
	return out, nil
}

// checkSnapshots: every snapshot that a commit made holds the fold of the files that
// were published by then, whole files only.
func (w *world) checkSnapshots(n *node, table dms.TableID, records []eventlog.Record, names map[string]dms.Object) error {
	published := map[string]bool{}
	replace := map[uint64]bool{}
	for _, r := range records {
		switch e := r.Event.(type) {
		case *blotterv1.PublishRequested:
			replace[e.GetToken()] = e.GetMode() == blotterv1.PublishMode_PUBLISH_MODE_REPLACE
		case *blotterv1.FilesPublished:
			w.report.Commits++
			if replace[e.GetToken()] {
				clear(published)
			}
			for _, f := range e.GetFiles() {
				published[f.GetFileId()] = true
			}
			if err := w.checkSnapshot(n, table, e, published, names); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *world) checkSnapshot(n *node, table dms.TableID, e *blotterv1.FilesPublished, published map[string]bool, names map[string]dms.Object) error {
	t := w.history.table(table.Table)
	var files []*file
	for _, id := range slices.Sorted(maps.Keys(published)) {
		if f := w.history.find(names[id]); f != nil {
			files = append(files, f)
		}
	}
	want := fold(t.name, !t.keyless, files)
	if len(want) != int(e.GetTableRows()) {
		w.violate("%s: snapshot %d is said to hold %d rows, its files leave %d", table, e.GetSnapshotId(), e.GetTableRows(), len(want))
	}
	set, err := n.lake.RowsAt(w.ctx, table, e.GetSnapshotId())
	if err != nil {
		return err
	}
	got, err := readRows(w.ctx, set, names)
	if err != nil {
		return err
	}
	w.report.Snapshots++
	if diff := difference(want, got); diff != "" {
		w.violate("%s: the rows of snapshot %d differ: %s", table, e.GetSnapshotId(), diff)
	}
	return nil
}
