// Package tally counts what the event log tells of: the numbers that progress
// lines and the closing table of a run show.
package tally

import (
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Table holds the numbers of one table.
type Table struct {
	Table       dms.TableID
	Arrived     int64 // data files known
	Staged      int64 // load files that wait for their load's replacement
	Published   int64 // files whose rows are visible
	Split       int64 // transaction files whose parts go their tables' ways
	Ignored     int64 // files that ended without rows: superseded, refused
	Unnamed     int64 // objects in the table's folder that have no name of a data file
	Skipped     int64 // quarantined files that an operator went on without
	Quarantined int64 // failures so far, those resumed since included
	RowsIn      int64 // rows of the published files
	Rejected    int64 // rows of the published files that were set aside
	Duplicates  int64 // rows that a newer row of the same key overtook
	Rows        int64 // rows of the table after its last commit; -1: no commit yet
	Phase       string
	Paused      string // why, empty if it is not
	Events      int64
}

// Ended counts the files of which nothing more is to be expected.
func (t Table) Ended() int64 { return t.Published + t.Split + t.Ignored + t.Skipped }

// Tally folds events. It may be fed and read by many goroutines.
type Tally struct {
	mu     sync.Mutex
	tables map[dms.TableID]*Table
	staged map[dms.FileID]struct{} // of loads, so that a file that is read again counts once
	ended  map[dms.FileID]struct{} // so that one that ends again does: folded in once more, or replaced
}

// New gives an empty tally.
func New() *Tally {
	return &Tally{tables: map[dms.TableID]*Table{}, staged: map[dms.FileID]struct{}{}, ended: map[dms.FileID]struct{}{}}
}

// Add folds one event in.
func (t *Tally) Add(table dms.TableID, event proto.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	row, ok := t.tables[table]
	if !ok {
		row = &Table{Table: table, Rows: -1, Phase: "streaming"}
		t.tables[table] = row
	}
	row.Events++
	switch e := event.(type) {
	case *blotterv1.FileAccepted:
		row.Arrived++
	case *blotterv1.FileRejected:
		switch dms.Reason(e.GetReason()) {
		case dms.ReasonNotDMS, dms.ReasonMisplaced:
			row.Unnamed++
		}
	case *blotterv1.FileIgnored:
		row.Ignored += once(t.ended, e.GetFileId())
	case *blotterv1.FileStaged:
		row.Staged += once(t.staged, e.GetStaged().GetFileId())
	case *blotterv1.TransactionSplit:
		row.Split += once(t.ended, e.GetFile().GetFileId())
	case *blotterv1.FileQuarantined:
		row.Quarantined++
	case *blotterv1.TablePaused:
		row.Paused = e.GetDetail()
		if row.Paused == "" {
			row.Paused = "by an operator"
		}
	case *blotterv1.TableResumed:
		row.Paused = ""
	case *blotterv1.FileSkipped:
		row.Skipped += once(t.ended, e.GetFileId())
	case *blotterv1.LoadOpened:
		row.Phase, row.Staged = "loading", 0
	case *blotterv1.LoadReopened:
		row.Phase = "loading"
	case *blotterv1.LoadSealed:
		row.Phase = "replacing"
	case *blotterv1.LoadAbandoned:
		row.Phase = "streaming"
	case *blotterv1.FilesPublished:
		t.published(row, e)
	}
}

func (t *Tally) published(row *Table, e *blotterv1.FilesPublished) {
	row.Rows = e.GetTableRows()
	if e.GetStrategy() == "replace" {
		row.Phase = "streaming"
	}
	for _, f := range e.GetFiles() {
		if once(t.ended, f.GetFileId()) == 0 {
			continue
		}
		row.Published++
		row.RowsIn += f.GetCounts().GetRowsRead()
		row.Rejected += f.GetCounts().GetRejected()
		row.Duplicates += f.GetCounts().GetDuplicatesDropped() + f.GetCounts().GetSuperseded()
	}
}

// once counts a file that is not in the set yet, and puts it there.
func once(set map[dms.FileID]struct{}, id string) int64 {
	if _, again := set[dms.FileID(id)]; again {
		return 0
	}
	set[dms.FileID(id)] = struct{}{}
	return 1
}

// Tables gives a copy of all numbers, by table name.
func (t *Tally) Tables() []Table {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Table, 0, len(t.tables))
	for _, row := range t.tables {
		out = append(out, *row)
	}
	slices.SortFunc(out, func(a, b Table) int { return strings.Compare(a.Table.String(), b.Table.String()) })
	return out
}
