package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// heldObject is an object that waits for its table to be registered, or waits no more
// since an operator gave it up.
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
registered in the database of that file. Where nobody wants them, ignore them; that
can be taken back.`,
		Example: `  blotter held list
  blotter held ignore dms/rms/scratch/ --reason "tables of a test"
  blotter held take-back dms/rms/scratch/ --reason "the test is asked for"`,
		Args: cobra.NoArgs, RunE: wantsSubcommand,
	}
	cmd.AddCommand(newHeldList(), newHeldIgnore(), newHeldTakeBack())
	return cmd
}

func newHeldList() *cobra.Command {
	var asJSON, ignored bool
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Which objects are held, and what would take them in",
		Long: `List held objects, oldest first: of a transaction file the table whose rows wait, and
the database in which it is looked for. Where they lie in the folder of a registered
table, but below another prefix, that is told: source.prefix is wrong then.

With --ignored list those that an operator has given up; the log tells who and why
(blotter log ` + dms.RawTable.String() + ` --event ObjectIgnored).`,
		Example: `  blotter held list
  blotter held list --ignored
  blotter held list --json | jq -r '.[].key'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if limit < 1 {
				return fmt.Errorf("--limit %d: at least 1", limit)
			}
			if asJSON && !cmd.Flags().Changed("limit") {
				limit = maxListed
			}
			state, what := control.ObjectHeld, "held"
			if ignored {
				state, what = control.ObjectDismissed, "ignored"
			}
			store, err := readStore(cmd.Context(), siteOf(cmd))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			held, err := heldObjects(cmd.Context(), store, state, limit)
			switch {
			case err != nil:
				return err
			case asJSON:
				return printJSON(cmd.OutOrStdout(), held)
			case len(held) == 0:
				fmt.Fprintf(cmd.OutOrStdout(), "no object is %s\n", what)
				return nil
			}
			n, err := countHeld(cmd.Context(), store, state)
			if err != nil {
				return err
			}
			printHeld(cmd.OutOrStdout(), held, what, n)
			return printWays(cmd.Context(), store, held, ignored, int(n) > len(held), siteOf(cmd).flags(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&ignored, "ignored", false, "list those that were given up")
	cmd.Flags().BoolVar(&asJSON, "json", false, fmt.Sprintf("print one JSON array; without --limit of all, at most %d", maxListed))
	cmd.Flags().IntVar(&limit, "limit", 20, "how many to list")
	return cmd
}

// heldObjects reads the first objects that wait for their table, or that were given up.
func heldObjects(ctx context.Context, store control.Objects, state control.ObjectState, limit int) ([]heldObject, error) {
	rows, err := store.ObjectsIn(ctx, state, limit)
	if err != nil {
		return nil, fmt.Errorf("list %s objects: %w", state, err)
	}
	held := make([]heldObject, 0, len(rows))
	databases := map[dms.FileID]string{}
	for _, row := range rows {
		h := heldObject{FileID: row.FileID, Key: row.Object.Key, Bytes: row.Object.Size, Modified: row.Object.LastModified}
		if !row.Part.IsZero() {
			db, known := databases[row.Part.FileID]
			if !known {
				whole, err := store.Object(ctx, row.Part.FileID)
				if err != nil {
					return nil, fmt.Errorf("find the transaction file of %s in %s: %w", row.Part, row.Object.Key, err)
				}
				db = whole.Table.DB
				databases[row.Part.FileID] = db
			}
			h.Part, h.Database = row.Part.String(), db
		}
		held = append(held, h)
	}
	return held, nil
}

// maxCounted is up to where held objects are counted: nobody needs to know it better,
// and each costs a little.
const maxCounted = 10_000

// heldCount is how many objects are held; one more than maxCounted stands for more.
type heldCount int

func countHeld(ctx context.Context, store control.Objects, state control.ObjectState) (heldCount, error) {
	n, err := store.CountObjects(ctx, state, maxCounted+1)
	if err != nil {
		return 0, fmt.Errorf("count %s objects: %w", state, err)
	}
	return heldCount(n), nil
}

// String gives "1 object", "2 objects", "more than 10000 objects".
func (n heldCount) String() string {
	if n > maxCounted {
		return fmt.Sprintf("more than %d objects", maxCounted)
	}
	return count(int(n), "object")
}

// are gives "1 object is", "2 objects are".
func (n heldCount) are() string {
	if n > maxCounted {
		return n.String() + " are"
	}
	return areHeld(int(n))
}

// areHeld gives "1 object is", "2 objects are".
func areHeld(n int) string {
	if n == 1 {
		return "1 object is"
	}
	return fmt.Sprintf("%d objects are", n)
}

// name names a held object; of a transaction file the table whose rows wait.
func (h heldObject) name() string {
	if h.Part == "" {
		return h.Key
	}
	return fmt.Sprintf("%s in %s", h.Part, h.Key)
}

func printHeld(out io.Writer, held []heldObject, what string, n heldCount) {
	of := ", of no registered table"
	if what == "ignored" { // also when their table is registered since
		of = " by an operator's word"
	}
	fmt.Fprintf(out, "%s%s: %s\n", what, of, n)
	inDatabase := slices.ContainsFunc(held, func(h heldObject) bool { return h.Database != "" })
	w := newTableWriter(out, 2)
	header := table.Row{"object", "bytes", "modified", "file id"}
	if inDatabase {
		header = append(header, "database")
	}
	w.AppendHeader(header)
	for _, h := range held {
		row := table.Row{h.name(), h.Bytes, longTime(h.Modified), shortID(string(h.FileID))}
		if inDatabase {
			row = append(row, h.Database)
		}
		w.AppendRow(row)
	}
	w.Render()
	if int(n) > len(held) {
		fmt.Fprintln(out, "there are more; --limit N lists more of them")
	}
}

// printWays says what may become of listed objects.
func printWays(ctx context.Context, store control.Store, held []heldObject, ignored, more bool, flags string, out io.Writer) error {
	if ignored {
		fmt.Fprintf(out, "  if somebody wants them: blotter held take-back %s --reason WHY%s\n", waysToName(held, more), flags)
		return nil
	}
	hints, err := elsewhere(ctx, store, held)
	if err != nil {
		return err
	}
	printWaysOfHeld(out, held, hints, more, flags)
	return nil
}

// printWaysOfHeld says what takes held objects in, and what does away with them; more:
// there are others than these.
func printWaysOfHeld(out io.Writer, held []heldObject, hints []string, more bool, flags string) {
	for _, h := range held {
		if h.Part != "" {
			fmt.Fprintf(out, "  rows of a transaction file go to tables of its own database: register %s in database %s, also if another database has it\n",
				h.Part, h.Database)
			break
		}
	}
	for _, hint := range hints {
		fmt.Fprintf(out, "  %s\n", hint)
	}
	fmt.Fprintf(out, "  to take them in, register their table: blotter apply -f FILE%s\n", flags)
	fmt.Fprintf(out, "  if nobody wants them: blotter held ignore %s --reason WHY%s\n", waysToName(held, more), flags)
}

// waysToName says how objects may be named: only rows of transaction files by their
// table, and those by nothing else. Where there are more than are listed, they may be
// of either kind.
func waysToName(held []heldObject, more bool) string {
	isPart := func(h heldObject) bool { return h.Part != "" }
	switch whole := func(h heldObject) bool { return !isPart(h) }; {
	case more:
	case !slices.ContainsFunc(held, isPart):
		return "KEY|FOLDER/"
	case !slices.ContainsFunc(held, whole):
		return "SCHEMA.TABLE"
	}
	return "KEY|FOLDER/|SCHEMA.TABLE"
}

// elsewhere tells of held objects that lie in the folders of registered tables, but for
// the prefix, each folder once.
func elsewhere(ctx context.Context, store control.Store, held []heldObject) ([]string, error) {
	if len(held) == 0 {
		return nil, nil
	}
	specs, err := control.NewSpecs(store).Newest(ctx)
	if err != nil {
		return nil, err
	}
	return wrongPrefixes(specs, held), nil
}

// wrongPrefixes is elsewhere for these registrations; it names at most maxNamed.
func wrongPrefixes(specs []registry.Table, held []heldObject) []string {
	var hints []string
	for _, h := range held {
		hint := ""
		if h.Part == "" {
			hint = wrongPrefix(specs, h.Key)
		}
		if hint != "" && len(hints) < maxNamed && !slices.Contains(hints, hint) {
			hints = append(hints, hint)
		}
	}
	return hints
}

// wrongPrefix tells of an object that lies in the folder of a registered table, but for
// the prefix; empty if it does not.
func wrongPrefix(specs []registry.Table, key string) string {
	t, prefix, ok := registry.Nearby(specs, key)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s is registered at %q, these objects lie at %q: if they are its own, set source.prefix to %q (it is %q) and apply",
		t.ID, t.Location(), prefix+t.Path, prefix, t.Prefix)
}
