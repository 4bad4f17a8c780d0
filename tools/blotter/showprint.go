package main

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// print shows the view to a person; limit is what bounded its lists.
func (v *tableView) print(out io.Writer, limit int) {
	fmt.Fprintln(out, v.Table)
	fact := func(name, format string, args ...any) {
		fmt.Fprintf(out, "  %-15s %s\n", name, fmt.Sprintf(format, args...))
	}
	if v.Pause != nil {
		fact("flag", "P, back to %s when resumed", v.Engine)
		fact("paused", "since %s (%s)%s", longTime(v.Pause.Since), v.Pause.Reason, prefixed(" ", v.Pause.Detail))
		if f := v.LastFailed; f != nil && f.Code == wire.FailureSetBack && f.Time.Equal(v.Pause.Since) {
			fact("to go on", "put the catalog back as new as it was, or have DMS load the table anew, then: blotter resume '%s'%s", v.Table, v.at.flags())
			fact("", "or, for a table without either: blotter resume '%s' --accept-loss%s", v.Table, v.at.flags())
		}
	} else {
		fact("flag", "%s", v.Flag)
	}
	fact("phase", "%s, generation %d", v.Phase, v.Generation)
	fact("lock", "%s", v.lock())
	fact("rows", "%d", v.Rows)
	if v.Rejected > 0 {
		fact("set aside", "%s set aside; see: blotter rejected list '%s'%s", rowsAre(v.Rejected), v.Table, v.at.flags())
	}
	fact("registration", "version %d, sha256 %.12s", v.SpecVersion, v.SpecSHA256)
	if v.QuietPeriod != "0s" {
		fact("quiet period", "%s", v.QuietPeriod)
	}
	fact("last processed", "%s", lastFile(v.LastProcessed, v.ProcessedOf))
	fact("last failed", "%s", lastFile(v.LastFailed, v.FailedOf)+prefixed("; now ", v.failedSince))
	if !v.Table.IsTransactions() {
		fact("maintenance", "%s", v.maintenance())
	}
	v.printLoad(out, limit)
	v.printQuarantined(out)
	v.printFiles(out, "granted", len(v.Granted), v.Granted)
	v.printFiles(out, "waiting, lowest first", max(v.waiting, len(v.WaitingFiles)), v.WaitingFiles)
	v.printFiles(out, "gaps: files that were skipped", v.GapCount, v.Gaps)
	if len(v.Gaps) > 0 {
		fmt.Fprintf(out, "if one was skipped by mistake: blotter unskip '%s' FILE%s\n", v.Table, v.at.flags())
	}
	v.printFiles(out, "files, newest first", len(v.History), v.History)
	if len(v.History) == limit {
		fmt.Fprintln(out, "there may be more; --limit N lists more of them")
	}
}

func (v *tableView) lock() string {
	g := v.Lock
	if g == nil {
		return fmt.Sprintf("free; the newest token is %d", v.Token)
	}
	s := fmt.Sprintf("token %d for %s until %s", g.Token, grantOf(g), longTime(g.Deadline))
	switch {
	case g.Fencing != "":
		s += ", being fenced: " + g.Fencing
	case g.Maintenance:
	case g.Publishing && g.Replace:
		s += ", replacing the table"
	case g.Publishing:
		s += ", publishing"
	default:
		s += ", transforming"
	}
	return s
}

func lastFile(e *lockmanager.FileEvent, mendedOf string) string {
	if e == nil {
		return "-"
	}
	s := longTime(e.Time) + " " + known(e.Key, mendedOf, func(key string) string { return key })
	if e.Code != "" {
		s += " (" + e.Code + ")"
	}
	return s
}

func (v *tableView) printLoad(out io.Writer, limit int) {
	l := v.Load
	if l == nil {
		return
	}
	state := "open: it takes load files until it is sealed"
	switch {
	case l.HeldReason != "":
		state = fmt.Sprintf("held (%s): %s\n%s", l.HeldReason, l.HeldDetail, strings.Join(goOnWithLoad(l, v.Table, v.at.flags()), "\n"))
	case l.Sealed:
		state = fmt.Sprintf("sealed as generation %d with %s", l.Generation, count(len(l.Files), "file"))
	case v.LoadLacksFiles:
		state = "open, and no file of it has come: " + v.endOfLoad(v.at)
	}
	fmt.Fprintf(out, "\nfull load, since %s, %s\n", longTime(l.Opened), state)
	v.printFiles(out, "files of the load", len(v.LoadFiles), v.LoadFiles)
	if len(v.LoadFiles) == limit {
		fmt.Fprintln(out, "there may be more; --limit N lists more of them")
	}
}

// goOnWithLoad gives the ways to go on with a load that is held.
func goOnWithLoad(l *lockmanager.Load, id dms.TableID, flags string) []string {
	way := func(when, flag string) string {
		return fmt.Sprintf("%s: blotter load complete '%s' %s%s", when, id, flag, flags)
	}
	no := fmt.Sprintf("to refuse the load, and keep the table as it is: blotter load ignore '%s'%s", id, flags)
	switch l.HeldReason {
	case lockmanager.HeldDivided: // it is the load in force, whose rows are in the table
		return []string{way("if that is right", "--confirm")}
	case lockmanager.HeldOlder:
		return []string{way("to leave them out", "--without-older"), way("if they belong to this load", "--confirm"), no}
	case lockmanager.HeldPart:
		return []string{way("to put it into the load that it was given up from", "--mended"), way("if it is the whole of a load", "--confirm"), no}
	}
	return []string{way("if that is right", "--confirm"), no}
}

func (v *tableView) printQuarantined(out io.Writer) {
	for _, q := range v.QuarantinedFiles {
		fmt.Fprintf(out, "\nquarantined: %s\n", fullName(q.File))
		printFailure(out, q.Failure)
		switch {
		case q.Folder == "":
		case q.Copied:
			fmt.Fprintf(out, "  %-10s %s\n", "copy", q.Folder+"/…/"+path.Base(q.Object.Key)+", report.json beside it")
		default:
			fmt.Fprintf(out, "  %-10s %s\n", "report", q.Folder+"/…/report.json; there is no copy of the object: the report says why")
		}
		for i, command := range q.Resume {
			name := ""
			if i == 0 {
				name = "go on"
			}
			fmt.Fprintf(out, "  %-10s %s\n", name, command)
		}
	}
}

// printFailure shows all that a report tells.
func printFailure(out io.Writer, f *blotterv1.Failure) {
	fact := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "  %-10s %s\n", name, value)
		}
	}
	fact("what", f.GetMessage())
	fact("code", f.GetCode())
	var where []string
	if f.GetRow() > 0 {
		where = append(where, fmt.Sprintf("row %d", f.GetRow()))
	}
	if f.GetColumn() != "" {
		where = append(where, "column "+f.GetColumn())
	}
	if f.GetRowsFailed() > 1 {
		where = append(where, fmt.Sprintf("%d rows fail like this", f.GetRowsFailed()))
	}
	fact("where", strings.Join(where, ", "))
	fact("expected", f.GetExpected())
	fact("hint", f.GetHint())
}

// printFiles lists files with their counts under a title; total may be more than
// are listed.
func (v *tableView) printFiles(out io.Writer, title string, total int, files []*lockmanager.File) {
	if len(files) == 0 {
		return
	}
	if total > len(files) {
		title += fmt.Sprintf(" (%d of %d)", len(files), total)
	}
	fmt.Fprintf(out, "\n%s\n", title)
	w := newTableWriter(out, 3, 4, 5, 6, 9, 10, 11)
	// Hardly a table has bad rows set aside, or ties: then nothing is said of them.
	some := func(count func(*blotterv1.RowCounts) int64) bool {
		return slices.ContainsFunc(files, func(f *lockmanager.File) bool { return count(f.Counts) > 0 })
	}
	setAside, ties := some((*blotterv1.RowCounts).GetRejected), some((*blotterv1.RowCounts).GetAmbiguousTies)
	blind := some((*blotterv1.RowCounts).GetNoBeforeImage)
	header := table.Row{"file", "state", "rows", "deletes", "repeated", "older", "ended", "file id"}
	if setAside {
		header = append(header, "set aside")
	}
	if ties {
		header = append(header, "ties")
	}
	if blind {
		header = append(header, "no before-image")
	}
	// Nor is a generation of use before one has replaced another.
	byGeneration := slices.ContainsFunc(files, func(f *lockmanager.File) bool { return replaced(f, v.Generation) })
	if byGeneration {
		header = append(header, "generation")
	}
	w.AppendHeader(header)
	again := writtenAgain(files)
	for _, f := range files {
		row := fileRow(f)
		if again[f.ID] {
			row[1] = fmt.Sprint(row[1], ", written again")
		}
		if replaced(f, v.Generation) {
			row[1] = fmt.Sprintf("%s: replaced after generation %d", f.Status, f.Generation)
		}
		if setAside {
			row = append(row, f.Counts.GetRejected())
		}
		if ties {
			row = append(row, f.Counts.GetAmbiguousTies())
		}
		if blind {
			row = append(row, f.Counts.GetNoBeforeImage())
		}
		if byGeneration {
			row = append(row, generationOf(f))
		}
		w.AppendRow(row)
	}
	w.Render()
	explainFiles(out, ties, len(again) > 0, blind)
}

// explainFiles says what is meant by what is rare.
func explainFiles(out io.Writer, ties, again, blind bool) {
	if ties {
		fmt.Fprint(out, "ties: changes of one key whose time or number is the same; the later one in the files counts,\n"+
			"which need not be the later one at the source: have DMS write dms.change_seq_column\n")
	}
	if again {
		fmt.Fprint(out, "written again: an earlier version of the object was there and is a file of its own; where both were\n"+
			"published, a table without a primary key has the rows of both: write elsewhere and rename, so that no file\n"+
			"is taken half\n")
	}
	if blind {
		fmt.Fprint(out, "no before-image: updates whose file lacks the columns of dms.before_image_prefix; if one of them changed\n"+
			"its key, the row under the old key is still there: see the rule with before-images in the task\n")
	}
}

// writtenAgain finds the change files whose object was there before with other
// content: DMS does not do that, but who copies a file while it is being written does.
func writtenAgain(files []*lockmanager.File) map[dms.FileID]bool {
	first := map[string]*lockmanager.File{}
	again := map[dms.FileID]bool{}
	for _, f := range files {
		if f.Kind != dms.KindChange || !f.Part.IsZero() || !f.Mending.IsZero() {
			continue
		}
		known := first[f.Object.Key]
		switch {
		case known == nil:
			first[f.Object.Key] = f
		case known.Object.LastModified.After(f.Object.LastModified):
			first[f.Object.Key], again[known.ID] = f, true
		default:
			again[f.ID] = true
		}
	}
	return again
}

// generationOf is empty for a file that belongs to none.
func generationOf(f *lockmanager.File) string {
	if f.Generation == 0 && f.Status != lockmanager.Published {
		return ""
	}
	return fmt.Sprint(f.Generation)
}

// replaced reports whether a file was published and is in the table no more: a file
// whose rows a replacement takes in again is of its generation from then on.
func replaced(f *lockmanager.File, inForce uint64) bool {
	return f.Status == lockmanager.Published && f.Generation != inForce
}

func fileRow(f *lockmanager.File) table.Row {
	row := table.Row{fileName(f), status(f), "", "", "", "", "", shortID(string(f.ID))}
	c := f.Counts
	if c == nil && f.Staged != nil {
		c = f.Staged.Counts
	}
	if c != nil {
		row[2], row[3], row[4], row[5] = c.GetRowsRead(), c.GetDeletes(), c.GetDuplicatesDropped(), c.GetSuperseded()
	}
	if !f.Ended.IsZero() {
		row[6] = shortTime(f.Ended, time.Now())
	}
	return row
}

// fullName is the key of a file, and of a part whose rows of it are meant.
func fullName(f *lockmanager.File) string {
	if f.Part.IsZero() {
		return f.Object.Key
	}
	return fmt.Sprintf("%s (its rows of %s)", f.Object.Key, f.Part)
}

// fileName is the name of a file, with the folder where that says more.
func fileName(f *lockmanager.File) string {
	if f.Kind == dms.KindTransaction {
		return f.Object.Key
	}
	if !f.Part.IsZero() {
		return fmt.Sprintf("%s (%s)", path.Base(f.Object.Key), f.Part)
	}
	return path.Base(f.Object.Key)
}

func status(f *lockmanager.File) string {
	s := string(f.Status)
	switch {
	case f.Reason != "":
		s += ": " + f.Reason
	case f.Status == lockmanager.Split:
		s += ": " + count(len(f.Parts), "table")
	case f.Late && f.Status == lockmanager.Waiting:
		s += ": late"
	case f.Held && f.Status == lockmanager.Waiting:
		s = "held"
	}
	return s
}

// shortID is enough of a file's id to name it; commands take the beginning of an id.
func shortID(id string) string {
	if len(id) > 8 {
		return id[:8]
	}
	return id
}
