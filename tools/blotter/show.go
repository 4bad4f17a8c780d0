package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/services/curator"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// tableView is all that is known of a table. Its JSON is what `table show
// --json` gives.
type tableView struct {
	tableLine
	SpecVersion uint64            `json:"spec_version"`
	SpecSHA256  string            `json:"spec_sha256"`
	Engine      string            `json:"engine"` // the flag once it is not paused
	QuietPeriod string            `json:"quiet_period"`
	Load        *lockmanager.Load `json:"load,omitempty"`
	// Maintenance is how far the upkeep of the table in the lake is.
	Maintenance lockmanager.Maintenance `json:"maintenance"`
	// LoadFiles are those of the load that is under way, Granted those of the
	// transaction, WaitingFiles those that wait, lowest first, at most the limit.
	LoadFiles        []*lockmanager.File `json:"load_files,omitempty"`
	Granted          []*lockmanager.File `json:"granted,omitempty"`
	WaitingFiles     []*lockmanager.File `json:"waiting,omitempty"`
	QuarantinedFiles []quarantined       `json:"quarantined_files,omitempty"`
	// Gaps are the files that an operator skipped and that the table lacks still.
	Gaps []*lockmanager.File `json:"gaps,omitempty"`
	// History are the files of the table, newest order first, at most the limit.
	History []*lockmanager.File `json:"history,omitempty"`

	at          site
	waiting     int    // of which WaitingFiles are the lowest
	failedSince string // what became of the file that failed last
}

// quarantined is a file that waits for an operator, and what to do.
type quarantined struct {
	*lockmanager.File
	Folder string   `json:"folder,omitempty"` // of the report and the copy; empty if not written yet
	Copied bool     `json:"copied"`           // the copy is there, too: else the object was gone, or could not be read
	Resume []string `json:"resume"`
}

func newTable() *cobra.Command {
	cmd := &cobra.Command{
		Use: "table", Short: "Look at one table, or have it maintained",
		Example: `  blotter table show rms.reports
  blotter table schema rms.reports
  blotter table maintain rms.reports`,
		Args: cobra.NoArgs, RunE: wantsSubcommand,
	}
	cmd.AddCommand(newTableShow())
	return cmd
}

func newTableShow() *cobra.Command {
	var asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use:   "show TABLE",
		Short: "All that is known of a table: state, load, files, failures and gaps",
		Long: `Show the registration in force, the state of a table, its load, the files that
wait (lowest first), what is quarantined with its whole report and how to go on,
the gaps that skipped files left, and its newest files with their counts. It works
on a running and on a stopped system.

Of a file's rows, repeated are those that a later change of the same key in the file
overtook, older those whose key had a later change in the table already.`,
		Example: `  blotter table show rms.reports
  blotter table show rms.reports --limit 1000 --json | jq .history`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			id, err := dms.ParseTableID(args[0])
			if err != nil {
				return err
			}
			if limit < 1 {
				return fmt.Errorf("--limit %d: at least 1", limit)
			}
			store, err := readStore(cmd.Context(), siteOf(cmd))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			v, err := viewTable(cmd.Context(), store, siteOf(cmd), id, limit)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), v)
			}
			v.print(cmd.OutOrStdout(), limit)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().IntVar(&limit, "limit", 20, "how many files to list of each kind")
	return cmd
}

// viewTable collects what is known of a table.
func viewTable(ctx context.Context, store control.Store, at site, id dms.TableID, limit int) (*tableView, error) {
	s, err := readState(ctx, store, id)
	if err != nil {
		return nil, err
	}
	v := viewState(s, at, limit)
	v.findFolders(ctx)
	if v.Gaps, err = gapsOf(ctx, store, s); err != nil {
		return nil, err
	}
	v.GapCount = len(v.Gaps)
	v.Gaps = v.Gaps[:min(len(v.Gaps), limit)]
	if err := v.findMended(ctx, store); err != nil {
		return nil, err
	}
	if v.failedSince, err = becameOf(ctx, store, id, s.LastFailed); err != nil {
		return nil, err
	}
	v.History, err = filesIn(ctx, store, id, limit)
	return v, err
}

// becameOf tells what became of the file that failed last; empty while it waits.
func becameOf(ctx context.Context, store control.Store, id dms.TableID, e *lockmanager.FileEvent) (string, error) {
	if e == nil || e.FileID == "" {
		return "", nil
	}
	row, err := store.File(ctx, id, e.FileID)
	if errors.Is(err, control.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the history of file %s: %w", e.FileID, err)
	}
	if row.State == string(lockmanager.Quarantined) {
		return "", nil
	}
	return row.State, nil
}

// viewState shows a state without the history of its files.
func viewState(s *lockmanager.State, at site, limit int) *tableView {
	id := s.Table
	v := &tableView{
		tableLine: lineOf(s), SpecVersion: s.SpecVersion, SpecSHA256: s.SpecSHA256,
		Engine: engineFlag(s), QuietPeriod: s.QuietPeriod.String(), Load: s.Load, Maintenance: s.Maintenance, at: at,
	}
	for _, f := range inOrder(s) {
		switch {
		case !s.Live(f):
		case f.Status == lockmanager.Quarantined:
			v.QuarantinedFiles = append(v.QuarantinedFiles, quarantined{File: f, Resume: resumeCommands(at, id, f.Failure.GetCode())})
		case f.Status == lockmanager.Granted:
			v.Granted = append(v.Granted, f)
		case s.Load != nil && f.Kind == dms.KindLoad && f.Status != lockmanager.Published:
			v.LoadFiles = append(v.LoadFiles, f)
		case f.Status == lockmanager.Waiting:
			if v.waiting++; v.waiting <= limit {
				v.WaitingFiles = append(v.WaitingFiles, f)
			}
		}
	}
	v.LoadFiles = v.LoadFiles[:min(len(v.LoadFiles), limit)]
	return v
}

// inOrder gives the live files of a table, lowest first.
func inOrder(s *lockmanager.State) []*lockmanager.File {
	files := make([]*lockmanager.File, 0, len(s.Files))
	for _, f := range s.Files {
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b *lockmanager.File) int {
		if c := strings.Compare(string(a.Order), string(b.Order)); c != 0 {
			return c
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	return files
}

// filesIn reads the history of files, newest order first; without a status all.
func filesIn(ctx context.Context, store control.Store, id dms.TableID, limit int, statuses ...lockmanager.Status) ([]*lockmanager.File, error) {
	var names []string
	for _, s := range statuses {
		names = append(names, string(s))
	}
	rows, err := store.Files(ctx, id, names, limit)
	if err != nil {
		return nil, fmt.Errorf("read the files of %s: %w", id, err)
	}
	files := make([]*lockmanager.File, 0, len(rows))
	for _, row := range rows {
		f, err := lockmanager.DecodeFile(row.Body)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// engineFlag is the flag that a table has when it is not paused.
func engineFlag(s *lockmanager.State) string {
	running := *s
	running.Pause = nil
	return running.Flag()
}

// findFolders says of each quarantined file where its copy and report lie, if they do
// yet.
func (v *tableView) findFolders(ctx context.Context) {
	if len(v.QuarantinedFiles) == 0 {
		return
	}
	if err := v.lookForFolders(ctx); err != nil { // all else is of use without them
		newLogger(false).WarnContext(ctx, "look for the copies of quarantined files", "error", err)
	}
}

func (v *tableView) lookForFolders(ctx context.Context) (err error) {
	cfg, err := v.at.config()
	if err != nil {
		return err
	}
	failed, closer, err := openFailed(ctx, v.at, true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was ever set aside
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	for i, f := range v.QuarantinedFiles {
		kept, copied, err := keptOf(ctx, failed, v.Table, f.File)
		if err != nil {
			return err
		}
		if kept {
			v.QuarantinedFiles[i].Folder = cfg.Where("failed", curator.QuarantineFolder(v.Table, f.ID))
		}
		v.QuarantinedFiles[i].Copied = copied != ""
	}
	return nil
}

// keptOf tells whether anything is kept of a file in the failed bucket, and gives the key
// of the newest copy of its object; empty if there is none.
func keptOf(ctx context.Context, failed objects.Bucket, table dms.TableID, f *lockmanager.File) (kept bool, copied string, err error) {
	if !f.Mending.IsZero() {
		copied = f.Object.Key // it lies there from the beginning
	}
	for info, err := range failed.List(ctx, curator.QuarantineFolder(table, f.ID)+"/") {
		if err != nil {
			return false, "", fmt.Errorf("look for what is kept of file %s: %w", f.ID, err)
		}
		kept = true
		if path.Base(info.Key) == path.Base(f.Object.Key) {
			copied = info.Key
		}
	}
	return kept, copied, nil
}

// resumeCommands are the ways to go on after a quarantined file, the likeliest first.
func resumeCommands(at site, id dms.TableID, code string) []string {
	retry := func(why string) string {
		return fmt.Sprintf("blotter resume '%s' --retry%s   # %s", id, at.flags(), why)
	}
	skip := func(why string) string {
		return fmt.Sprintf("blotter resume '%s' --skip%s    # %s", id, at.flags(), why)
	}
	switch code {
	case transform.CodeObjectChanged:
		return []string{skip("the version that is there now is a file of its own, and comes by itself"),
			retry("once the version that failed is put back")}
	case transform.CodeObjectGone:
		return []string{retry("once the object is put back"), skip("go on without it; the gap stays visible, `blotter unskip` closes it")}
	}
	return []string{retry("read this same file again, once its registration is mended"),
		skip("go on without it; the gap stays visible, `blotter unskip` closes it")}
}
