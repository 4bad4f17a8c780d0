package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/transform"
)

// The columns before those of the file in an export.
const (
	exportRow    = "_blotter_row"
	exportReason = "_blotter_reason"
)

func newRejectedExport() *cobra.Command {
	var id, file string
	cmd := &cobra.Command{
		Use:   "export TABLE --file ID",
		Short: "Write the rows that were set aside to a CSV file",
		Long: `Write the rows of a file that were set aside as CSV (RFC 4180, commas): first
` + exportRow + `, the number of the row in its file, and ` + exportReason + `, what is wrong with it;
then the columns of the file, with their names in the first line.

Null is the bare token that is registered (dms.null; nothing at all for Parquet);
in quotes it is text. A row with too many or too few fields is written as it is.
Rows that were mended or dropped, or are on their way, are left out.
The file holds values of rows: keep it as the data themselves are kept.`,
		Example: `  blotter rejected export rms.reports --file 1f3a5c7e -o rows.csv
  blotter rejected export rms.reports --file 1f3a5c7e | head`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			table, err := dms.ParseTableID(args[0])
			if err != nil {
				return err
			}
			f, err := pickRejected(cmd.Context(), siteOf(cmd), table, id)
			if err != nil {
				return err
			}
			if file == "" {
				_, err := exportRejected(cmd.Context(), siteOf(cmd), table, f, cmd.OutOrStdout())
				return err
			}
			n, err := exportTo(cmd.Context(), siteOf(cmd), table, f, file)
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%s written to %s\n", count(n, "row"), file)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&id, "file", "", "the file whose rows they are: its id, or the beginning of it")
	cmd.Flags().StringVarP(&file, "output", "o", "", "where to; it must not be there yet (default: standard output)")
	needsFlag(cmd, "file", "name the file that the rows belong to with --file ID; blotter rejected list TABLE shows the ids")
	return cmd
}

// exportTo writes a new file, which nobody else can read: it holds values.
func exportTo(ctx context.Context, at site, table dms.TableID, f *rejectedFile, name string) (n int, err error) {
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, fmt.Errorf("write the rows: %w", err)
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			err = errors.Join(err, os.Remove(name)) // not half a file
		}
	}()
	return exportRejected(ctx, at, table, f, out)
}

// exportRejected writes the rows and gives how many they are.
func exportRejected(ctx context.Context, at site, table dms.TableID, f *rejectedFile, out io.Writer) (n int, err error) {
	w := &csvRows{out: bufio.NewWriterSize(out, 1<<16)}
	states := f.states()
	_, err = eachRejected(ctx, at, table, f, func(h transform.RejectedHeader, r transform.RejectedRow) error {
		if stateOf(states, r.Row) != "open" {
			return nil
		}
		if n++; n == 1 {
			w.null = h.Null
			exportHeader(w, h)
		}
		return exportLine(w, h, r)
	})
	if err == nil {
		err = w.out.Flush()
	}
	switch {
	case err != nil:
		return n, fmt.Errorf("write the rows: %w", err)
	case n == 0:
		return n, errors.New("no row of this file is open: all were mended or dropped, or are on their way")
	}
	return n, nil
}

func exportHeader(w *csvRows, h transform.RejectedHeader) {
	for _, name := range []string{exportRow, exportReason} {
		w.text([]byte(name))
	}
	for _, c := range h.Columns {
		w.text([]byte(c.Name))
	}
	w.end()
}

func exportLine(w *csvRows, h transform.RejectedHeader, r transform.RejectedRow) error {
	fields, err := h.Fields(r)
	if err != nil {
		return err
	}
	w.text(strconv.AppendInt(nil, r.Row, 10))
	w.text([]byte(reasonOf(r)))
	for _, f := range fields {
		if f.Null {
			w.bare([]byte(h.Null))
		} else {
			w.text(f.Text)
		}
	}
	w.end()
	return w.err
}

// reasonOf says in one line what is wrong with a row.
func reasonOf(r transform.RejectedRow) string {
	s := r.Code
	if r.Column != "" {
		s += " in " + r.Column
	}
	s += ": expected " + r.Expected
	if r.Also != "" {
		s += "; also " + r.Also
	}
	return s
}
