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
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
)

// heldObject is an object that waits for its table to be registered.
type heldObject struct {
	FileID   dms.FileID `json:"file_id"`
	Key      string     `json:"key"`
	Part     string     `json:"part,omitempty"`     // of a transaction file: whose rows wait
	Database string     `json:"database,omitempty"` // of a part: where its table is looked for
	Bytes    int64      `json:"bytes"`
	Modified time.Time  `json:"modified"`
}

func newHeld() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "held",
		Short: "The objects of no registered table",
		Long: `Objects that lie among the data, and whose table is not registered, are held: they
come in as soon as it is. So are the rows of a transaction file whose table is not
registered in the database of that file. Where nobody wants them, ignore them.`,
		Example: `  blotter held list
  blotter held ignore dms/rms/scratch/ --reason "tables of a test"`,
		Args: cobra.NoArgs, RunE: wantsSubcommand,
	}
	cmd.AddCommand(newHeldList(), newHeldIgnore())
	return cmd
}

func newHeldList() *cobra.Command {
	var asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Which objects are held, and what would take them in",
		Example: `  blotter held list
  blotter held list --json | jq -r '.[].key'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if limit < 1 {
				return fmt.Errorf("--limit %d: at least 1", limit)
			}
			store, err := readStore(cmd.Context(), siteOf(cmd))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			held, err := heldObjects(cmd.Context(), store)
			switch {
			case err != nil:
				return err
			case asJSON:
				return printJSON(cmd.OutOrStdout(), held)
			case len(held) == 0:
				fmt.Fprintln(cmd.OutOrStdout(), "no object is held")
				return nil
			}
			printHeld(cmd.OutOrStdout(), held, siteOf(cmd).flags(), limit)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array, of all")
	cmd.Flags().IntVar(&limit, "limit", 20, "how many to list")
	return cmd
}

// heldObjects reads which objects wait for their table.
func heldObjects(ctx context.Context, store control.Objects) ([]heldObject, error) {
	rows, err := store.ObjectsIn(ctx, control.ObjectHeld, maxListed)
	if err != nil {
		return nil, fmt.Errorf("list held objects: %w", err)
	}
	held := make([]heldObject, 0, len(rows))
	for _, row := range rows {
		h := heldObject{FileID: row.FileID, Key: row.Object.Key, Bytes: row.Object.Size, Modified: row.Object.LastModified}
		if !row.Part.IsZero() {
			h.Part = row.Part.String()
			whole, err := store.Object(ctx, row.Part.FileID)
			if err != nil {
				return nil, fmt.Errorf("find the transaction file of %s in %s: %w", row.Part, row.Object.Key, err)
			}
			h.Database = whole.Table.DB
		}
		held = append(held, h)
	}
	return held, nil
}

// name names a held object; of a transaction file the table whose rows wait.
func (h heldObject) name() string {
	if h.Part == "" {
		return h.Key
	}
	return fmt.Sprintf("%s in %s", h.Part, h.Key)
}

func printHeld(out io.Writer, held []heldObject, flags string, limit int) {
	fmt.Fprintf(out, "held, of no registered table: %s\n", count(len(held), "object"))
	w := newTableWriter(out, 2)
	w.AppendHeader(table.Row{"object", "bytes", "modified", "file id"})
	for _, h := range held[:min(len(held), limit)] {
		w.AppendRow(table.Row{h.name(), h.Bytes, longTime(h.Modified), shortID(string(h.FileID))})
	}
	w.Render()
	if len(held) > limit {
		fmt.Fprintln(out, "there are more; --limit N lists more of them")
	}
	printWaysOfHeld(out, held, flags)
}

// printWaysOfHeld says what takes held objects in, and what does away with them.
func printWaysOfHeld(out io.Writer, held []heldObject, flags string) {
	for _, h := range held {
		if h.Part != "" {
			fmt.Fprintf(out, "  rows of a transaction file go to tables of its own database: register %s in database %s, also if another database has it\n",
				h.Part, h.Database)
			break
		}
	}
	fmt.Fprintf(out, "  to take them in: blotter apply -f FILE%s\n", flags)
	fmt.Fprintf(out, "  if nobody wants them: blotter held ignore KEY|FOLDER/|SCHEMA.TABLE --reason WHY%s\n", flags)
}

func newHeldIgnore() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "ignore KEY|FOLDER/|SCHEMA.TABLE --reason WHY",
		Short: "Give up held objects that nobody wants",
		Long: `Ignore held objects: the one of a key, all below a folder (which ends in a slash), or,
of transaction files, the rows of a table. The log has each of them with who and why.
They stay ignored, also when their table is registered later; nothing is deleted.
What arrives afterwards is held again.`,
		Example: `  blotter held ignore dms/rms/scratch/ --reason "tables of a test"
  blotter held ignore rms.audit --reason "not replicated, by order of 4 March"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			c, err := connect(cmd.Context(), siteOf(cmd), false, ingestrouter.ServiceName)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, c.close()) }()
			var done ingestrouter.Dismissed
			err = c.request(cmd.Context(), ingestrouter.DismissSubject, ingestrouter.DismissRequest{
				Actor: operator(), Reason: reason, Objects: args[0],
			}, &done)
			switch {
			case err != nil:
				return err
			case done.Refused != "":
				return errors.New(done.Refused)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s ignored from now on\n", areHeld(int(done.Objects)))
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; it stands in the log")
	return cmd
}

// areHeld gives "1 object is", "2 objects are".
func areHeld(n int) string {
	if n == 1 {
		return "1 object is"
	}
	return fmt.Sprintf("%d objects are", n)
}
