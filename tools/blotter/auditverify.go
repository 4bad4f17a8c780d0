package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/tools/internal/fsck"
	"github.com/openblotter/blotter/tools/internal/roles"
)

type auditVerifyOptions struct {
	keys    []string
	kept    []string
	keep    string
	since   string
	against bool
	json    bool
}

func newAuditVerify() *cobra.Command {
	var o auditVerifyOptions
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove that nothing in the archive was changed, left out or reordered",
		Long: `Prove from the archive alone that nothing in it was changed, left out or reordered: every
checkpoint is signed with the key, every file has the hash that was signed, every event
gives its leaf, and the leaves of all sequences from 1 on give the signed roots, each
tree extending the one before. What is wrong is named: the object, and the first
sequence, where that can be told.

An archive whose newest spans were taken away together with their checkpoints is a
shorter archive, and nothing in it shows that. Keep checkpoints elsewhere (--keep), and
have later archives held to them (--checkpoint): each must extend every one. The folder of
a system that holds the log keeps the newest one itself (audit-checkpoint), to which the
archive is held as well. --against
also compares each archived event with the log, as far as it reaches back, and holds the
archive to what the log says of its trims.

--since begins behind a checkpoint that an earlier verify kept: it proves that the archive
extends it and what comes after it, and does not look at the files before it again. That
is for every day; verify all of it from time to time, since one byte that is changed in
an old file only that finds.

It needs no system, only the place of --audit and the key; it holds one span in memory.
The exit code is 0 if all is proven, 3 if something is wrong, and 1 if it could not look.`,
		Example: `  blotter audit verify --audit s3://rms-audit --key verifier.txt
  blotter audit verify --checkpoint kept-2024-03-04 --keep kept-2024-03-11
  blotter audit verify --since yesterday --keep today
  blotter audit verify --against`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runAuditVerify(cmd.Context(), siteOf(cmd), o, cmd.OutOrStdout())
		},
	}
	addKeyFlag(cmd, &o.keys)
	flags := cmd.Flags()
	flags.StringArrayVar(&o.kept, "checkpoint", nil, "file with a checkpoint that was kept: the archive must extend it; once for each")
	flags.StringVar(&o.since, "since", "", "file with a checkpoint up to which it was verified before: prove what comes after it")
	flags.StringVar(&o.keep, "keep", "", "write the last checkpoint to this file, if all is proven")
	flags.BoolVar(&o.against, "against", false, "compare with the log of the system, too")
	flags.BoolVar(&o.json, "json", false, "print one JSON object")
	return cmd
}

// verified is what `audit verify --json` prints.
type verified struct {
	*archive.Report
	Proven  bool    `json:"proven"`
	Wrong   string  `json:"wrong,omitempty"`
	Do      string  `json:"do,omitempty"` // what to do about it
	Object  string  `json:"object,omitempty"`
	Seq     uint64  `json:"sequence,omitempty"`
	Seconds float64 `json:"seconds"`
}

// What is to be done about what `audit verify` finds wrong.
const (
	doWrong = "keep the archive as it is for whoever investigates; verify a copy of it (--audit), and put one that is proven in its place; " +
		"find out who could write there, and who has the signing key"
	doDiffers = "stop the system, and restore the stream from a backup that this finds equal; what the archive holds is what was signed, " +
		"and what it holds of the sequences that are named can be read in its files (spans/)"
	doTaken     = "restore the archive from a copy; find out who could remove it"
	doNotSigned = "find out which key signed the checkpoint: if it is an older one of this archive, give that with --key, too; " +
		"if it is not known, the checkpoint, or the archive, is another one than was kept: verify a copy that was made then"
)

func runAuditVerify(ctx context.Context, at site, o auditVerifyOptions, out io.Writer) (err error) {
	cfg, err := at.config()
	if err != nil {
		return err
	}
	began := time.Now()
	report, err := verify(ctx, at, cfg, o)
	says := verified{Report: report, Proven: err == nil, Seconds: time.Since(began).Seconds()}
	var bad *archive.Wrong
	var differs *archive.LogDiffers
	switch {
	case errors.As(err, &bad):
		says.Wrong, says.Object, says.Seq, says.Do = err.Error(), bad.Object, bad.Seq, doWrong
	case errors.As(err, &differs):
		says.Wrong, says.Seq, says.Do = err.Error(), differs.Places[0].First, doDiffers
	case errors.Is(err, archive.ErrTaken):
		says.Do = doTaken
		says.Report, says.Wrong = &archive.Report{}, fmt.Sprintf("all of the archive was taken away: a checkpoint was kept of it, and now %v", archive.ErrEmpty)
	case errors.Is(err, archive.ErrNotSigned):
		says.Report, says.Wrong, says.Do = &archive.Report{}, err.Error(), doNotSigned
	case err != nil:
		return err
	case o.keep != "":
		if err := keepFile(o.keep, []byte(report.Checkpoint)); err != nil {
			return err
		}
	}
	if o.json {
		err = printJSON(out, says)
	} else {
		printVerified(out, says, o.against)
		err = nil
	}
	if err == nil && !says.Proven {
		err = errUnsettled
	}
	return err
}

func verify(ctx context.Context, at site, cfg roles.Config, o auditVerifyOptions) (report *archive.Report, err error) {
	v, _, closer, err := openVerify(ctx, at, cfg, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closer()) }()
	report, err = v.Run(ctx)
	return report, taken(v, err)
}

// taken tells of an archive that is not there, and of which a checkpoint was kept.
func taken(v archive.Verify, err error) error {
	if errors.Is(err, archive.ErrEmpty) && len(v.Kept)+len(v.Since) > 0 {
		return fmt.Errorf("%w: %w", archive.ErrTaken, err)
	}
	return err
}

// openVerify opens what is verified and what it is held to; the client is nil unless
// that is the log, too.
func openVerify(ctx context.Context, at site, cfg roles.Config, o auditVerifyOptions) (v archive.Verify, c *client, _ func() error, err error) {
	var closers []func() error
	closer := func() error {
		var errs []error
		for _, c := range closers {
			errs = append(errs, c())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closer())
		}
	}()
	if v.Keys, err = keysOf(cfg, o.keys); err != nil {
		return v, nil, nil, err
	}
	if v.Kept, err = readKept(o.kept); err != nil {
		return v, nil, nil, err
	}
	if o.since != "" {
		if v.Since, err = os.ReadFile(o.since); err != nil {
			return v, nil, nil, fmt.Errorf("--since: %w", err)
		}
	}
	if _, signed, err := roles.KeptCheckpoint(cfg, v.Keys); err == nil && signed != nil && o.since == "" {
		v.Kept = append(v.Kept, signed)
	}
	bucket, closeBucket, err := roles.OpenAudit(ctx, cfg, true)
	if err != nil {
		return v, nil, nil, taken(v, err)
	}
	closers = append(closers, closeBucket)
	v.Bucket = bucket
	if !o.against {
		return v, c, closer, nil
	}
	c, err = connect(ctx, at, false)
	if err != nil {
		return v, nil, nil, err
	}
	closers = append(closers, c.close)
	v.Against = c.log
	v.Known, err = knownOf(ctx, c)
	return v, c, closer, err
}

// knownOf gives the checkpoints behind which the log was trimmed, as far as it still says
// so itself.
func knownOf(ctx context.Context, c *client) ([]archive.Checkpoint, error) {
	first, _, err := c.log.Bounds(ctx)
	if err != nil {
		return nil, err
	}
	trims, err := fsck.Trims(ctx, c.log, first)
	var out []archive.Checkpoint
	for _, e := range trims {
		known := archive.Checkpoint{Origin: e.GetArchiveOrigin(), Size: e.GetTreeSize()}
		copy(known.Root[:], e.GetTreeRoot())
		out = append(out, known)
	}
	return out, err
}

func printVerified(out io.Writer, v verified, against bool) {
	if !v.Proven {
		fmt.Fprintf(out, "%s\n    to do: %s\n", v.Wrong, v.Do)
		return
	}
	switch {
	case v.Since == 0:
		fmt.Fprintf(out, "proven: %s of %q in %s, sequences 1 to %d, of %s\n",
			count(int(v.Events), "event"), v.Origin, count(int(v.Spans), "span"), v.Size, days(v.Oldest, v.Newest))
	case v.Since == v.Size:
		fmt.Fprintf(out, "proven: %q still ends with the checkpoint of sequence %d; what comes before it was not looked at again\n", v.Origin, v.Since)
	default:
		fmt.Fprintf(out, "proven: %s of %q, sequences %d to %d, of %s; it extends the checkpoint of sequence %d, and what comes before that was not looked at again\n",
			count(int(v.Events), "event"), v.Origin, v.Since+1, v.Size, days(v.Oldest, v.Newest), v.Since)
	}
	if v.Gaps > 0 {
		fmt.Fprintf(out, "at %s, the first of them %d, the log held nothing when it was archived: what stood there was removed before\n",
			count(int(v.Gaps), "sequence"), v.FirstGap)
	}
	if v.Unsigned != "" {
		fmt.Fprintf(out, "%s is not signed yet: a writer is at it, or the next one takes it up\n", v.Unsigned)
	}
	if against {
		fmt.Fprintf(out, "%s compared with the log: equal; it has %s beyond the archive\n",
			count(int(v.Compared), "sequence"), count(int(v.Unarchived), "event"))
	}
}
