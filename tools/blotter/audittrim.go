package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	"github.com/openblotter/blotter/tools/internal/fsck"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// minKeep is the least that a trim leaves: what a process that died a moment ago was
// about to say has long been said.
const minKeep = time.Hour

type auditTrimOptions struct {
	keys []string
	kept []string
	keep time.Duration
	// reason stands in the log.
	reason string
}

func newAuditTrim() *cobra.Command {
	var o auditTrimOptions
	cmd := &cobra.Command{
		Use:   "trim --keep DURATION",
		Short: "Remove old events from the log that are proven to be archived",
		Long: `Remove from the server what is older than --keep and archived. First the whole archive is
verified, and each event that both hold is compared: if anything is not as it was signed,
nothing is removed. Nor is it while a service has not handled all that would go, or has
something to say that it decided before. The log then says LogTrimmed, under the table
'` + dms.LogTable.String() + `': what is left, and behind which checkpoint it was done.

Afterwards every command reads what was removed from the archive, so that nothing is
missing: log, replay, explain, fsck. The archive is then the only copy: keep it where
nothing is deleted, such as a bucket with object lock, and copy it elsewhere.

The exit code is 0 if it is done or nothing was to do, 3 if the archive is not as it was
signed or not what the log holds, and 1 if it is refused or could not look.`,
		Example: `  blotter audit trim --keep 90d                  # what is older than ninety days
  blotter audit trim --keep 30d --checkpoint kept-2024-03-04 --reason "disk is 70 % full"
  blotter log ` + dms.LogTable.String() + `                              # what was removed when, and by whom`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runAuditTrim(cmd.Context(), siteOf(cmd), o, time.Now(), cmd.OutOrStdout())
		},
	}
	addKeyFlag(cmd, &o.keys)
	cmd.Flags().Var((*span)(&o.keep), "keep", "leave events that are younger than this, such as 90d or 36h; at least 1h")
	cmd.Flags().StringArrayVar(&o.kept, "checkpoint", nil, "file with a checkpoint that was kept: the archive must extend it; once for each")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why it is trimmed; it stands in the log")
	return cmd
}

func runAuditTrim(ctx context.Context, at site, o auditTrimOptions, now time.Time, out io.Writer) (err error) {
	if o.keep < minKeep {
		return fmt.Errorf("--keep %v: say how much of the log stays, at least %v", o.keep, minKeep)
	}
	cfg, err := at.config()
	if err != nil {
		return err
	}
	v, c, closer, err := openVerify(ctx, at, cfg, auditVerifyOptions{keys: o.keys, kept: o.kept, against: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	last, err := c.log.Last(ctx)
	if err != nil {
		return err
	}
	// What is decided after this comes after last, and is not removed.
	if err := saidAll(ctx, at); err != nil {
		return err
	}
	v.Before = now.Add(-o.keep)
	report, err := v.Run(ctx)
	var bad *archive.Wrong
	var differs *archive.LogDiffers
	switch {
	case errors.As(err, &bad), errors.As(err, &differs):
		fmt.Fprintf(out, "%v\nnothing was removed\n", err)
		return errUnsettled
	case err != nil:
		return err
	}
	t := trimming{client: c, report: report, reason: o.reason, now: now}
	if t.first, _, err = c.log.Bounds(ctx); err != nil {
		return err
	}
	until := min(report.Older, last)
	if until < t.first {
		fmt.Fprintf(out, "nothing to remove: no event that the log still has is archived and older than %v\n", o.keep)
		return t.say(ctx, t.first, out)
	}
	if err := c.log.Trim(ctx, until, roles.Names()); err != nil {
		return err
	}
	fmt.Fprintf(out, "sequences %d to %d are removed from the log; they are in the archive, which is proven up to sequence %d\n", t.first, until, report.Size)
	return t.say(ctx, until+1, out)
}

// trimming is one trim, and what it was done behind.
type trimming struct {
	client *client
	report *archive.Report
	first  uint64 // where the log began before
	reason string
	now    time.Time
}

// say says in the log where it begins now, unless it says so already. A trim that died
// before it could is told by the next one.
func (t trimming) say(ctx context.Context, first uint64, out io.Writer) error {
	told, err := fsck.TrimmedTo(ctx, t.client.log)
	if err != nil || told >= first {
		return err
	}
	if t.first == first {
		if gap := t.report.FirstGap; gap > 0 && gap < first {
			fmt.Fprintf(out, "the log begins at sequence %d, does not say why, and sequence %d is not archived either: events are lost\n", first, gap)
			return errUnsettled
		}
		fmt.Fprintf(out, "the log begins at sequence %d and did not say why; what was before is archived, and it says so now\n", first)
	}
	head := t.report.Head()
	_, err = t.client.log.PublishOnce(ctx, eventlog.Event{
		Table: dms.LogTable, Service: fsck.ServiceName,
		ID:    eventlog.ID(fsck.ServiceName, dms.LogTable, "trimmed", strconv.FormatUint(first, 10)),
		Actor: operator(), Time: t.now,
		Message: &blotterv1.LogTrimmed{
			FirstKept: first, FirstBefore: t.first, Reason: t.reason,
			ArchiveOrigin: head.Origin, TreeSize: head.Size, TreeRoot: head.Root[:],
		},
	})
	if err != nil {
		return fmt.Errorf("say in the log that it is trimmed (the next trim will): %w", err)
	}
	return nil
}

// saidAll refuses to go on while something that was decided is not known to be in the
// log: it might be among what is removed, and would be said again.
func saidAll(ctx context.Context, at site) (err error) {
	store, err := readStore(ctx, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	tables, err := store.Unflushed(ctx)
	if err != nil {
		return fmt.Errorf("look for what is not said yet: %w", err)
	}
	if len(tables) > 0 {
		return fmt.Errorf("table %s has something to say that may be in the log already: run the system until it is said, then trim", tables[0])
	}
	pending, err := store.ObjectsIn(ctx, control.ObjectPending, 1)
	if err != nil {
		return fmt.Errorf("look for what is not said yet: %w", err)
	}
	if len(pending) > 0 {
		return fmt.Errorf("object %s is to be told of, and may have been: run the system until it is, then trim", pending[0].Object.Key)
	}
	return nil
}
