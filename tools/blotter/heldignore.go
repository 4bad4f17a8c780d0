package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
)

func newHeldIgnore() *cobra.Command {
	var r ingestrouter.DismissRequest
	cmd := &cobra.Command{
		Use:   "ignore KEY|FOLDER/|SCHEMA.TABLE --reason WHY",
		Short: "Give up held objects that nobody wants",
		Long: `Ignore held objects: the one of a key, all below a folder (which ends in a slash), or,
of transaction files, the rows of one table. What is held of a transaction file are rows
of tables: its key, or the folder that it lies in, does not name them. If tables of
several databases are called SCHEMA.TABLE, say which with --database; the list of those
that may be meant tells how.

The log has each object with who and why. They stay ignored, also when their table is
registered later; nothing is deleted. What arrives afterwards is held again. Take it
back with ` + "`blotter held take-back`" + `.`,
		Example: `  blotter held ignore dms/rms/scratch/ --reason "tables of a test"
  blotter held ignore rms.audit --reason "not replicated, by order of 4 March"
  blotter held ignore pub.log --database rms --reason "kept at the source"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Objects = args[0]
			return decideHeld(cmd.Context(), siteOf(cmd), r, cmd.OutOrStdout())
		},
	}
	addHeldFlags(cmd, &r)
	return cmd
}

func newHeldTakeBack() *cobra.Command {
	r := ingestrouter.DismissRequest{TakeBack: true}
	cmd := &cobra.Command{
		Use:   "take-back KEY|FOLDER/|SCHEMA.TABLE --reason WHY",
		Short: "Hold again what was ignored",
		Long: `Take back that objects were ignored (blotter held ignore), named in the same way. They
are held again; where their table is registered by now, they come in at once, at their
own place in the order. The log has each object with who and why. The execution that
waited for one has ended when it was ignored, and is not begun anew; that of a
transaction file waits no more for a part that was ignored once, whatever becomes of it.`,
		Example: `  blotter held take-back dms/rms/scratch/ --reason "the test is asked for"
  blotter held list --ignored`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Objects = args[0]
			return decideHeld(cmd.Context(), siteOf(cmd), r, cmd.OutOrStdout())
		},
	}
	addHeldFlags(cmd, &r)
	return cmd
}

func addHeldFlags(cmd *cobra.Command, r *ingestrouter.DismissRequest) {
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why; it stands in the log")
	cmd.Flags().StringVar(&r.Database, "database", "", "of SCHEMA.TABLE, and of nothing else: the database of its transaction files")
	cmd.Flags().StringVar(&r.Schema, "schema", "", "of SCHEMA.TABLE, and of nothing else: its schema, where a dot in a name makes several of one")
}

// decideHeld has ingest-router ignore what is held, or take that back, batch by batch.
func decideHeld(ctx context.Context, at site, r ingestrouter.DismissRequest, out io.Writer) (err error) {
	c, err := connect(ctx, at, false, ingestrouter.ServiceName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	r.Actor = operator()
	var all ingestrouter.Dismissed
	for more := true; more; {
		var done ingestrouter.Dismissed
		if err := c.request(ctx, ingestrouter.DismissSubject, r, &done); err != nil {
			return errors.Join(err, saidOf(out, all, r.TakeBack, c.own))
		}
		all.Objects, all.Arrived, all.Changed = all.Objects+done.Objects, all.Arrived+done.Arrived, all.Changed+done.Changed
		all.Already = max(all.Already, done.Already)
		if done.Refused != "" && all.Objects == 0 {
			return errors.New(done.Refused)
		}
		// A batch in which all was decided otherwise ends it: the next might be the same.
		more = done.More && done.Objects+done.Arrived > 0
	}
	return saidOf(out, all, r.TakeBack, c.own)
}

// comesIn tells of objects that were taken back when their table was registered.
func comesIn(n int, stopped bool) string {
	when := "at once"
	if stopped {
		when = "when the system runs"
	}
	if n == 1 {
		return fmt.Sprintf("1 object is taken back and comes in %s, since its table is registered by now", when)
	}
	return fmt.Sprintf("%d objects are taken back and come in %s, since their tables are registered by now", n, when)
}

// saidOf tells what became of the objects that a request meant; stopped: no system
// runs that goes on with those that arrive.
func saidOf(out io.Writer, done ingestrouter.Dismissed, takeBack, stopped bool) error {
	meant, again := done.Objects, " held again"
	if done.Objects == 0 {
		meant, again = done.Already, " held already"
	}
	if meant == 0 {
		return nil
	}
	var said []string
	if !takeBack {
		said = append(said, areHeld(int(meant))+" ignored from now on")
	}
	if takeBack && done.Arrived > 0 {
		said = append(said, comesIn(int(done.Arrived), stopped))
	}
	if held := meant - done.Arrived; takeBack && held > 0 {
		said = append(said, areHeld(int(held))+again)
	}
	if done.Changed > 0 {
		said = append(said, objectsWere(done.Changed)+" decided about otherwise in the meantime")
	}
	if _, err := fmt.Fprintln(out, strings.Join(said, "; ")); err != nil {
		return fmt.Errorf("tell what was done: %w", err)
	}
	return nil
}
