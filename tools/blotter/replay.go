package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/replay"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// replayOptions choose what is replayed, and how it is printed.
type replayOptions struct {
	until      string
	seq        uint64
	limit      int
	json       bool
	rows       bool
	out        string
	showValues bool
	rebuild    bool
}

// replayedTable is what `replay --json` gives for a table.
type replayedTable struct {
	replay.Report
	Equal bool `json:"equal"`
	// State is the table as of then; only with --until or --seq.
	State *tableView `json:"state,omitempty"`
}

// errDiffers ends a replay that did not give the live control state.
var errDiffers = finding(errors.New("the log and the control state do not agree; what differs is listed above"))

const replayHelp = `Fold the events of lock-manager, from the beginning of the log, into the state of
a table or of all tables, and say what differs from the control state.

Without --until and --seq the whole log is folded, and must give the control state
exactly: the command then exits with 0, with 3 if it does not, and with 1 if it could not
look. An event that is missing, or stands there twice, is told with its place in the log.

With --until or --seq the state as of then is shown, and below it what is different
today. Nothing is decided again, and nothing is changed. It works on a running and
on a stopped system.

With --rows the rows are made once more: from the raw versions that the log names, by
the registrations of then and the same transform, and are compared, provenance
included, with the snapshot of that time (the newest without --until and --seq). Told
are the rows that differ, by their keys, with the columns that differ; raw versions
that are gone; and files that are not staged again as the log says. Values of other
columns than the key's are shown with --show-values only: they are personal data. The
exit code is 0 if every row is proven, and 3 if not. --out keeps the rebuilt tables, as Iceberg
tables in a new folder; its disk and the system's folder for temporary files (TMPDIR)
need room for the table's rows.

With --rebuild a control store that was lost is written anew from the log, with the
system stopped; it is refused if the store is there and holds tables, if the log is not
whole, or if a table of the lake is ahead of the log. The hold queue follows. What had
been decided and was not yet said in the log is decided again; after a restart the
system goes on.`

const replayExamples = `  blotter replay                                         # does the log give the control state?
  blotter replay rms.reports
  blotter replay rms.reports --until 2024-03-04T03:12:00Z
  blotter replay rms.reports --seq 4711 --json
  blotter replay --rows                                  # do the files give the rows of the lake?
  blotter replay rms.reports --rows --until 2024-03-04T03:12:00Z --out ./as-of-0312
  blotter replay --rebuild                               # the control store was lost`

func newReplay() *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:     "replay [TABLE]",
		Short:   "Fold the log into the state of a table or of all, and compare with the live state",
		Long:    replayHelp,
		Example: replayExamples,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var only dms.TableID
			var errs []error
			var err error
			if len(args) > 0 {
				only, err = dms.ParseTableID(args[0])
				errs = append(errs, err)
			}
			until, err := parseTime("--until", o.until, time.Now())
			errs = append(errs, err)
			if o.limit < 1 {
				errs = append(errs, fmt.Errorf("--limit %d: at least 1", o.limit))
			}
			if o.rebuild {
				if len(args) > 0 || o.rows || o.until != "" || o.seq > 0 {
					return errors.New("--rebuild writes the whole control store, from the whole log: it goes with no table, time or --rows")
				}
				return rebuildStore(cmd.Context(), siteOf(cmd), o.json, cmd.OutOrStdout())
			}
			if !o.rows && (o.out != "" || o.showValues) {
				errs = append(errs, errors.New("--out and --show-values go with --rows"))
			}
			if err := errors.Join(errs...); err != nil {
				return err
			}
			f := eventlog.Filter{Table: only, Until: until, UntilSeq: o.seq}
			if o.rows {
				return replayRows(cmd.Context(), siteOf(cmd), f, rowsOptions{o.out, o.limit, o.showValues, o.json}, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			return runReplay(cmd.Context(), siteOf(cmd), f, o, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.until, "until", "", "the state as of this time: 2h (ago), 2024-03-04, 2024-03-04T06:00:00Z")
	flags.Uint64Var(&o.seq, "seq", 0, "the state after the event of this sequence in the log")
	flags.IntVar(&o.limit, "limit", 20, "how many files, or rows, to list of each kind")
	flags.BoolVar(&o.json, "json", false, "print one JSON array")
	flags.BoolVar(&o.rows, "rows", false, "rebuild the rows from the raw files, and compare them with the lake")
	flags.StringVar(&o.out, "out", "", "with --rows: keep the rebuilt tables in this new folder")
	flags.BoolVar(&o.rebuild, "rebuild", false, "write a control store that was lost anew, from log and lake")
	flags.BoolVar(&o.showValues, "show-values", false, "with --rows: show the values that differ")
	oneOf(cmd, "until", "seq")
	return cmd
}

func runReplay(ctx context.Context, at site, f eventlog.Filter, o replayOptions, out io.Writer) (err error) {
	c, err := connect(ctx, at, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	store, err := readStore(ctx, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	past := !f.Until.IsZero() || f.UntilSeq > 0
	tables, err := replayTables(ctx, c.log, store, f, past, at, o.limit)
	var missing *eventlog.MissingError
	switch {
	case err != nil && !errors.As(err, &missing):
		return err
	case !f.Table.IsZero() && len(tables) == 1 && tables[0].Events == 0 && (past || tables[0].Equal):
		return fmt.Errorf("the log holds nothing of table %s up to then%s; see `blotter tables%s` for the tables that are known", f.Table, meantBy(ctx, at, f.Table), at.flags())
	case o.json:
		err = printJSON(out, tables)
	default:
		printReplayed(out, tables, past, o.limit)
	}
	if err == nil {
		err = missing.OrNil() // what is there was shown
	}
	if err == nil && !past && slices.ContainsFunc(tables, func(t replayedTable) bool { return !t.Equal }) {
		return errDiffers
	}
	return err
}

// replayTables folds and compares; past tells that f ends before the log does. Tables come
// with an *eventlog.MissingError, too.
func replayTables(ctx context.Context, log *eventlog.Log, store roles.Store, f eventlog.Filter, past bool, at site, limit int) ([]replayedTable, error) {
	var reports []replay.Report
	var err error
	if past {
		reports, err = replay.At(ctx, log, store, f)
	} else {
		reports, err = replay.Check(ctx, log, store, f.Table)
	}
	var missing *eventlog.MissingError
	if err != nil && !errors.As(err, &missing) {
		return nil, err
	}
	tables := make([]replayedTable, len(reports))
	for i, r := range reports {
		tables[i] = replayedTable{Report: r, Equal: r.Equal()}
		if past {
			tables[i].State = viewFolded(ctx, r.Folded().State, at, limit)
		}
	}
	return tables, missing.OrNil()
}

// viewFolded shows a folded state: the history is among its files.
func viewFolded(ctx context.Context, s *lockmanager.State, at site, limit int) *tableView {
	v := viewState(s, at, limit)
	v.findFolders(ctx)
	all := inOrder(s)
	slices.Reverse(all)
	for _, f := range all {
		if f.Status == lockmanager.Skipped && s.InForce(f) && len(v.Gaps) < limit {
			v.Gaps = append(v.Gaps, f)
		}
	}
	v.History = all[:min(len(all), limit)]
	if e := s.LastFailed; e != nil {
		if f, known := s.Files[e.FileID]; known && f.Status != lockmanager.Quarantined {
			v.failedSince = string(f.Status)
		}
	}
	return v
}

func printReplayed(out io.Writer, tables []replayedTable, past bool, limit int) {
	if past {
		for i, t := range tables {
			if i > 0 {
				fmt.Fprintln(out)
			}
			t.printPast(out, limit)
		}
		return
	}
	w := newTableWriter(out, 2, 3, 4)
	w.AppendHeader(table.Row{"table", "events", "files", "last seq", "log and control state"})
	for _, t := range tables {
		w.AppendRow(table.Row{t.Table, t.Events, t.Files, t.Last.Seq, t.verdict()})
	}
	w.Render()
	for _, t := range tables {
		if !t.Equal && !t.Moving {
			fmt.Fprintf(out, "\n%s\n", t.Table)
			t.printDifferences(out)
		}
	}
}

// verdict is the comparison in a word.
func (t replayedTable) verdict() string {
	switch {
	case t.Moving:
		return "it changed each time while it was read: try again"
	case len(t.Breaks) > 0:
		return "the log is broken"
	case !t.Equal:
		return "differ"
	case t.Unpublished > 0:
		return fmt.Sprintf("equal; %s still to be published", count(t.Unpublished, "event"))
	}
	return "equal"
}

func (t replayedTable) printPast(out io.Writer, limit int) {
	t.State.print(out, limit)
	fmt.Fprintf(out, "\nas of event %d of the log, the %s one of this table; ", t.Last.Seq, ordinal(t.Events))
	changes := t.changes()
	if len(changes) == 0 && len(t.Breaks) == 0 {
		fmt.Fprintln(out, "nothing has changed since")
		return
	}
	fmt.Fprintln(out, "since then has changed:")
	for _, b := range t.Breaks {
		fmt.Fprintf(out, "  at %d of the log: %s\n", b.Seq, b.Detail)
	}
	for _, line := range changes[:min(len(changes), limit)] {
		fmt.Fprintln(out, "  "+line)
	}
	if len(changes) > limit || len(t.Differences) == replay.MaxDifferences {
		fmt.Fprintln(out, "  there may be more; --limit N and --json show more of them")
	}
}

// changes tells in short what is different today: the plain facts of the table,
// and how far each file is. --json has all of it.
func (t replayedTable) changes() []string {
	var lines []string
	for _, d := range t.Differences {
		id, field, ofFile := strings.Cut(strings.TrimPrefix(d.What, "file "), ": ")
		switch {
		case !strings.HasPrefix(d.What, "file "):
			lines = append(lines, fmt.Sprintf("%s: %s, now %s", d.What, plainValue(d.Log), plainValue(d.Store)))
		case strings.HasPrefix(d.What, "file ") && (!ofFile || field == "status"):
			lines = append(lines, fmt.Sprintf("file %s: %s, now %s", shortID(id), strings.Trim(d.Log, `"`), strings.Trim(d.Store, `"`)))
		}
	}
	return lines
}

// plainValue is a value in short: what has parts is only said to be there.
func plainValue(value string) string {
	if strings.HasPrefix(value, "{") || strings.HasPrefix(value, "[") {
		return value[:1] + "…" + value[len(value)-1:]
	}
	return strings.Trim(value, `"`)
}

// ordinal gives 1st, 2nd, 3rd, 4th.
func ordinal(n int64) string {
	end := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			end = "st"
		case 2:
			end = "nd"
		case 3:
			end = "rd"
		}
	}
	return fmt.Sprintf("%d%s", n, end)
}

func (t replayedTable) printDifferences(out io.Writer) {
	for _, b := range t.Breaks {
		fmt.Fprintf(out, "  at %d of the log: %s\n", b.Seq, b.Detail)
	}
	for _, d := range t.Differences {
		fmt.Fprintf(out, "  %s: %s by the log, %s in the control store\n", d.What, d.Log, d.Store)
	}
	if len(t.Differences) == replay.MaxDifferences {
		fmt.Fprintln(out, "  there may be more")
	}
}
