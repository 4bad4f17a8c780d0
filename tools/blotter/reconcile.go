package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nuid"
	"github.com/spf13/cobra"

	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
)

func newReconcile() *cobra.Command {
	var r ingestrouter.ReconcileRequest
	cmd := &cobra.Command{
		Use:   "reconcile",
		Short: "List the raw folder and tell of what no event told",
		Long: `List the raw folder, or bucket, and tell of each object that no event told: files come
in as if they had arrived now, in their own place in the order; objects of unregistered
tables are held. An object that was told is not told again: it may be run as often as one
likes, and while files arrive. Nothing is said of objects that are not there any more.

It goes in steps, load files first, and shows how far it is. If it breaks off, what it told
stays told, and it says with which --after to go on. --dry-run tells what it would tell of,
by table, and changes nothing. On a stopped system all files of a folder are read for it,
and what a crash left decided but unsaid is said first, as by any command there.

At the end it looks how full the event log is, and exits with 3 where that is more than
70 %: whoever starts it by a schedule is told in time.

Run it after EventBridge, or whatever else tells of objects, was down or wrongly set up;
for what lay in the bucket before that was set up; and by a schedule, to be sure.`,
		Example: `  blotter reconcile --dry-run
  blotter reconcile --reason "events were lost last night"
  blotter reconcile --prefix dms/rms/reports/ --reason "the rule left out this folder"
  blotter reconcile --after dms/rms/people/LOAD0000001A.csv --reason "goes on where it broke off"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reconcile(cmd.Context(), siteOf(cmd), r, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why; it stands in the log")
	cmd.Flags().StringVar(&r.Prefix, "prefix", "", "list only objects whose keys begin so")
	cmd.Flags().StringVar(&r.After, "after", "", "list only objects whose keys come behind this one")
	cmd.Flags().BoolVar(&r.DryRun, "dry-run", false, "tell what would be told, and change nothing")
	return cmd
}

// reconcile asks for one step after the other until all is listed. Progress goes to note.
func reconcile(ctx context.Context, at site, r ingestrouter.ReconcileRequest, out, note io.Writer) (err error) {
	c, err := connect(ctx, at, false, ingestrouter.ServiceName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	r.ID, r.Actor = nuid.Next(), operator()
	progress := listingProgress{out: note, now: time.Now, shown: time.Now()}
	for r.At.Pass != ingestrouter.PassDone {
		var next ingestrouter.Place
		if err := c.request(ctx, ingestrouter.ReconcileSubject, r, &next); err != nil {
			return fmt.Errorf("%w\n%s", err, brokenOff(r, at.flags()))
		}
		if next.Pass == r.At.Pass && next.Key <= r.At.Key {
			return fmt.Errorf("it does not get on behind %q: this is a fault of Blotter\n%s", next.Key, brokenOff(r, at.flags()))
		}
		r.At = next
		progress.show(next)
	}
	if err := sayReconciled(out, r, c.own, at.flags()); err != nil {
		return err
	}
	bytes, most, err := c.log.Fill(ctx)
	if err != nil {
		return err
	}
	return roomLeft(bytes, most)
}

// fillsUp is from which share on, in percent, a log is too full to leave it at that.
const fillsUp = 70

// roomLeft is the finding that a log is about to be full: a full one refuses every event,
// and everything waits.
func roomLeft(bytes, most uint64) error {
	if most == 0 || 100*float64(bytes) < fillsUp*float64(most) {
		return nil
	}
	const mib = 1 << 20
	return finding(fmt.Errorf("the log has %d of %d MiB (%.0f %%); when it is full, no event can be written and everything waits: "+
		"remove what is archived, with blotter audit trim, or let it take more, with nats stream edit BLOTTER --max-bytes", bytes/mib, most/mib, 100*float64(bytes)/float64(most)))
}

// listingProgress shows how far a reconcile is, now and then.
type listingProgress struct {
	out   io.Writer
	now   func() time.Time
	shown time.Time
}

func (p *listingProgress) show(at ingestrouter.Place) {
	if p.now().Sub(p.shown) < linesEvery || at.Pass == ingestrouter.PassDone {
		return
	}
	p.shown = p.now()
	if at.Listed == 0 {
		fmt.Fprintf(p.out, "looked for load files: %d, new %d\n", at.Looked, at.New)
		return
	}
	fmt.Fprintf(p.out, "listed %d, new %d\n", at.Listed, at.New)
}

// brokenOff tells how to go on with a reconcile that broke off.
func brokenOff(r ingestrouter.ReconcileRequest, flags string) string {
	stands := "nothing was listed yet"
	switch {
	case r.At.Pass == ingestrouter.PassAll && r.At.Key != "":
		stands = fmt.Sprintf("all is listed up to %s, %d of %s new", r.At.Key, r.At.New, count(int(r.At.Listed), "object"))
		r.After = r.At.Key
	case r.At.Looked > 0:
		stands = fmt.Sprintf("it had looked for load files, %d of %s new", r.At.New, count(int(r.At.Looked), "object"))
	}
	command := "blotter reconcile"
	for _, flag := range []struct{ name, value string }{{"after", r.After}, {"prefix", r.Prefix}, {"reason", r.Reason}} {
		if flag.value != "" {
			command += " --" + flag.name + " " + shellWord(flag.value)
		}
	}
	if r.DryRun {
		command += " --dry-run"
	}
	return stands + "; go on with: " + command + flags
}

// sayReconciled tells what a reconcile has found; stopped: no system runs that goes on
// with it.
func sayReconciled(out io.Writer, r ingestrouter.ReconcileRequest, stopped bool, flags string) error {
	var b strings.Builder
	said := "%s listed, %d of them had not been told\n"
	if r.DryRun {
		said = "%s listed, %d of them would be told of; nothing was changed\n"
	}
	fmt.Fprintf(&b, said, count(int(r.At.Listed), "object"), r.At.New)
	for _, table := range slices.Sorted(maps.Keys(r.At.Tables)) {
		if n := r.At.Tables[table].New; n > 0 {
			fmt.Fprintf(&b, "  %s: %d\n", table, n)
		}
	}
	if n := r.At.Held; n > 0 && r.DryRun {
		fmt.Fprintf(&b, "  of no registered table: %d, which would be held\n", n)
	} else if n > 0 {
		fmt.Fprintf(&b, "  of no registered table: %d, which are held; see: blotter held list%s\n", n, flags)
	}
	if r.At.Ignored > 0 {
		fmt.Fprintf(&b, "  no data files of DMS: %d, which are ignored\n", r.At.Ignored)
	}
	if stopped && !r.DryRun && r.At.New > r.At.Held+r.At.Ignored {
		b.WriteString("they come in when the system runs\n")
	}
	if r.At.Passed > 0 {
		fmt.Fprintf(&b, "%s passed over; run it again when that is mended. The first: %s\n", objectsWere(r.At.Passed), r.At.First)
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("tell what was found: %w", err)
	}
	return nil
}
