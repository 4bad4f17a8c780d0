package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/cases"
)

// maxFiles is more than any test has.
const maxFiles = 10_000

// readLog gives all events.
func readLog(t *testing.T, log *eventlog.Log) []eventlog.Record {
	t.Helper()
	var records []eventlog.Record
	for r, err := range log.Read(t.Context(), eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

// checkEvents: the log holds each event once, and lock-manager's in the order of
// its decisions.
func checkEvents(t *testing.T, records []eventlog.Record) {
	t.Helper()
	if len(records) == 0 {
		t.Fatal("the log is empty")
	}
	seen := map[string]uint64{}
	type place struct {
		version uint64
		index   uint32
	}
	last := map[dms.TableID]place{}
	for _, r := range records {
		id := r.Envelope.GetId()
		if at, twice := seen[id]; twice {
			t.Errorf("event %s stands in the log at %d and at %d", id, at, r.Seq)
		}
		seen[id] = r.Seq
		if r.Service != lockmanager.ServiceName {
			continue
		}
		now, before := place{r.Envelope.GetVersion(), r.Envelope.GetIndex()}, last[r.Table]
		next := now.version == before.version+1 && now.index == 0 || now.version == before.version && now.index == before.index+1
		if !next {
			t.Errorf("%s: version %d.%d follows %d.%d at %d", r.Table, now.version, now.index, before.version, before.index, r.Seq)
		}
		last[r.Table] = now
	}
}

// checkFolds: the fold of lock-manager's events is the stored state of a table
// and of each of its files.
func checkFolds(t *testing.T, records []eventlog.Record, store control.Store, table dms.TableID) {
	t.Helper()
	state := lockmanager.NewState(table)
	for _, r := range records {
		if r.Table == table && r.Service == lockmanager.ServiceName {
			state.Evolve(r.Envelope.GetTime().AsTime(), r.Event)
		}
	}
	item, err := store.Table(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	folded, err := state.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(folded, item.State) {
		t.Errorf("%s: the events fold to\n%s\nthe stored state is\n%s", table, folded, item.State)
	}
	if len(item.Outbox) > 0 {
		t.Errorf("%s: %d events are unsaid", table, len(item.Outbox))
	}
	rows, err := store.Files(t.Context(), table, nil, maxFiles)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(state.Files) {
		t.Errorf("%s: the events tell of %d files, the store of %d", table, len(state.Files), len(rows))
	}
	for _, row := range rows {
		f := state.Files[row.FileID]
		body, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if f == nil || !bytes.Equal(body, row.Body) {
			t.Errorf("%s: the events fold to\n%s\nthe stored file is\n%s", table, body, row.Body)
			continue
		}
		if row.State != string(f.Status) || row.Live != state.Live(f) {
			t.Errorf("%s: file %s is stored as %s (live %t), the events say %s (live %t)",
				table, row.FileID, row.State, row.Live, f.Status, state.Live(f))
		}
	}
}

// publishedFiles counts by key how many files ended as published.
func publishedFiles(records []eventlog.Record) map[string]int {
	keys := map[string]string{}
	ended := map[string]bool{}
	for _, r := range records {
		switch e := r.Event.(type) {
		case *blotterv1.FileAccepted:
			keys[e.GetFile().GetFileId()] = e.GetFile().GetObject().GetKey()
		case *blotterv1.LockReleased:
			for _, f := range e.GetFiles() {
				ended[f.GetFileId()] = true
			}
		}
	}
	counts := map[string]int{}
	for id := range ended {
		counts[keys[id]]++
	}
	return counts
}

// compareRows reads a table back and compares it.
func compareRows(t *testing.T, l *lake.Lake, spec registry.Table, want cases.Rows) *cases.Diff {
	t.Helper()
	set, err := l.Rows(t.Context(), spec.ID)
	if err != nil {
		t.Fatal(err)
	}
	var got cases.Rows
	for _, c := range set.Columns {
		got.Columns = append(got.Columns, c.Name)
	}
	got.Seq = func(yield func([]cases.Cell, error) bool) {
		for row, err := range set.All(t.Context()) {
			cells := make([]cases.Cell, 0, len(row.Values))
			for i, v := range row.Values {
				cells = append(cells, cases.Cell{Null: v.IsNull(), Text: lake.FormatValue(set.Columns[i].Type, v)})
			}
			if !yield(cells, err) {
				return
			}
		}
	}
	diff, err := cases.Compare(cases.Spec{PrimaryKey: spec.PrimaryKey, Columns: spec.Columns}, want, got)
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", spec.ID, err))
	}
	slices.Sort(diff.Examples)
	return diff
}
