package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// schemaView is what `table schema --json` gives. Schemas stand in the order in
// which the table had them.
type schemaView struct {
	Table   dms.TableID          `json:"table"`
	Schemas []lake.SchemaVersion `json:"schemas"`
	// Registered are columns that the lake lacks, or has with a narrower type: it takes
	// them on with the next file.
	Registered []registry.Column `json:"registered,omitempty"`
}

func newTableSchema() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "schema TABLE",
		Short: "A table's columns, and how they came to be",
		Long: `Show the columns of a table in the lake, and every schema that it has had: since
when (UTC), from which snapshot on, and which columns came or changed.

A table takes on what the registration says, and what files bring: a column of a
header that nobody registered (as text), a new column of a Parquet file (in the
file's type), a wider type in a Parquet file. It does so in the commit that
publishes the file; until then what was applied stands at the end. Columns never go:
where files lack one, new rows have null.

  +  a column came        ~  a column became wider, or may be null now
  -  another engine dropped a column

A schema without a snapshot is one in which nothing was written, or whose
snapshots have expired. It works on a running and on a stopped system.`,
		Example: `  blotter table schema rms.reports
  blotter table schema rms.reports --json | jq '.schemas[] | select(.current) | .columns'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := dms.ParseTableID(args[0])
			if err != nil {
				return err
			}
			v := schemaView{Table: id}
			if v.Schemas, err = tableSchemas(cmd.Context(), siteOf(cmd), id); err != nil {
				return err
			}
			if err := v.compare(cmd.Context(), siteOf(cmd)); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), v)
			}
			return v.print(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func tableSchemas(ctx context.Context, at site, id dms.TableID) (list []lake.SchemaVersion, err error) {
	l, closer, err := openLake(ctx, at)
	if errors.Is(err, roles.ErrNoLake) {
		return nil, noRows(ctx, at, id)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closer()) }()
	list, err = l.Schemas(ctx, id)
	if errors.Is(err, lake.ErrNoTable) {
		return nil, noRows(ctx, at, id)
	}
	return list, err
}

// compare finds what is registered beyond what the current schema has.
func (v *schemaView) compare(ctx context.Context, at site) (err error) {
	store, err := readStore(ctx, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	spec, err := control.NewSpecs(store).Spec(ctx, v.Table, 0)
	if err != nil {
		return fmt.Errorf("read the registration of %s: %w", v.Table, err)
	}
	for _, s := range v.Schemas {
		if !s.Current {
			continue
		}
		is := registry.Table{Columns: s.Columns}
		for _, c := range spec.Columns {
			if old, known := is.Column(c.Name); !known || old.Type != c.Type && old.Type.PromotesTo(c.Type) {
				v.Registered = append(v.Registered, c)
			}
		}
	}
	return nil
}

// print shows the current schema, then all of them.
func (v schemaView) print(out io.Writer) error {
	for _, s := range v.Schemas {
		if !s.Current {
			continue
		}
		w := newTableWriter(out, 3)
		w.AppendHeader(table.Row{"column", "type", "field id"})
		for _, c := range s.Columns {
			w.AppendRow(table.Row{c.Name, showType(c), c.ID})
		}
		w.Render()
	}
	for _, s := range v.Schemas {
		if err := printSchema(out, s); err != nil {
			return fmt.Errorf("print the schemas: %w", err)
		}
	}
	if len(v.Registered) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(out, "\nregistered, and in the lake with the next file\n  %s\n", registry.ShowColumns(v.Registered))
	return err
}

func printSchema(out io.Writer, s lake.SchemaVersion) error {
	head := fmt.Sprintf("\nschema %d", s.ID)
	if s.Since != nil {
		head += fmt.Sprintf(", since %s, snapshot %d", s.Since.Format(time.DateTime), s.SnapshotID)
		if s.Token != "" {
			head += ", token " + s.Token
		}
	}
	if s.Current {
		head += " (current)"
	}
	_, err := fmt.Fprintln(out, head)
	line := func(format string, args ...any) {
		_, failed := fmt.Fprintf(out, "  "+format+"\n", args...)
		err = errors.Join(err, failed)
	}
	if len(s.Added)+len(s.Changed)+len(s.Removed) == 0 && !s.Moved {
		line("%s", count(len(s.Columns), "column"))
	}
	for _, c := range s.Added {
		line("+ %s %s", c.Name, showType(c))
	}
	for _, c := range s.Changed {
		line("~ %s %s -> %s %s", c.Was.Name, showType(c.Was), c.Is.Name, showType(c.Is))
	}
	for _, c := range s.Removed {
		line("- %s %s", c.Name, showType(c))
	}
	if s.Moved {
		line("columns in another order")
	}
	return err
}

func showType(c registry.Column) string {
	if c.Required {
		return c.Type.String() + " not null"
	}
	return c.Type.String()
}
