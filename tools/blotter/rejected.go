package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/services/curator"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// rejectedFile is a published file with rows that were set aside.
type rejectedFile struct {
	FileID   dms.FileID `json:"file_id"`
	Key      string     `json:"key"`
	Rejected int64      `json:"rejected"`
	// Mended and Dropped rows came in or were given up; Waiting ones are on their way
	// to either. The others are open.
	Mended  dms.RowSet `json:"mended,omitempty"`
	Dropped dms.RowSet `json:"dropped,omitempty"`
	Waiting dms.RowSet `json:"waiting,omitempty"`
	Ended   time.Time  `json:"published"`
	// Report is the key of the report in the failed bucket.
	Report string `json:"report"`

	// replaced: a newer generation replaced the file, these rows with it.
	replaced bool

	file   *lockmanager.File
	mended []*lockmanager.File // the files with mended rows of it, oldest first
}

func newRejected() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rejected",
		Short: "The rows that were set aside",
		Long: `With on_bad_row: quarantine in its registration, a table takes the good rows of a
file and sets the bad ones aside, each with what is wrong with it: in Parquet
files in the failed folder, beside a report. Export them, mend them, and bring them
in with replay: they come at their own place in the order.

A row that is mended at the source instead comes in with the file that DMS writes then,
as any change. What was set aside stays open all the same, since nothing tells that it is
the same row: give it up with replay --drop.`,
		Example: `  blotter rejected list rms.reports
  blotter rejected export rms.reports --file 1f3a5c7e -o rows.csv
  blotter rejected replay rms.reports rows.csv --file 1f3a5c7e --reason "letters in a fee"`,
		Args: cobra.NoArgs, RunE: wantsSubcommand,
	}
	cmd.AddCommand(newRejectedList(), newRejectedExport(), newRejectedReplay())
	return cmd
}

func newRejectedList() *cobra.Command {
	var id string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list TABLE",
		Short: "Which files have rows that were set aside, and what is wrong with each row",
		Long: `List the published files of a table that have rows which were set aside; with
--file the rows of one: where, what is wrong, what was expected. Files that a full
load has replaced, and their rows with them, are left out. Values are not
shown; ` + "`blotter rejected export`" + ` has the rows themselves.`,
		Example: `  blotter rejected list rms.reports
  blotter rejected list rms.reports --file 1f3a5c7e`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			table, err := dms.ParseTableID(args[0])
			if err != nil {
				return err
			}
			if id != "" {
				f, err := pickRejected(cmd.Context(), siteOf(cmd), table, id)
				if err != nil {
					return err
				}
				return listRejectedRows(cmd.Context(), siteOf(cmd), table, f, asJSON, cmd.OutOrStdout())
			}
			files, all, err := rejectedFiles(cmd.Context(), siteOf(cmd), table)
			if err != nil {
				return err
			}
			if !all {
				fmt.Fprintf(cmd.ErrOrStderr(), "only the newest %d files of %s are looked at; an older one is found by its id: --file ID\n", maxListed, table)
			}
			switch {
			case asJSON:
				return printJSON(cmd.OutOrStdout(), files)
			case len(files) == 0:
				fmt.Fprintf(cmd.OutOrStdout(), "no rows of %s are set aside\n", table)
				return nil
			}
			printRejectedFiles(cmd.OutOrStdout(), files)
			return nil
		},
	}
	cmd.Flags().StringVar(&id, "file", "", "the rows of this file: its id, or the beginning of it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// rejectedFiles reads which files of a table have rows that were set aside, newest
// order first, without those that were replaced. It looks at the newest files; all
// tells that these are all.
func rejectedFiles(ctx context.Context, at site, id dms.TableID) (found []*rejectedFile, all bool, err error) {
	store, err := readStore(ctx, at)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	state, err := readState(ctx, store, id)
	if err != nil {
		return nil, false, err
	}
	files, err := filesIn(ctx, store, id, maxListed, lockmanager.Published, lockmanager.Staged)
	if err != nil {
		return nil, false, err
	}
	found = []*rejectedFile{}
	for _, f := range files {
		r := rejectedOf(state, f)
		if r == nil || r.replaced {
			continue
		}
		if err := r.readMended(ctx, store, id); err != nil {
			return nil, false, err
		}
		found = append(found, r)
	}
	return found, len(files) < maxListed, nil
}

// rejectedOf gives a file of a table by its rows that were set aside; nil if it has none.
func rejectedOf(s *lockmanager.State, f *lockmanager.File) *rejectedFile {
	isOut := f.Status == lockmanager.Published || f.Status == lockmanager.Staged
	if !isOut || f.Counts.GetRejected() == 0 || f.Staged == nil || f.Ended.IsZero() {
		return nil
	}
	return &rejectedFile{
		FileID: f.ID, Key: f.Object.Key, Rejected: f.Counts.GetRejected(), Ended: f.Ended,
		Report: curator.RejectedFolder(s.Table, f.ID, f.Staged.Token) + "/report.json", file: f,
		replaced: replaced(f, s.Generation),
	}
}

// readMended reads what became of the file's rows that were mended or dropped.
func (f *rejectedFile) readMended(ctx context.Context, store control.Store, table dms.TableID) error {
	for _, id := range f.file.Mended {
		row, err := store.File(ctx, table, id)
		if err != nil {
			return fmt.Errorf("read the history of file %s: %w", id, err)
		}
		m, err := lockmanager.DecodeFile(row.Body)
		if err != nil {
			return err
		}
		f.mended = append(f.mended, m)
		switch {
		case !f.file.MendedBy(m):
		case m.Status == lockmanager.Published:
			f.Mended, f.Dropped = f.Mended.With(m.Mending.Rows), f.Dropped.With(m.Mending.Dropped)
		default:
			f.Waiting = f.Waiting.With(m.Mending.Rows).With(m.Mending.Dropped)
		}
	}
	return nil
}

// broughtBy finds the mended file of this name by which rows came in, or are on
// their way; nil if there is none.
func (f *rejectedFile) broughtBy(name string) *lockmanager.File {
	for _, m := range f.mended {
		if strings.HasPrefix(path.Base(m.Object.Key), name) && f.file.MendedBy(m) {
			return m
		}
	}
	return nil
}

// open counts the rows of which nothing has become yet.
func (f *rejectedFile) open() int64 {
	return f.Rejected - f.Mended.Len() - f.Dropped.Len() - f.Waiting.Len()
}

// states gives what became of each row of which something did.
func (f *rejectedFile) states() map[int64]string {
	states := map[int64]string{}
	for state, rows := range map[string]dms.RowSet{"mended": f.Mended, "dropped": f.Dropped, "on its way": f.Waiting} {
		for _, n := range rows.All() {
			states[n] = state
		}
	}
	return states
}

// stateOf gives the state of a row; open if nothing has become of it.
func stateOf(states map[int64]string, row int64) string {
	if s, ok := states[row]; ok {
		return s
	}
	return "open"
}

// maxBegun bounds the files that are looked at for one whose id begins so.
const maxBegun = 1000

// pickRejected finds the one file with rows that were set aside whose id begins so,
// however many files came after it.
func pickRejected(ctx context.Context, at site, table dms.TableID, id string) (_ *rejectedFile, err error) {
	none := fmt.Errorf("--file %q: no published file of this id has rows that were set aside; see `blotter rejected list`", id)
	if id == "" {
		return nil, none
	}
	store, err := readStore(ctx, at)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	state, err := readState(ctx, store, table)
	if err != nil {
		return nil, err
	}
	rows, err := store.FilesByID(ctx, table, id, maxBegun)
	if err != nil {
		return nil, fmt.Errorf("look for file %s: %w", id, err)
	}
	var found []*rejectedFile
	for _, row := range rows {
		f, err := lockmanager.DecodeFile(row.Body)
		if err != nil {
			return nil, err
		}
		if r := rejectedOf(state, f); r != nil {
			found = append(found, r)
		}
	}
	switch {
	case len(rows) == maxBegun:
		return nil, fmt.Errorf("--file %q: %d files or more begin so; give more of the id", id, maxBegun)
	case len(found) == 0:
		return nil, none
	case len(found) > 1:
		return nil, fmt.Errorf("--file %q: %d files begin so; give more of the id", id, len(found))
	case found[0].replaced:
		return nil, fmt.Errorf("--file %q: a full load has replaced this file of generation %d, and the rows that were set aside with it; mend nothing of it",
			id, found[0].file.Generation)
	}
	return found[0], found[0].readMended(ctx, store, table)
}

func printRejectedFiles(out io.Writer, files []*rejectedFile) {
	w := newTableWriter(out, 2, 3, 4, 5, 6)
	w.AppendHeader(table.Row{"file", "set aside", "open", "on its way", "mended", "dropped", "published", "file id"})
	for _, f := range files {
		w.AppendRow(table.Row{path.Base(f.Key), f.Rejected, f.open(), f.Waiting.Len(), f.Mended.Len(), f.Dropped.Len(), shortTime(f.Ended, time.Now()), shortID(string(f.FileID))})
	}
	w.Render()
}

// rejectedRow is what is told of a row that was set aside.
type rejectedRow struct {
	Row      int64  `json:"row"`
	State    string `json:"state"` // open, on its way, mended or dropped
	Code     string `json:"code"`
	Column   string `json:"column,omitempty"`
	Expected string `json:"expected"`
	Message  string `json:"message"`
	Hint     string `json:"hint"`
	Also     string `json:"also,omitempty"`
}

func listRejectedRows(ctx context.Context, at site, id dms.TableID, f *rejectedFile, asJSON bool, out io.Writer) error {
	rows, states := []rejectedRow{}, f.states()
	_, err := eachRejected(ctx, at, id, f, func(_ transform.RejectedHeader, r transform.RejectedRow) error {
		rows = append(rows, rejectedRow{Row: r.Row, State: stateOf(states, r.Row), Code: r.Code, Column: r.Column, Expected: r.Expected, Message: r.Message, Hint: r.Hint, Also: r.Also})
		return nil
	})
	switch {
	case err != nil:
		return err
	case asJSON:
		return printJSON(out, rows)
	}
	w := newTableWriter(out, 1)
	w.AppendHeader(table.Row{"row", "state", "code", "column", "expected"})
	for _, r := range rows {
		expected := r.Expected
		if r.Also != "" {
			expected += "; also " + r.Also
		}
		w.AppendRow(table.Row{r.Row, r.State, r.Code, r.Column, expected})
	}
	w.Render()
	if f.open() == 0 {
		return nil // nothing is left to export
	}
	fmt.Fprintf(out, "the rows themselves: blotter rejected export '%s' --file %s -o rows.csv%s\n", id, shortID(string(f.FileID)), at.flags())
	return nil
}

// eachRejected reads the rejected rows of a file, in order, and gives the header
// of the last of its Parquet files.
func eachRejected(ctx context.Context, at site, id dms.TableID, f *rejectedFile, do func(transform.RejectedHeader, transform.RejectedRow) error) (h transform.RejectedHeader, err error) {
	failed, closer, err := openFailed(ctx, at, true)
	if err != nil {
		return h, err
	}
	defer func() { err = errors.Join(err, closer()) }()
	report, err := readRejectedReport(ctx, failed, f)
	if err != nil {
		return h, err
	}
	for _, object := range report.Rejected {
		err := transform.VerifySHA256(ctx, failed, transform.StagedParquet{Key: object.Key, SHA256: object.SHA256, Bytes: object.Bytes})
		if errors.Is(err, transform.ErrCorrupt) || errors.Is(err, objects.ErrNotFound) {
			return h, fmt.Errorf("the rows that were set aside are not there as they were: %w; `blotter fsck --bytes --repair --reason …` writes them again from what was staged", err)
		}
		if err != nil {
			return h, err
		}
		r, err := transform.OpenRejected(ctx, failed, object.Key)
		if err != nil {
			return h, err
		}
		h = r.Header
		for row, err := range r.Rows(ctx) {
			if err == nil {
				err = do(h, row)
			}
			if err != nil {
				return h, errors.Join(err, r.Close())
			}
		}
		if err := r.Close(); err != nil {
			return h, err
		}
	}
	return h, nil
}

func readRejectedReport(ctx context.Context, failed objects.Bucket, f *rejectedFile) (report curator.RejectedReport, err error) {
	in, err := failed.Open(ctx, f.Report, objects.Version{})
	if err != nil {
		return report, fmt.Errorf("read the report of %s: %w", f.Key, err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if err := json.NewDecoder(in).Decode(&report); err != nil {
		return report, fmt.Errorf("read the report %s: %w", f.Report, err)
	}
	if len(report.Rejected) == 0 || !slices.ContainsFunc(report.Rejected, func(o curator.RejectedObject) bool { return o.Rows > 0 }) {
		return report, fmt.Errorf("the report %s names no rejected rows", f.Report)
	}
	return report, nil
}
