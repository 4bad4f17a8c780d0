package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// tableLine is how a table is, in short. Its JSON is what `tables --json` gives.
type tableLine struct {
	Table         dms.TableID              `json:"table"`
	Flag          string                   `json:"flag"` // L, G or P
	Phase         string                   `json:"phase"`
	Generation    uint64                   `json:"generation"`
	Token         uint64                   `json:"token"` // the newest one granted
	Lock          *lockmanager.Grant       `json:"lock,omitempty"`
	Pause         *lockmanager.PauseRecord `json:"pause,omitempty"`
	LastProcessed *lockmanager.FileEvent   `json:"last_processed,omitempty"`
	LastFailed    *lockmanager.FileEvent   `json:"last_failed,omitempty"`
	Held          int                      `json:"held"` // files that wait, load files that are read included
	Quarantined   int                      `json:"quarantined"`
	Rows          int64                    `json:"rows"`
	Rejected      int64                    `json:"rejected"` // rows set aside
	// GapCount counts the files that were skipped and that the table lacks still.
	GapCount int `json:"gap_count"`
	// LoadLacksFiles: a full load was opened, and no file of it has come; LoadWaits is
	// since when.
	LoadLacksFiles bool       `json:"load_lacks_files,omitempty"`
	LoadWaits      *time.Time `json:"load_waits_since,omitempty"`

	// LoadHeldFor is why the open load waits for a word of `load complete`; empty: it
	// does not.
	LoadHeldFor string `json:"load_held_for,omitempty"`

	// ProcessedOf is the key of the file whose mended rows were processed last, FailedOf
	// of that whose mended rows failed last; empty where a whole file was.
	ProcessedOf string `json:"last_processed_of,omitempty"`
	FailedOf    string `json:"last_failed_of,omitempty"`

	quiet time.Duration // the quiet period that ends a load
}

func lineOf(s *lockmanager.State) tableLine {
	l := tableLine{
		Table: s.Table, Flag: s.Flag(), Phase: s.Phase(), Generation: s.Generation, Token: s.Token,
		Lock: s.Grant, Pause: s.Pause, LastProcessed: s.LastProcessed, LastFailed: s.LastFailed, Rows: s.Rows, Rejected: s.Rejected,
		LoadLacksFiles: s.LoadLacksFiles(), quiet: s.QuietPeriod,
	}
	if l.LoadLacksFiles {
		l.LoadWaits = &s.Load.LastFile
	}
	if s.Load != nil {
		l.LoadHeldFor = s.Load.HeldReason
	}
	for _, f := range s.Files {
		switch f.Status {
		case lockmanager.Waiting, lockmanager.Staged:
			l.Held++
		case lockmanager.Quarantined:
			l.Quarantined++
		}
	}
	return l
}

func newTables() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tables",
		Short: "How each table is: flag, phase, lock, last files, what is held",
		Long: `Show all tables of a folder, whether a system runs there or not.

  flag            L (Lambda) or G (Glue) transforms it; P: it is paused
  phase           streaming, or loading: a full load is not yet complete
  lock            the token of the transaction that runs, and its files (or
                  maintenance, which needs none)
  last processed  the file that was published last, and when (UTC)
  held            files that wait, for their turn, the end of their load or an
                  operator

What waits for an operator is told below: failures, rows that are set aside, full
loads that are held for somebody's word, change files that wait for a full
load of which nothing has come, and objects of no registered table. So is what a table lacks since files of it were skipped, until they
are written again at the source, or a full load replaces the table.`,
		Example: `  blotter tables
  blotter tables --json | jq '.[] | select(.flag == "P")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			store, err := readStore(cmd.Context(), siteOf(cmd))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			lines, err := tableLines(cmd.Context(), store)
			switch {
			case err != nil:
				return err
			case asJSON:
				return printJSON(cmd.OutOrStdout(), lines)
			}
			held, err := countHeld(cmd.Context(), store, control.ObjectHeld)
			if err != nil {
				return err
			}
			defer printHeldToo(cmd.OutOrStdout(), held, siteOf(cmd))
			if len(lines) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "no table is registered; register some with `blotter apply -f FILE"+siteOf(cmd).flags()+"`")
				return nil
			}
			printTables(cmd.OutOrStdout(), siteOf(cmd), lines, time.Now())
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	return cmd
}

// tableLines reads all tables, by name.
func tableLines(ctx context.Context, store control.Store) ([]tableLine, error) {
	ids, err := store.Tables(ctx)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	lines := []tableLine{}
	for _, id := range ids {
		state, err := readState(ctx, store, id)
		if err != nil {
			return nil, err
		}
		line := lineOf(state)
		gaps, err := gapsOf(ctx, store, state)
		if err != nil {
			return nil, err
		}
		line.GapCount = len(gaps)
		if err := line.findMended(ctx, store); err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// mendedPrefix begins the names of files in which mended rows are kept.
const mendedPrefix = "mended-"

// findMended finds the files that mended rows belong to which came or failed last: an
// operator knows those, and not the files in which the mended rows are kept.
func (l *tableLine) findMended(ctx context.Context, store control.Store) (err error) {
	if l.ProcessedOf, err = mendedOf(ctx, store, l.Table, l.LastProcessed); err != nil {
		return err
	}
	l.FailedOf, err = mendedOf(ctx, store, l.Table, l.LastFailed)
	return err
}

// mendedOf gives the key of the file whose mended rows an event is about; empty if it is
// about a whole file, or what it is about is not known any more.
func mendedOf(ctx context.Context, store control.Store, id dms.TableID, e *lockmanager.FileEvent) (string, error) {
	if e == nil || !strings.HasPrefix(path.Base(e.Key), mendedPrefix) {
		return "", nil
	}
	file := func(id dms.TableID, file dms.FileID) (*lockmanager.File, error) {
		row, err := store.File(ctx, id, file)
		if err != nil {
			return nil, err
		}
		return lockmanager.DecodeFile(row.Body)
	}
	mended, err := file(id, e.FileID)
	if err == nil && mended.Mending.IsZero() {
		return "", nil // DMS names no file like this, but somebody may
	}
	if err == nil {
		mended, err = file(id, mended.Mending.FileID)
	}
	switch {
	case errors.Is(err, control.ErrNotFound):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("find the file that mended rows belong to: %w", err)
	}
	return mended.Object.Key, nil
}

// known names a file as an operator knows it: mended rows by the file of theirs.
func known(key, mendedOf string, name func(string) string) string {
	if mendedOf != "" {
		return name(mendedOf) + " (mended rows)"
	}
	return name(key)
}

// printTables shows the tables in columns, and what failed below them.
func printTables(out io.Writer, at site, lines []tableLine, now time.Time) {
	w := newTableWriter(out, 6, 7)
	w.AppendHeader(table.Row{"table", "flag", "phase", "lock", "last processed", "held", "rows"})
	for _, l := range lines {
		last := "-"
		if l.LastProcessed != nil {
			last = known(l.LastProcessed.Key, l.ProcessedOf, path.Base) + " " + shortTime(l.LastProcessed.Time, now)
		}
		lock := "-"
		if l.Lock != nil {
			lock = fmt.Sprintf("%d: %s", l.Lock.Token, grantOf(l.Lock))
		}
		w.AppendRow(table.Row{l.Table, l.Flag, l.Phase, lock, last, l.Held, l.Rows})
	}
	w.Render()
	for _, l := range lines {
		if l.failedStill() {
			fmt.Fprintf(out, "%s failed last %s with %s: %s\n", l.Table, shortTime(l.LastFailed.Time, now), known(l.LastFailed.Key, l.FailedOf, path.Base), failed(l.LastFailed))
		}
		if l.Rejected > 0 {
			fmt.Fprintf(out, "%s: %s set aside; see: blotter rejected list '%s'%s\n", l.Table, rowsAre(l.Rejected), l.Table, at.flags())
		}
		printGaps(out, l.Table, l.GapCount, at)
		if l.LoadLacksFiles && l.quiet == 0 && l.Held > 0 {
			fmt.Fprintf(out, "%s: %s for a full load of which no file has come; %s\n", l.Table, waitFor(l.Held), l.endOfLoad(at))
		}
		if l.LoadHeldFor != "" {
			fmt.Fprintf(out, "%s: its full load waits for a word (%s); see: blotter table show '%s'%s\n", l.Table, l.LoadHeldFor, l.Table, at.flags())
		}
		if l.Pause != nil {
			fmt.Fprintf(out, "%s is paused (%s); see: blotter table show '%s'%s\n", l.Table, l.Pause.Reason, l.Table, at.flags())
		}
	}
}

// waitFor gives "1 file waits", "2 files wait".
func waitFor(files int) string {
	if files == 1 {
		return "1 file waits"
	}
	return fmt.Sprintf("%d files wait", files)
}

// endOfLoad says how a load ends to which no file comes.
func (l tableLine) endOfLoad(at site) string {
	rule := "no quiet period ends it"
	if cfg, err := at.config(); err == nil {
		wait := cfg.LockManager.LoadWait
		rule = fmt.Sprintf("without one it is given up %s after it was opened", wait)
		if l.quiet > 0 && l.quiet < wait {
			rule = fmt.Sprintf("without one it is given up after the quiet period of %s", l.quiet)
		}
	}
	return fmt.Sprintf("%s, or now by: blotter load complete '%s'%s", rule, l.Table, at.flags())
}

// failedStill reports whether what failed last waits for an operator.
func (l tableLine) failedStill() bool {
	return l.LastFailed != nil && (l.Quarantined > 0 || l.Pause != nil && l.Pause.FileID == l.LastFailed.FileID)
}

// printHeldToo tells below the tables of objects that belong to none.
func printHeldToo(out io.Writer, held heldCount, at site) {
	if held > 0 {
		fmt.Fprintf(out, "%s held, of no registered table; see: blotter held list%s\n", held.are(), at.flags())
	}
}

// grantOf says in short what a transaction is for.
func grantOf(g *lockmanager.Grant) string {
	if g.Maintenance {
		return "maintenance"
	}
	return count(len(g.Files), "file")
}

func failed(e *lockmanager.FileEvent) string {
	if e.Detail == "" {
		return e.Code
	}
	return e.Detail
}

// newTableWriter makes a table in the one style; the numbered columns stand to
// the right.
func newTableWriter(out io.Writer, right ...int) table.Writer {
	w := table.NewWriter()
	w.SetOutputMirror(out)
	w.SetStyle(table.StyleLight)
	w.Style().Format.Header = text.FormatDefault
	w.Style().Format.Footer = text.FormatDefault
	columns := make([]table.ColumnConfig, 0, len(right))
	for _, n := range right {
		columns = append(columns, table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight, AlignFooter: text.AlignRight})
	}
	w.SetColumnConfigs(columns)
	return w
}

// shortTime gives the time of day for today, else the date: in UTC.
func shortTime(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateOnly)
}

// longTime is for records: to the second, in UTC.
func longTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// count gives "1 file", "2 files".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("print as JSON: %w", err)
	}
	return nil
}
