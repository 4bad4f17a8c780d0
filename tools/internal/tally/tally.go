// Package tally counts what the event log tells of: the numbers that progress
// lines and the closing table of a run show.
package tally

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
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
	LoadHeld    string // for what its full load waits for an operator's word, empty if it does not
	Events      int64
}

// TakenIn counts the files that came in.
func (t Table) TakenIn() int64 { return t.Published + t.Split }

// Ended counts the files of which nothing more is to be expected; never more than
// Arrived.
func (t Table) Ended() int64 { return t.TakenIn() + t.Ignored + t.Skipped }

// Tally folds events. It may be fed and read by many goroutines. A file counts that
// arrived while it was fed, or was on its way when it began.
type Tally struct {
	mu     sync.Mutex
	tables map[dms.TableID]*Table
	known  map[dms.FileID]struct{} // files that count
	staged map[dms.FileID]struct{} // of loads, so that a file that is read again counts once
	// skipped are those of the ended that may be taken in after all.
	skipped map[dms.FileID]struct{}
	ended   map[dms.FileID]struct{} // so that one that ends again does: folded in once more, or replaced
}

// New gives an empty tally.
func New() *Tally {
	return &Tally{tables: map[dms.TableID]*Table{}, known: map[dms.FileID]struct{}{}, staged: map[dms.FileID]struct{}{}, ended: map[dms.FileID]struct{}{}, skipped: map[dms.FileID]struct{}{}}
}

// Begin takes in how a table is before the first event that is fed: files that an
// earlier run left on their way, the full load that is under way, and a pause.
func (t *Tally) Begin(s *lockmanager.State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	row := t.table(s.Table)
	row.Rows = s.Rows
	switch {
	case s.Load != nil && s.Load.Sealed:
		row.Phase = "replacing"
	case s.Load != nil:
		row.Phase = "loading"
	}
	if s.Load != nil {
		row.LoadHeld = s.Load.HeldDetail
	}
	if s.Pause != nil {
		row.pause(s.Pause.Detail)
	}
	for id, f := range s.Files {
		switch f.Status {
		case lockmanager.Waiting, lockmanager.Granted, lockmanager.Staged, lockmanager.Quarantined:
			row.Arrived += once(t.known, string(id))
		}
		if f.Status == lockmanager.Staged {
			row.Staged += once(t.staged, string(id))
		}
	}
}

func (t *Tally) table(id dms.TableID) *Table {
	row, ok := t.tables[id]
	if !ok {
		row = &Table{Table: id, Rows: -1, Phase: "streaming"}
		t.tables[id] = row
	}
	return row
}

func (t *Table) pause(why string) {
	if t.Paused = why; why == "" {
		t.Paused = "by an operator"
	}
}

// endsNow is 1 for a file that counts and ends for the first time, else 0.
func (t *Tally) endsNow(id string) int64 {
	if _, counts := t.known[dms.FileID(id)]; !counts {
		return 0 // it ended before, and a replacement takes its rows in again
	}
	return once(t.ended, id)
}

// endsNot is 1 for a file that counts, and was skipped, and is taken in after all.
func (t *Tally) endsNot(id string) int64 {
	if _, skipped := t.skipped[dms.FileID(id)]; !skipped {
		return 0
	}
	delete(t.skipped, dms.FileID(id))
	delete(t.ended, dms.FileID(id))
	return 1
}

// Add folds one event in.
func (t *Tally) Add(table dms.TableID, event proto.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	row := t.table(table)
	row.Events++
	switch e := event.(type) {
	case *blotterv1.FileAccepted:
		row.Arrived += once(t.known, e.GetFile().GetFileId())
		if e.GetFile().GetKind() == blotterv1.FileKind_FILE_KIND_LOAD && !e.GetLate() && row.Phase == "loading" {
			row.LoadHeld = "" // the load is another one
		}
	case *blotterv1.FileRejected:
		switch dms.Reason(e.GetReason()) {
		case dms.ReasonNotDMS, dms.ReasonMisplaced:
			row.Unnamed++
		}
	case *blotterv1.FileIgnored:
		row.Ignored += t.endsNow(e.GetFileId())
	case *blotterv1.FileStaged:
		row.Staged += once(t.staged, e.GetStaged().GetFileId())
	case *blotterv1.TransactionSplit:
		row.Split += t.endsNow(e.GetFile().GetFileId())
	case *blotterv1.FileQuarantined:
		row.Quarantined++
	case *blotterv1.TablePaused:
		row.pause(e.GetDetail())
	case *blotterv1.TableResumed:
		row.Paused = ""
	case *blotterv1.FileSkipped:
		if t.endsNow(e.GetFileId()) == 1 {
			row.Skipped += once(t.skipped, e.GetFileId())
		}
	case *blotterv1.FileRetried:
		row.Skipped -= t.endsNot(e.GetFileId())
		row.Arrived += once(t.known, e.GetFileId())
	case *blotterv1.LoadOpened:
		row.Phase, row.Staged, row.LoadHeld = "loading", 0, ""
	case *blotterv1.LoadReopened:
		row.Phase, row.LoadHeld = "loading", ""
	case *blotterv1.LoadHeld:
		row.LoadHeld = cmp.Or(e.GetDetail(), e.GetReason())
	case *blotterv1.LoadConfirmed:
		row.LoadHeld = ""
	case *blotterv1.LoadSealed:
		row.Phase, row.LoadHeld = "replacing", ""
	case *blotterv1.LoadAbandoned:
		row.Phase, row.LoadHeld = "streaming", ""
	case *blotterv1.FilesPublished:
		t.published(row, e)
	}
}

func (t *Tally) published(row *Table, e *blotterv1.FilesPublished) {
	row.Rows = e.GetTableRows()
	if e.GetStrategy() == "replace" {
		row.Phase, row.LoadHeld = "streaming", ""
	}
	for _, f := range e.GetFiles() {
		if t.endsNow(f.GetFileId()) == 0 {
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
