package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// filesView is what `table files --json` gives.
type filesView struct {
	Table dms.TableID `json:"table"`
	lake.Contents
}

func newTableFiles() *cobra.Command {
	var asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use:   "files TABLE",
		Short: "What a table consists of in the lake, and what maintenance is due",
		Long: `Show what a table consists of in the lake: its data files, the position deletes
that hide rows of them, its manifests and snapshots, the deletes that are
remembered, and what lies in its folders without belonging to anything. No key and
no other value of a row is shown.

  deleted    rows of the file that delete files hide
  overlaps   how many other files may hold keys of the same range

Maintenance merges and removes in short steps, by itself; what is due stands at the
end, what was done in ` + "`blotter log TABLE --event TableMaintained`" + `. It works on a
running and on a stopped system.`,
		Example: `  blotter table files rms.reports
  blotter table files rms.reports --json | jq '.due, .orphans'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := dms.ParseTableID(args[0])
			if err != nil {
				return err
			}
			if limit < 1 {
				return fmt.Errorf("--limit %d: at least 1", limit)
			}
			v := filesView{Table: id}
			if v.Contents, err = tableContents(cmd.Context(), siteOf(cmd), id); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), v)
			}
			v.print(cmd.OutOrStdout(), limit, time.Now())
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, with all files")
	cmd.Flags().IntVar(&limit, "limit", 20, "how many files and snapshots to list of each kind")
	return cmd
}

func tableContents(ctx context.Context, at site, id dms.TableID) (c lake.Contents, err error) {
	l, closer, err := openLake(ctx, at)
	if errors.Is(err, roles.ErrNoLake) {
		return c, noRows(ctx, at, id)
	}
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, closer()) }()
	c, err = l.Contents(ctx, id)
	if errors.Is(err, lake.ErrNoTable) {
		return c, noRows(ctx, at, id)
	}
	return c, err
}

// print shows the view to a person.
func (v filesView) print(out io.Writer, limit int, now time.Time) {
	fmt.Fprintf(out, "%s: %s, %s in %s and %s\n", v.Table, count(int(v.Rows), "row"), byteSize(v.Bytes),
		count(len(v.DataFiles), "data file"), count(len(v.Deletes), "delete file"))
	list := newLister(out, limit)
	list.print("data files, lowest keys first", len(v.DataFiles), table.Row{"file", "rows", "deleted", "delete files", "overlaps", "bytes"}, func(i int) table.Row {
		f := v.DataFiles[i]
		return table.Row{path.Base(f.Path), f.Rows, f.Deleted, f.DeleteFiles, f.Overlaps, byteSize(f.Bytes)}
	})
	list.print("delete files", len(v.Deletes), table.Row{"file", "rows", "data files", "bytes"}, func(i int) table.Row {
		f := v.Deletes[i]
		return table.Row{path.Base(f.Path), f.Rows, f.DataFiles, byteSize(f.Bytes)}
	})
	list.print("remembered deletes", len(v.Tombstones), table.Row{"file", "rows", "bytes"}, func(i int) table.Row {
		f := v.Tombstones[i]
		return table.Row{path.Base(f.Path), f.Rows, byteSize(f.Bytes)}
	})
	list.print("manifests of data files", len(v.Manifests), table.Row{"manifest", "files", "bytes"}, func(i int) table.Row {
		m := v.Manifests[i]
		return table.Row{path.Base(m.Path), m.Files, byteSize(m.Bytes)}
	})
	list.print("snapshots, newest first", len(v.Snapshots), table.Row{"snapshot", "strategy", "token", "made"}, func(i int) table.Row {
		s := v.Snapshots[len(v.Snapshots)-1-i]
		return table.Row{s.ID, s.Strategy, s.Token, shortTime(s.Time, now)}
	})
	fmt.Fprintf(out, "\n%s of the metadata\n", count(v.MetadataFiles, "version"))
	o := v.Orphans
	fmt.Fprintf(out, "in no snapshot: %s (%s) old enough to go, %s too young\n", count(int(o.Old), "object"), byteSize(o.OldBytes), count(int(o.Young), "object"))
	v.printDue(out)
}

func (v filesView) printDue(out io.Writer) {
	switch {
	case len(v.Due) > 0:
		fmt.Fprintln(out, "maintenance that is due, the first step first:")
		for _, d := range v.Due {
			fmt.Fprintf(out, "  %-10s %s\n", d.Step, d.Reason)
		}
	case v.Next.IsZero():
		fmt.Fprintln(out, "no maintenance is due")
	default:
		fmt.Fprintf(out, "no maintenance is due; by age there will be after %s\n", longTime(v.Next))
	}
}

// lister prints lists that are cut at a limit.
type lister struct {
	out   io.Writer
	limit int
}

func newLister(out io.Writer, limit int) lister { return lister{out, limit} }

// print lists n things under a title, columns but the first to the right.
func (l lister) print(title string, n int, header table.Row, row func(i int) table.Row) {
	if n == 0 {
		return
	}
	if n > l.limit {
		title += fmt.Sprintf(" (%d of %d)", l.limit, n)
	}
	fmt.Fprintf(l.out, "\n%s\n", title)
	var right []int
	for i := 2; i <= len(header); i++ {
		right = append(right, i)
	}
	w := newTableWriter(l.out, right...)
	w.AppendHeader(header)
	for i := range min(n, l.limit) {
		w.AppendRow(row(i))
	}
	w.Render()
}
