package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/tools/internal/roles"
)

func newCat() *cobra.Command {
	var null string
	var provenance bool
	cmd := &cobra.Command{
		Use:   "cat TABLE",
		Short: "Print a table's rows as CSV",
		Long: `Print the rows of a table as CSV (RFC 4180, lines end in a line feed) with a
header: columns in the order of the schema, rows sorted by primary key; without
a primary key, file by file.

Null is the bare token of --null. A text that equals the token stands in quotes,
so that the two can be told apart: with --null '' null is nothing at all and an
empty text is "". Decimals have their scale, timestamps six decimals, those with
a time zone are in UTC; binary is hexadecimal.

It reads the newest snapshot; what a running system commits meanwhile changes
nothing.`,
		Example: `  blotter cat rms.reports > reports.csv
  blotter cat rms.reports --null '' --provenance | head
  blotter cat rms.reports --dir /var/lib/blotter`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := dms.ParseTableID(args[0])
			if err != nil {
				return err
			}
			if strings.ContainsAny(null, "\",\r\n") {
				return fmt.Errorf("--null %q: the token may hold no comma, quote or line end", null)
			}
			return catTable(cmd.Context(), siteOf(cmd), id, csvOptions{null: null, provenance: provenance}, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&null, "null", `\N`, "what stands for null")
	cmd.Flags().BoolVar(&provenance, "provenance", false, "add _blotter_file, _blotter_row and _blotter_position")
	return cmd
}

// catTable prints the rows of one table of the folder.
func catTable(ctx context.Context, at site, id dms.TableID, o csvOptions, out io.Writer) (err error) {
	l, closer, err := openLake(ctx, at)
	if errors.Is(err, roles.ErrNoLake) {
		return noRows(ctx, at, id)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	set, err := l.Rows(ctx, id)
	if errors.Is(err, lake.ErrNoTable) {
		return noRows(ctx, at, id)
	}
	if err != nil {
		return err
	}
	return writeCSV(ctx, set, o, out)
}

// noRows says why a table cannot be read: nothing was published yet, or nobody
// knows it.
func noRows(ctx context.Context, at site, id dms.TableID) (err error) {
	store, err := readStore(ctx, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	state, err := readState(ctx, store, id)
	if err != nil {
		return err
	}
	if state.Rows > 0 {
		return fmt.Errorf("the lake has no table %s, although %s of it are published: it was dropped, or --catalog and --lake are not those of the system; "+
			"`blotter fsck '%s'%s` tells more", id, count(int(state.Rows), "row"), id, at.flags())
	}
	return fmt.Errorf("nothing of %s is published yet; see `blotter table show '%s'%s`", id, id, at.flags())
}

// csvOptions say how rows are written.
type csvOptions struct {
	null       string
	provenance bool
}

// writeCSV streams rows; memory holds one row, and what the lake reads ahead.
func writeCSV(ctx context.Context, set *lake.RowSet, o csvOptions, out io.Writer) error {
	w := &csvRows{out: bufio.NewWriterSize(out, 1<<16), null: o.null}
	for _, c := range set.Columns {
		w.text([]byte(c.Name))
	}
	if o.provenance {
		for _, name := range []string{registry.ColumnFile, registry.ColumnRow, registry.ColumnPosition} {
			w.text([]byte(name))
		}
	}
	w.end()
	for row, err := range set.All(ctx) {
		if err != nil {
			return err
		}
		for i, v := range row.Values {
			if v.IsNull() {
				w.bare([]byte(o.null))
				continue
			}
			w.value = lake.AppendValue(w.value[:0], set.Columns[i].Type, v)
			w.text(w.value)
		}
		if o.provenance {
			w.text(append(w.value[:0], row.File...))
			w.text(strconv.AppendInt(w.value[:0], row.Number, 10))
			w.text(append(w.value[:0], row.Position...))
		}
		w.end()
		if w.err != nil {
			return fmt.Errorf("write rows: %w", w.err)
		}
	}
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return nil
}

// csvRows writes fields; err is the first error.
type csvRows struct {
	out   *bufio.Writer
	null  string
	value []byte
	begun bool
	err   error
}

func (w *csvRows) bare(field []byte) {
	if w.begun {
		w.put([]byte{','})
	}
	w.begun = true
	w.put(field)
}

// text writes a field that is not null, in quotes where it would be misread.
func (w *csvRows) text(field []byte) {
	if string(field) != w.null && !bytes.ContainsAny(field, "\",\r\n") {
		w.bare(field)
		return
	}
	w.bare([]byte{'"'})
	for {
		i := bytes.IndexByte(field, '"')
		if i < 0 {
			break
		}
		w.put(field[:i+1])
		w.put([]byte{'"'})
		field = field[i+1:]
	}
	w.put(field)
	w.put([]byte{'"'})
}

func (w *csvRows) end() {
	w.put([]byte{'\n'})
	w.begun = false
}

func (w *csvRows) put(b []byte) {
	if w.err == nil {
		_, w.err = w.out.Write(b)
	}
}
