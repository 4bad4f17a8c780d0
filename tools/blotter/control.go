package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/registry"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// order runs one command of lock-manager against the system of the folder.
func order(cmd *cobra.Command, create bool, do func(ctx context.Context, c *client) error) (err error) {
	c, err := connect(cmd.Context(), siteOf(cmd), create, lockmanager.ServiceName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	return do(cmd.Context(), c)
}

// orderTable makes a command that changes the table named first.
func orderTable(cmd *cobra.Command, name string, request func(args []string) lockmanager.CommandRequest) *cobra.Command {
	reason := cmd.Flags().String("reason", "", "why; it stands in the log")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := knownName(cmd.Context(), siteOf(cmd), args[0]); err != nil {
			return err
		}
		return order(cmd, false, func(ctx context.Context, c *client) error {
			r := request(args)
			r.Table, r.Reason = args[0], *reason
			detail, err := c.command(ctx, name, r)
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), detail)
			}
			return err
		})
	}
	return cmd
}

func newApply() *cobra.Command {
	var files []string
	var reason string
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Register tables, or bring a new version of their registration into force",
		Long: `Register the tables of a file, or bring a new version of their registration into
force. Nothing is applied if anything in the file is wrong, or cannot stand beside
the tables that are registered, or is refused for one of them. What a new version
changes is told. A table that is registered like this already stays as it is. In a
folder (--dir) that no system has used one is begun, which is told.`,
		Example: `  blotter apply -f rms.yaml --reason "new table citations"`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			specs, err := readRegistrations(files)
			if err == nil {
				err = siteOf(cmd).places.CheckTables(specs)
			}
			if err != nil {
				return err
			}
			none := noSystemError{}
			fresh := errors.As(siteOf(cmd).known(cmd.Context()), &none)
			return order(cmd, true, func(ctx context.Context, c *client) error {
				if err := checkWithFolder(ctx, siteOf(cmd), specs); err != nil {
					return err
				}
				if fresh {
					fmt.Fprintf(cmd.OutOrStdout(), "there was no Blotter in %s: one is begun there\n", none.dir)
				}
				said, err := registerAll(specs, reason, func(r lockmanager.CommandRequest) (string, error) { return c.command(ctx, "apply", r) })
				for _, detail := range said {
					fmt.Fprintln(cmd.OutOrStdout(), detail)
				}
				return errors.Join(err, noteJobs(ctx, siteOf(cmd), specs, cmd.ErrOrStderr()))
			})
		},
	}
	cmd.Flags().StringArrayVarP(&files, "file", "f", nil, "registration file; may be given again")
	cmd.Flags().StringVar(&reason, "reason", "", "why; it stands in the log")
	needsFlag(cmd, "file", "name the registration with -f FILE")
	return cmd
}

// noteJobs tells of functions and jobs that tables name and that are not there. They may be
// made afterwards, so it is no error.
func noteJobs(ctx context.Context, at site, specs []registry.Table, out io.Writer) error {
	cfg, err := at.config()
	if err != nil {
		return err
	}
	for _, note := range roles.MissingJobs(ctx, cfg, specs) {
		fmt.Fprintf(out, "note: %s\n", note)
	}
	return nil
}

func newFlag() *cobra.Command {
	return orderTable(&cobra.Command{
		Use:   "flag TABLE L|G|auto|P",
		Short: "Choose what transforms a table: L (Lambda), G (Glue), auto (by size), P (paused)",
		Long: `Choose the engine that transforms the files of a table from its next transaction
on: L for AWS Lambda, G for AWS Glue, both in process where the registration
names no job or the buckets are folders. With auto the size of its files says which,
for each transaction; LockGranted has the reason. P pauses the table like ` + "`blotter pause`" + `.`,
		Example: `  blotter flag rms.reports G --reason "larger than Lambda takes"`,
		Args:    cobra.ExactArgs(2),
	}, "flag", func(args []string) lockmanager.CommandRequest { return lockmanager.CommandRequest{Flag: args[1]} })
}

func newPause() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pause TABLE",
		Short: "Stop a table; its files are held until it is resumed",
		Long: `Stop a table after the transaction that runs. Its files are held, in order, until
it is resumed; other tables go on. With --force the running transaction is fenced:
the lake refuses it from then on, and its files wait with the others.`,
		Example: `  blotter pause rms.reports --reason "source is being repaired"`,
		Args:    cobra.ExactArgs(1),
	}
	force := cmd.Flags().Bool("force", false, "fence the transaction that runs")
	return orderTable(cmd, "pause", func([]string) lockmanager.CommandRequest { return lockmanager.CommandRequest{Force: *force} })
}

func newResume() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resume TABLE",
		Short: "Let a paused table go on, its quarantined file retried or skipped",
		Long: `Let a paused table go on. If a file is quarantined, say what becomes of it:
--retry reads it again (after the registration was mended, for example), --skip
goes on without it; the gap stays visible in ` + "`blotter table show`" + `. A file that is
written again at the source is a new file, and comes by itself: skip the old one. In a
folder, or a bucket without versions, that takes other bytes: with the same ones a change
file is the one that was skipped. ` + "`blotter unskip`" + ` takes that in after all. A load file
that comes again waits for a word on which load it belongs to (blotter load complete
--mended), unless the whole load comes again.

A table of which the lake has lost what was committed (the pause says lake.set_back) takes
no changes until that is back, or a full load has replaced all rows. --accept-loss is for
one that has neither a backup nor full loads: it goes on from what the lake has, on record.
` + "`blotter unskip TABLE --lost`" + ` has its change files merged once more from the raw bucket.`,
		Example: `  blotter resume rms.reports --retry --reason "column added to the registration"
  blotter resume rms.reports --skip  --reason "file is damaged at the source"
  blotter resume rms.audit_trail --accept-loss --reason "the catalog was lost, there is no backup"`,
		Args: cobra.ExactArgs(1),
	}
	retry := cmd.Flags().Bool("retry", false, "read the quarantined file again")
	skip := cmd.Flags().Bool("skip", false, "go on without the quarantined file")
	acceptLoss := cmd.Flags().Bool("accept-loss", false, "go on from what the lake has, where that was lost or set back")
	oneOf(cmd, "retry", "skip")
	return orderTable(cmd, "resume", func([]string) lockmanager.CommandRequest {
		r := lockmanager.CommandRequest{AcceptLoss: *acceptLoss}
		switch {
		case *retry:
			r.Mode = string(lockmanager.ResumeRetry)
		case *skip:
			r.Mode = string(lockmanager.ResumeSkip)
		}
		return r
	})
}

// wantsSubcommand ends a command that does nothing by itself.
func wantsSubcommand(cmd *cobra.Command, _ []string) error {
	return fmt.Errorf("say what to do: see `%s --help`", cmd.CommandPath())
}

func newLoad() *cobra.Command {
	load := &cobra.Command{
		Use:   "load",
		Short: "Say that a full load is complete, or what becomes of late load files",
		Example: `  blotter load complete rms.reports
  blotter load reopen rms.reports`,
		Args: cobra.NoArgs,
		RunE: wantsSubcommand,
	}
	load.AddCommand(
		newLoadComplete(),
		orderTable(&cobra.Command{
			Use:   "reopen TABLE",
			Short: "Take load files that came after the seal into their load",
			Long: `Take late load files into the load in force, or into the sealed one that is about to
take its place, and open that again. At its end, as of any load, the table is replaced
by all of its files, the late ones among them, and the changes.

That is right for a file which the load lacks. It is wrong for a load of its own whose
names are new: rows of the load in force that were deleted at the source in between,
without a change file that says so, stay in the table. Refuse its files (blotter load
ignore), and have DMS load the table again.

It is refused where rows would be gone from the table: older versions of its files came
since, and show that some of them are of an earlier load than the others; or the late
file itself came in several versions.`,
			Example: `  blotter load reopen rms.reports --reason "file 7 was copied late"`,
			Args:    cobra.ExactArgs(1),
		}, "load-reopen", func([]string) lockmanager.CommandRequest { return lockmanager.CommandRequest{} }),
		orderTable(&cobra.Command{
			Use:   "ignore TABLE",
			Short: "Refuse load files that came after the seal, or a load that is held",
			Long: `Refuse load files that came after the seal; or, if there are none, the load that is
held, with all its files: the answer "no" to what it is held for. The table stays as it
is, its change files go on, and the refused files end as ignored. What comes again later,
of this or another load, is decided anew.`,
			Example: `  blotter load ignore rms.reports --reason "left over from a test"
  blotter load ignore rms.reports --reason "restored from a backup, changes are newer"`,
			Args: cobra.ExactArgs(1),
		}, "load-ignore", func([]string) lockmanager.CommandRequest { return lockmanager.CommandRequest{} }),
	)
	return load
}

func newLoadComplete() *cobra.Command {
	complete := &cobra.Command{
		Use:   "complete TABLE",
		Short: "Seal the open load: the table is replaced by it, then its change files follow",
		Long: `Seal the open load of a table. S3 shows no end of a load, so somebody has to say
it: a DMS event, a quiet period (load.quiet_period), or this command. A load with
gaps in its numbering, with less than half of the table's rows, of nothing but
files of the load in force though changes came since or some are missing, or with a
file again that was given up in the load before and not all others of it, is held
until --confirm says that it is right: for each of these by itself.

The last is what a load file looks like that was skipped, mended at the source and
written again. --mended puts it into the load that it was given up from, and seals that:
the table is replaced by all of that load's files, this one among them, and by the
changes that came after it. It needs nothing but what was staged before, and may come
after the load was published, as long as no other load was. It is refused if a file
came again, too, that was not given up: that is a load of its own.

So is one among files that are older than it by more than ten minutes: load files
with a higher number, or change files of a table that had no load before. An earlier
load may have left them in the bucket. --without-older goes on without them, and
ignores older change files that come later; --confirm takes them into the load.

A load of which no file has come, such as one that a DMS event opened, is given up: the
table stays as it is, and its change files go on. A day after its opening that happens
by itself. A load file that comes later opens a load by itself if the table had no load
before, or if it is written again under a name of the load in force; with any other name
it is late, and pauses the table (blotter load reopen --help).`,
		Example: `  blotter load complete rms.reports
  blotter load complete rms.reports --confirm --reason "half of the table was archived"
  blotter load complete rms.reports --without-older --reason "left behind by the load of January"
  blotter load complete rms.reports --mended --reason "file 7 was cut off, DMS wrote it again"`,
		Args: cobra.ExactArgs(1),
	}
	confirm := complete.Flags().Bool("confirm", false, "accept what the load is held for; before it is held, whatever it would be held for")
	withoutOlder := complete.Flags().Bool("without-older", false, "leave out the files that are older than the load")
	mended := complete.Flags().Bool("mended", false, "put files that were skipped and came again into the load that they were given up from")
	oneOf(complete, "confirm", "without-older", "mended")
	return orderTable(complete, "load-complete", func([]string) lockmanager.CommandRequest {
		return lockmanager.CommandRequest{Confirm: *confirm, WithoutOlder: *withoutOlder, Mended: *mended}
	})
}

func newHoldQueue() *cobra.Command {
	queue := &cobra.Command{
		Use:     "holdqueue",
		Short:   "Mend the list of files that wait",
		Example: `  blotter holdqueue rebuild rms.reports`,
		Args:    cobra.NoArgs,
		RunE:    wantsSubcommand,
	}
	queue.AddCommand(&cobra.Command{
		Use:   "rebuild TABLE",
		Short: "Make a table's hold queue equal to what its state says",
		Long: `Make a table's hold queue equal to what its state says: files that wait and are
missing are added, others are removed. The queue only shows what waits (it may be
lost, or emptied by hand); the control store decides what runs, and is not changed.`,
		Example: `  blotter holdqueue rebuild rms.reports`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := knownName(cmd.Context(), siteOf(cmd), args[0]); err != nil {
				return err
			}
			return order(cmd, false, func(ctx context.Context, c *client) error {
				detail, err := c.command(ctx, "hold-rebuild", lockmanager.CommandRequest{Table: args[0]})
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), detail)
				}
				return err
			})
		},
	})
	return queue
}
