package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nuid"
	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/objects"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	"github.com/openblotter/blotter/services/curator"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/fsck"
	"github.com/openblotter/blotter/tools/internal/roles"
)

const fsckHelp = `Hold the log against the control state, the lake and the buckets, and tell where they
do not agree: events that are missing, a control state that the log does not give, files
that wait and that nothing will release, raw versions that are gone although they are still
to be read, a hold queue that shows something else than waits, staged files that nobody
asked for, snapshots without an event, rows of files that were not published, objects that
the lake's metadata names and that are gone, and copies and reports of quarantined files
and of rejected rows that are gone. Of the log as a whole (under the table '_.log') it tells
where it does not join its archive. Each finding says what it is, where, and what to do. A
note is no finding: nothing is wrong, but something may be of use to know.

It changes nothing without --repair. With it, what is safe is mended, and each repair
stands in the log: the hold queue is made what the state says, staged output that nothing
reads is removed, copies and reports are written again. A control state that differs is
not mended here: see "blotter replay --rebuild". On AWS repairs have a role of their own,
blotter-repairs: without --repair the files that wait in SQS are only counted, since SQS
shows them by taking them out of the sight of others.

It reads the whole log, the lists of the table's objects, and one column of its rows. With
--bytes it also reads what was staged, the raw versions, the copies of quarantined files and
of rejected rows, and the lake's files, whole, and holds them to the hashes in the log. The archive proves itself: see "blotter
audit verify". It works on a running and on a stopped system. The exit code is 0 if nothing is left, 3 if a
finding is, and 1 if it could not look.`

// fsckOptions say what is looked at, and whether it is mended.
type fsckOptions struct {
	repair bool
	reason string
	json   bool
	bytes  bool
}

func newFsck() *cobra.Command {
	var o fsckOptions
	cmd := &cobra.Command{
		Use:   "fsck [TABLE]",
		Short: "Do log, control state, lake and buckets agree?",
		Long:  fsckHelp,
		Example: `  blotter fsck
  blotter fsck rms.reports --json | jq '.findings[] | select(.note | not)'
  blotter fsck --bytes                       # reads the buckets, too
  blotter fsck --repair --reason "failed bucket was emptied by hand"`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var only dms.TableID
			if len(args) > 0 {
				var err error
				if only, err = dms.ParseTableID(args[0]); err != nil {
					return err
				}
			}
			if o.repair && o.reason == "" {
				return errors.New("--repair changes things: say why with --reason, it stands in the log")
			}
			return runFsck(cmd.Context(), siteOf(cmd), only, o, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&o.repair, "repair", false, "mend what is safe to mend; needs --reason")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why it is repaired; it stands in the log")
	cmd.Flags().BoolVar(&o.bytes, "bytes", false, "read what lies in the buckets, too, and compare it with the hashes in the log")
	cmd.Flags().BoolVar(&o.json, "json", false, "print one JSON object")
	return cmd
}

func runFsck(ctx context.Context, at site, only dms.TableID, o fsckOptions, out io.Writer) (err error) {
	cfg, err := at.config()
	if err != nil {
		return err
	}
	var own []string
	if o.repair {
		own = []string{lockmanager.ServiceName} // it owns the hold queue
	}
	c, stores, closer, err := openAudit(ctx, at, own...)
	refused := ""
	if errors.Is(err, eventlog.ErrSetBack) || errors.Is(err, roles.ErrStoreBehind) || errors.Is(err, roles.ErrStoreAltered) {
		o.repair, refused = false, err.Error() // what the log does not ask for may be what it lost
		c, stores, closer, err = openAudit(ctx, at)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	store, err := readStore(ctx, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	hold, closeHold, err := roles.OpenHold(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeHold()) }()
	deps := fsck.Deps{Log: c.log, Control: store, Objects: store, Hold: hold, Raw: stores.Raw, Staging: stores.Staging, Failed: stores.Failed, Lake: stores.Lake, Bytes: o.bytes, Rebuilding: roles.Rebuilding(cfg)}
	if o.repair {
		m, closeMender, err := newMender(ctx, cfg, c, stores, store)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeMender()) }()
		deps.Repair = m
	}
	deps.Kept, deps.KeptFault = roles.KeptByKey(cfg)
	lookIntoArchive(&deps, at, cfg, o.bytes)
	report, err := fsck.Run(ctx, deps, only)
	if err != nil {
		return err
	}
	if !only.IsZero() && report.Events == 0 && len(report.Findings) == 0 { // perhaps its name is mistyped
		if err := knownTable(ctx, at, only); err != nil {
			return err
		}
	}
	if o.repair {
		if err := report.Mend(ctx, deps.Repair, o.reason); err != nil {
			return err
		}
	}
	report.Refused = refused
	if o.json {
		err = printJSON(out, report)
	} else {
		printFsck(out, report)
	}
	if err == nil && report.Left() > 0 {
		err = errUnsettled
	}
	return err
}

func printFsck(out io.Writer, r *fsck.Report) {
	repaired := 0
	for _, f := range r.Findings {
		what := f.Kind
		if f.Note {
			what = "note: " + what
		}
		fmt.Fprintf(out, "%s  %s", f.Table, what)
		if f.FileID != "" {
			fmt.Fprintf(out, "  file %s", f.FileID)
		}
		if f.Object != "" {
			fmt.Fprintf(out, "  %s", f.Object)
		}
		fmt.Fprintf(out, "\n    %s\n", f.Detail)
		switch {
		case f.Repaired:
			repaired++
			fmt.Fprintln(out, "    repaired")
		case f.Failed != "":
			fmt.Fprintf(out, "    not repaired: %s\n", f.Failed)
		default:
			fmt.Fprintf(out, "    to do: %s\n", f.Do)
		}
	}
	for kind, n := range r.More {
		fmt.Fprintf(out, "and %d more of %s\n", n, kind)
	}
	if r.Refused != "" {
		fmt.Fprintf(out, "nothing is repaired: %s\n", r.Refused)
	}
	fmt.Fprintf(out, "%s and %s looked at: %s left", count(r.Tables, "table"), count(int(r.Events), "event"), count(r.Left(), "finding"))
	if repaired > 0 {
		fmt.Fprintf(out, ", %d repaired", repaired)
	}
	fmt.Fprintln(out)
}

// mender mends what fsck found, through the service that owns it.
type mender struct {
	client  *client
	curator *curator.Service
	staging objects.Bucket
	failed  objects.Bucket
}

var _ fsck.Repairer = (*mender)(nil)

func newMender(ctx context.Context, cfg roles.Config, c *client, stores *roles.Stores, store roles.Store) (*mender, func() error, error) {
	failed, closeFailed, err := roles.OpenFailed(ctx, cfg, false)
	if err != nil {
		return nil, nil, err
	}
	staging, closeStaging, err := roles.OpenStaging(ctx, cfg)
	if err != nil {
		return nil, nil, errors.Join(err, closeFailed())
	}
	m := &mender{client: c, staging: staging, failed: failed, curator: curator.New(curator.Deps{
		Specs: control.NewSpecs(store), Raw: stores.Raw, Staging: stores.Staging, Failed: failed, Now: time.Now, Logger: newLogger(false),
	})}
	return m, func() error { return errors.Join(closeStaging(), closeFailed()) }, nil
}

// Hold implements fsck.Repairer.
func (m *mender) Hold(ctx context.Context, table dms.TableID) (string, error) {
	return m.client.command(ctx, "hold-rebuild", lockmanager.CommandRequest{Table: table.String()})
}

// Unstage implements fsck.Repairer.
func (m *mender) Unstage(ctx context.Context, keys []string) (string, error) {
	for _, key := range keys {
		if err := m.staging.Remove(ctx, key); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s removed from the staging bucket", count(len(keys), "object")), nil
}

// Quarantine implements fsck.Repairer.
func (m *mender) Quarantine(ctx context.Context, r eventlog.Record, e *blotterv1.TablePaused) error {
	return m.curator.Quarantine(ctx, r.Table, r.Envelope.GetTime().AsTime(), e)
}

// KeepRejected implements fsck.Repairer. What lies there is taken away first, the report of
// it before all, since rows that it tells of are taken to be there.
func (m *mender) KeepRejected(ctx context.Context, table dms.TableID, instead []string, e *blotterv1.PublishRequested) error {
	for _, key := range instead {
		if err := m.failed.Remove(ctx, key); err != nil {
			return err
		}
	}
	return m.curator.KeepRejected(ctx, table, e)
}

// Say implements fsck.Repairer.
func (m *mender) Say(ctx context.Context, table dms.TableID, e *blotterv1.FindingRepaired) error {
	_, err := m.client.log.PublishOnce(ctx, eventlog.Event{
		Table: table, Service: fsck.ServiceName, ID: eventlog.ID(fsck.ServiceName, table, "repaired", nuid.Next()),
		Correlation: e.GetFileId(), Actor: operator(), Time: time.Now(), Message: e,
	})
	return err
}

// prover gives what proves the archive by the key at hand, if it is asked for and there is
// one. An archive that is not there is not wrong.
func prover(at site, cfg roles.Config, asked bool) func(context.Context) error {
	if _, err := roles.AuditPublic(cfg); err != nil || !asked {
		return nil
	}
	return func(ctx context.Context) error {
		_, err := verify(ctx, at, cfg, auditVerifyOptions{})
		if errors.Is(err, archive.ErrEmpty) {
			return nil // told by what was kept of it
		}
		return err
	}
}

// lookIntoArchive has the names of the archive's objects looked at, and its gaps; proven is it
// where that is asked for.
func lookIntoArchive(deps *fsck.Deps, at site, cfg roles.Config, prove bool) {
	deps.Prove = prover(at, cfg, prove)
	deps.Spans = func(ctx context.Context) error {
		return inArchive(ctx, cfg, func(b objects.Bucket) error { return archive.Objects(ctx, b) })
	}
	deps.Gaps = func(ctx context.Context) (gaps []eventlog.Span, err error) {
		err = inArchive(ctx, cfg, func(b objects.Bucket) error {
			r, err := archive.NewReader(ctx, b, archive.Keys{})
			if err == nil {
				gaps, err = r.Gaps(ctx)
			}
			return err
		})
		return gaps, err
	}
}

// inArchive opens the archive of the log for reading.
func inArchive(ctx context.Context, cfg roles.Config, do func(objects.Bucket) error) error {
	bucket, closer, err := roles.OpenAudit(ctx, cfg, true)
	if err != nil {
		return err
	}
	return errors.Join(do(bucket), closer())
}
