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
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/tools/internal/explain"
)

const explainHelp = `Tell the life of one row: each row of each file that changed its key, in the order of
their positions, with the operation, when it was committed at the source (as far as the
files tell), when it was published, under which token and in which snapshot, and what
came of it:

  holds        it is what the table has
  removed      it removed the row
  overtaken    a later change took its place
  late         a later change was published before it came, so that it changed nothing
  replaced     a full load replaced the table since
  superseded   its load was never published, since a newer one took its place
  unpublished  its file waits, or is quarantined or skipped

The key is given as COLUMN=VALUE for each column of the primary key, or as the plain
values in its order, written as in a CSV file of the table, after -- where one begins
with a minus. Files are ruled out by the keys that their staged output has; the others
are read again. Where a raw version is gone, its staged output tells the last change of
the row in it. The lake is asked, too: the exit code is 3 if it does not hold what the
files give, or has lost the table, and 1 if it could not look. Rows that cannot be taken, and files that cannot be read, are told: the row
may be in them.

Values of the row are shown with --show-values only: they are personal data. It works
on a running and on a stopped system, and changes nothing.`

func newExplain() *cobra.Command {
	var asJSON, showValues bool
	cmd := &cobra.Command{
		Use:   "explain TABLE KEY...",
		Short: "The life of one row: every change of it, and what came of each",
		Long:  explainHelp,
		Example: `  blotter explain rms.reports 4711
  blotter explain rms.reports id=4711 --show-values
  blotter explain rms.charges report_id=4711 line=2
  blotter explain rms.reports -- -7
  blotter explain rms.reports 4711 --json | jq '.touches[] | select(.fate == "late")'`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := dms.ParseTableID(args[0])
			if err != nil {
				return err
			}
			q := explain.Query{Table: id, ShowValues: showValues, Key: keyOf(args[1:])}
			life, err := explainRow(cmd.Context(), siteOf(cmd), q)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), life)
			} else {
				printLife(cmd.OutOrStdout(), life, args[1:])
			}
			if err == nil {
				err = judged(life)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&showValues, "show-values", false, "show the values of each change")
	return cmd
}

// judged is the error of a life that the lake contradicts, or that could not be held to it.
func judged(l *explain.Life) error {
	again := fmt.Sprintf("`blotter replay '%s' --rows` compares every row", l.Table)
	switch {
	case l.Lost != "":
		return finding(fmt.Errorf("the lake cannot be asked: %s; `blotter fsck` tells what to do", l.Lost))
	case l.Unknown || l.Agrees:
		return nil
	case !l.Whole():
		return fmt.Errorf("the lake does not hold what the files give, of which not all could be read; %s", again)
	}
	return finding(fmt.Errorf("the lake does not hold what the files give; %s", again))
}

// keyOf reads a key from arguments: COLUMN=VALUE, or values in the order of the key.
func keyOf(args []string) func([]string, func([]string) ([]byte, error)) ([]byte, error) {
	return func(columns []string, parse func([]string) ([]byte, error)) ([]byte, error) {
		if len(columns) == 0 {
			return nil, errors.New("the table has no primary key, so that every row of every file is a row of its own; " +
				"`blotter cat --provenance` shows where each came from")
		}
		values := make([]string, len(columns))
		given := make([]bool, len(columns))
		named, other := 0, ""
		for _, arg := range args {
			name, value, ok := strings.Cut(arg, "=")
			at := slices.IndexFunc(columns, func(c string) bool { return registry.FoldName(c) == registry.FoldName(name) })
			switch {
			case ok && at >= 0:
				values[at], given[at] = value, true
				named++
			case ok:
				other = name
			}
		}
		if named == 0 {
			values = args
		} else if other != "" {
			return nil, fmt.Errorf("%s is no column of the primary key, which is %s", other, strings.Join(columns, ", "))
		} else if named != len(args) || len(args) != len(columns) {
			return nil, fmt.Errorf("the primary key is %s: give each of its columns once, as COLUMN=VALUE, or the plain values in this order", strings.Join(columns, ", "))
		} else {
			for i := range columns {
				if !given[i] {
					return nil, fmt.Errorf("the key lacks column %s", columns[i])
				}
			}
		}
		key, err := parse(values)
		if err != nil && named == 0 && other != "" { // it may also have been a value with a sign of equality in it
			return nil, fmt.Errorf("%s is no column of the primary key, which is %s", other, strings.Join(columns, ", "))
		}
		if err != nil {
			return nil, fmt.Errorf("the key: %w; the primary key is %s", err, strings.Join(columns, ", "))
		}
		return key, nil
	}
}

func explainRow(ctx context.Context, at site, q explain.Query) (life *explain.Life, err error) {
	c, stores, closer, err := openAudit(ctx, at)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closer()) }()
	life, err = explain.Explain(ctx, explain.Deps{
		Log: c.log, Raw: stores.Raw, Staging: stores.Staging, Failed: stores.Failed, Lake: stores.Lake, Transform: transform.DefaultConfig(),
	}, q)
	if errors.Is(err, explain.ErrUnknown) {
		return nil, fmt.Errorf("table %s is not registered here%s; see `blotter tables%s`", q.Table, meantBy(ctx, at, q.Table), at.flags())
	}
	return life, err
}

func printLife(out io.Writer, l *explain.Life, key []string) {
	fmt.Fprintf(out, "%s %s: %s\n", l.Table, strings.Join(key, " "), lifeVerdict(l))
	fmt.Fprintf(out, "%s known, %d ruled out by the range of their keys, %d by their keys, %d read\n", count(l.Files, "file"), l.ByRange, l.ByKey, l.Scanned)
	if l.SetAside > 0 {
		fmt.Fprintf(out, "%s of these files could not be taken as they came: `blotter rejected list '%s'` tells what became of each\n", count(int(l.SetAside), "row"), l.Table)
	}
	for _, u := range l.Unread {
		fmt.Fprintf(out, "not read: %s (file %s, %s): %s", u.Key, shortID(string(u.FileID)), u.Status, u.Reason)
		if u.Staged {
			fmt.Fprint(out, "; its staged output tells the last change of the row in it")
		}
		fmt.Fprintln(out)
	}
	for _, u := range l.Untold {
		fmt.Fprintf(out, "%s of %s (file %s, %s) cannot be taken, and nobody can tell whose: see `blotter table show '%s'`\n",
			count(int(u.Rows), "row"), u.Key, shortID(string(u.FileID)), u.Status, l.Table)
	}
	if len(l.Touches) == 0 {
		return
	}
	fmt.Fprintln(out)
	w := newTableWriter(out, 2, 6, 7)
	w.AppendHeader(table.Row{"file", "row", "op", "committed", "published", "token", "snapshot", "what came of it"})
	for _, t := range l.Touches {
		w.AppendRow(table.Row{
			shortID(string(t.FileID)), t.Row, t.Op, timeOrNone(t.Committed), timeOrNone(t.Published), noneIfZero(t.Token), noneIfZero(t.Snapshot), fateWords(t),
		})
	}
	w.Render()
	fmt.Fprintln(out)
	seen := map[dms.FileID]bool{}
	for _, t := range l.Touches {
		if !seen[t.FileID] {
			seen[t.FileID] = true
			fmt.Fprintf(out, "  file %s is %s", shortID(string(t.FileID)), t.Key)
			if t.MendedOf != "" {
				fmt.Fprintf(out, ": rows of file %s that an operator mended", shortID(string(t.MendedOf)))
			}
			fmt.Fprintln(out)
		}
	}
	for _, t := range l.Touches {
		if len(t.ShownValues()) == 0 {
			continue
		}
		var values []string
		for _, v := range t.ShownValues() {
			values = append(values, v.Column+"="+shownValue(v.Text))
		}
		fmt.Fprintf(out, "  row %d of file %s: %s\n", t.Row, shortID(string(t.FileID)), strings.Join(values, ", "))
	}
}

// lifeVerdict tells how the row is now.
func lifeVerdict(l *explain.Life) string {
	where := make([]string, len(l.Lake))
	for i, p := range l.Lake {
		where[i] = fmt.Sprintf("row %d of file %s", p.Row, shortID(string(p.FileID)))
	}
	switch {
	case l.Lost != "":
		return "what the lake holds cannot be told; by the files it had to be as is told below"
	case l.Unknown:
		return "what the lake holds cannot be told: the newest snapshot that the log knows is not there"
	case !l.Agrees && len(l.Lake) == 0:
		return "the lake has no such row, although the files give one"
	case !l.Agrees:
		return "the lake has " + strings.Join(where, " and ") + ", which is not what the files give"
	case len(l.Lake) == 0 && len(l.Touches) == 0 && !l.Whole():
		return "no row that can be read has this key; it may be among those that are told below"
	case len(l.Lake) == 0 && len(l.Touches) == 0:
		return "no file has such a row"
	case len(l.Lake) == 0:
		return "the table has no such row now"
	}
	return "the table has " + where[0]
}

func fateWords(t *explain.Touch) string {
	if t.By == "" {
		return t.Fate
	}
	switch t.Fate {
	case explain.Replaced, explain.Overtaken, explain.Late:
		row, file, ok := strings.Cut(t.By, " of file ")
		if ok {
			return t.Fate + ": by " + row + " of file " + shortID(file)
		}
		return t.Fate + ": by " + t.By
	}
	return t.Fate + ": " + t.By
}

func timeOrNone(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return longTime(t)
}

func noneIfZero[T int64 | uint64](n T) any {
	if n == 0 {
		return ""
	}
	return n
}
