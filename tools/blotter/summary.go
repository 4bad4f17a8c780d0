package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/transform"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/tally"
)

// maxListed bounds the files that are counted and named for a person.
const maxListed = 100_000

// maxNamed bounds the held objects that are named one by one.
const maxNamed = 5

// outcome is how one table stands at the end of a run.
type outcome struct {
	tally.Table
	rows        int64
	rejected    int64 // rows set aside that wait for an operator
	quarantined []*lockmanager.File
	held        int // files that wait, as `tables` counts them
	granted     int
	gaps        int // files that were skipped and that the table lacks still
	pause       *lockmanager.PauseRecord
	load        *lockmanager.Load
}

// summary is how all tables stand, and what the run did.
type summary struct {
	tables []outcome
	held   heldCount    // objects whose table is not registered
	named  []heldObject // some of them
	hints  []string     // how some may come in
	at     site
}

// summarize joins what the tally counted with what the control store holds.
func summarize(ctx context.Context, store interface {
	control.Store
	control.Objects
}, t *tally.Tally) (*summary, error) {
	counted := map[dms.TableID]tally.Table{}
	for _, row := range t.Tables() {
		counted[row.Table] = row
	}
	ids, err := store.Tables(ctx)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	s := &summary{}
	for _, id := range ids {
		state, err := readState(ctx, store, id)
		if err != nil {
			return nil, err
		}
		o := outcome{Table: counted[id], rows: state.Rows, rejected: state.Rejected, pause: state.Pause, load: state.Load}
		o.Table.Table = id
		for _, f := range state.Files {
			switch f.Status {
			case lockmanager.Quarantined:
				o.quarantined = append(o.quarantined, f)
			case lockmanager.Waiting, lockmanager.Staged:
				o.held++
			case lockmanager.Granted:
				o.granted++
			}
		}
		gaps, err := gapsOf(ctx, store, state)
		if err != nil {
			return nil, err
		}
		o.gaps = len(gaps)
		s.tables = append(s.tables, o)
	}
	if s.held, err = countHeld(ctx, store, control.ObjectHeld); err != nil {
		return nil, err
	}
	if s.named, err = heldObjects(ctx, store, control.ObjectHeld, maxNamed); err != nil {
		return nil, err
	}
	s.hints, err = elsewhere(ctx, store, s.named)
	return s, err
}

// readState loads a table's state with its live files.
func readState(ctx context.Context, store control.Store, id dms.TableID) (*lockmanager.State, error) {
	item, err := store.Table(ctx, id)
	if errors.Is(err, control.ErrNotFound) {
		return nil, unknownTable(ctx, store, id)
	}
	if err != nil {
		return nil, fmt.Errorf("read the state of %s: %w", id, err)
	}
	state, err := lockmanager.DecodeState(item.State)
	if err != nil {
		return nil, err
	}
	rows, err := store.LiveFiles(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read the files of %s: %w", id, err)
	}
	return state, state.AddRows(rows...)
}

// unsettled reports whether an operator is needed.
func (s *summary) unsettled() bool {
	for _, o := range s.tables {
		if len(o.quarantined) > 0 || o.held+o.granted > 0 || o.rejected > 0 || o.pause != nil || o.load != nil {
			return true
		}
	}
	return s.held > 0
}

func (s *summary) print(out io.Writer, took time.Duration) {
	w := newTableWriter(out, 2, 3, 4, 5, 6, 7, 8)
	w.AppendHeader(table.Row{"table", "files", "rows in", "rows now", "duplicates removed", "rows set aside", "quarantined", "held"})
	var total outcome
	for _, o := range s.tables {
		w.AppendRow(table.Row{o.Table.Table, o.Published + o.Split, o.RowsIn, o.rows, o.Duplicates, o.rejected, len(o.quarantined), o.held})
		total.Published += o.Published + o.Split
		total.RowsIn += o.RowsIn
		total.rows += o.rows
		total.Duplicates += o.Duplicates
		total.rejected += o.rejected
		total.quarantined = append(total.quarantined, o.quarantined...)
		total.held += o.held
	}
	w.AppendFooter(table.Row{
		fmt.Sprintf("%s in %s", count(len(s.tables), "table"), took.Round(10*time.Millisecond)),
		total.Published, total.RowsIn, total.rows, total.Duplicates, total.rejected, len(total.quarantined), total.held,
	})
	w.Render()
	s.printOpen(out)
}

// printOpen says what is left for an operator, and how to go on.
func (s *summary) printOpen(out io.Writer) {
	dir := s.at.flags()
	for _, o := range s.tables {
		id := o.Table.Table
		for _, f := range o.quarantined {
			fmt.Fprintf(out, "\n%s: %s is quarantined and its table paused:\n  %s\n  go on with: blotter resume '%s' %s%s\n",
				id, fullName(f), failureText(f), id, waysToResume(f), dir)
		}
		if o.pause != nil && len(o.quarantined) == 0 {
			fmt.Fprintf(out, "\n%s is paused (%s)%s\n  see: blotter table show '%s'%s\n", id, o.pause.Reason, prefixed(": ", o.pause.Detail), id, dir)
		}
		if o.rejected > 0 {
			fmt.Fprintf(out, "\n%s: %s set aside; what else was in their files is published\n  see them: blotter rejected list '%s'%s\n",
				id, rowsAre(o.rejected), id, dir)
		}
		if o.gaps > 0 {
			fmt.Fprintln(out)
			printGaps(out, id, o.gaps, s.at)
		}
		if o.Unnamed > 0 {
			fmt.Fprintf(out, "\n%s: %s passed over in its folder: by their names no data files of DMS, or of a kind that does not belong there\n  see: blotter log '%s' --event FileRejected%s\n",
				id, objectsWere(o.Unnamed), id, dir)
		}
		if o.load != nil && o.load.HeldReason != "" {
			fmt.Fprintf(out, "\n%s: its full load is held: %s\n  %s\n",
				id, o.load.HeldDetail, strings.Join(goOnWithLoad(o.load, id, dir), "\n  "))
		}
	}
	if s.held > 0 {
		fmt.Fprintf(out, "\nheld, of no registered table: %s\n", s.held)
		for _, h := range s.named {
			fmt.Fprintf(out, "  %s\n", h.name())
		}
		if int(s.held) > len(s.named) {
			fmt.Fprintf(out, "  and more; see: blotter held list%s\n", dir)
		}
		printWaysOfHeld(out, s.named, s.hints, int(s.held) > len(s.named), dir)
	}
}

// waysToResume gives the flags by which a table goes on behind a file: nothing comes of
// reading one again that is another by now.
func waysToResume(f *lockmanager.File) string {
	if f.Failure.GetCode() == transform.CodeObjectChanged {
		return "--skip"
	}
	return "--retry|--skip"
}

// rowsAre gives "1 row is", "2 rows are".
func rowsAre(n int64) string {
	if n == 1 {
		return "1 row is"
	}
	return fmt.Sprintf("%d rows are", n)
}

// objectsWere gives "1 object was", "2 objects were".
func objectsWere(n int64) string {
	if n == 1 {
		return "1 object was"
	}
	return fmt.Sprintf("%d objects were", n)
}

// failureText gives a failure for a person: what and where, then what is expected
// and what to do, each in a line.
func failureText(f *lockmanager.File) string {
	s := f.Failure.GetMessage()
	// Who reads a file says the place himself where it is narrower than a column.
	if row := f.Failure.GetRow(); row > 0 && !strings.Contains(s, fmt.Sprintf("(row %d,", row)) {
		s += fmt.Sprintf(" (row %d", row)
		if c := f.Failure.GetColumn(); c != "" {
			s += ", column " + c
		}
		s += ")"
	}
	if n := f.Failure.GetRowsFailed(); n > 1 {
		s += fmt.Sprintf("; %d rows fail like this", n)
	}
	for _, more := range []string{prefixed("expected ", f.Failure.GetExpected()), f.Failure.GetHint()} {
		if more != "" {
			s += "\n  " + more
		}
	}
	return s
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}
