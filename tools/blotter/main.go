package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lifecycle"
	"github.com/openblotter/blotter/tools/internal/spark"
)

// exitUnsettled is the exit code of a run that ended with something quarantined, held or
// paused, and of a look that found something wrong; every other error exits with 1.
const exitUnsettled = 3

// defaultDir is the folder that commands work on unless they are told otherwise.
const defaultDir = "blotter-data"

// errUnsettled ends a run that left something for an operator to decide. What
// it is was printed.
var errUnsettled = errors.New("something is left for an operator to decide")

// finding has a command end with the exit code of what is wrong, instead of that of what
// kept it from looking; err is printed.
func finding(err error) error { return &foundError{err} }

type foundError struct{ error }

func (e *foundError) Unwrap() error { return e.error }

// exitCode tells which of the two an error is.
func exitCode(err error) int {
	var found *foundError
	var missing *eventlog.MissingError
	if errors.As(err, &found) || errors.As(err, &missing) || errors.Is(err, errUnsettled) {
		return exitUnsettled
	}
	return 1
}

func main() {
	spark.RowsIfAsked()
	ctx, stop := lifecycle.Signals(context.Background())
	err := newRoot().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	if !errors.Is(err, errUnsettled) { // what that is was printed
		fmt.Fprintln(os.Stderr, "blotter:", err)
	}
	os.Exit(exitCode(err))
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "blotter",
		Short: "Deduplicated Iceberg tables from the files of AWS DMS, in order, each file once",
		Long: `Blotter takes the files that AWS Database Migration Service drops into a raw
folder and keeps deduplicated Iceberg tables of them: in order, each file once,
with a log of everything that happened.`,
		Example: `  blotter demo                                   # see it work on made-up data
  blotter up --tables rms.yaml --raw /drop       # run it on a folder of DMS files
  blotter tables                                 # how each table is
  blotter resume rms.reports --skip              # go on after a bad file`,
		SilenceUsage: true, SilenceErrors: true,
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().String("dir", defaultDir, "folder of log, control store, catalog and tables")
	addPlaceFlags(root.PersistentFlags(), true)
	root.AddGroup(&cobra.Group{ID: "run", Title: "Run:"}, &cobra.Group{ID: "control", Title: "Control:"},
		&cobra.Group{ID: "look", Title: "Look:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("run", newDemo(), newUp(), newRun(), newPlaces(), newNATS(), newSecrets(), newHealth())
	add("control", newApply(), newFlag(), newPause(), newResume(), newUnskip(), newLoad(), newHoldQueue(), newReconcile(), newNotify(), newHeld(), newRejected(), newAlert())
	table := newTable()
	table.AddCommand(newTableSchema(), newTableFiles(), newTableMaintain())
	add("look", newTables(), table, newCat(), newLog(), newReplay(), newExplain(), newFsck(), newAudit(), newDecode())
	explainArgs(root)
	explainPlaces(root)
	root.SetHelpCommand(newHelp())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())
	})
	root.Version = buildVersion()
	return root
}

// explainArgs has a command that was written wrongly say how it is written, and
// name what was perhaps meant.
func explainArgs(c *cobra.Command) {
	for _, sub := range c.Commands() {
		explainArgs(sub)
	}
	check := c.Args
	if check == nil {
		return
	}
	c.SuggestionsMinimumDistance = 2
	c.Args = func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		switch {
		case err == nil:
			return nil
		case cmd.HasSubCommands() && len(args) > 0:
			hint := fmt.Sprintf("see `%s --help`", cmd.CommandPath())
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				hint = fmt.Sprintf("did you mean `%s %s`?", cmd.CommandPath(), strings.Join(near, "` or `"+cmd.CommandPath()+" "))
			}
			return fmt.Errorf("`%s` knows no %q: %s", cmd.CommandPath(), args[0], hint)
		}
		return fmt.Errorf("%w; write: %s", err, cmd.UseLine())
	}
}

// operator names who gives a command: the user of the operating system.
func operator() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return "operator:" + u.Username
	}
	return "operator:unknown"
}
