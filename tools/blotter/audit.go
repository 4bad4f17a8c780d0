package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/tools/internal/roles"
)

const auditHelp = `Keep and check the signed archive of the event log.

While the system runs, closed spans of the log are written as Parquet files to the place
of --audit (see "blotter places --help"): 65,536 events or 32 MiB of them, or what there
is when the oldest event that is not archived is an hour old. The role curator does it.
All events are leaves of one Merkle tree (RFC 6962), leaf 0 is sequence 1, and each span
ends with a checkpoint: size and root of the tree and the hash of the span's file, signed
(C2SP tlog-checkpoint). Whoever has the verifier key can prove that nothing was changed,
left out or reordered. The files can be queried with DuckDB, pandas or Athena.

The signing key is in BLOTTER_AUDIT_KEY: its text, or the name of a file with it. Where
the archive is a folder and no key is given, one is made in the folder of the system
(audit-key, for its owner alone). Whoever has it can sign another history: keep it from
those whom the archive is to bind, and keep checkpoints elsewhere, to hold it to them.`

func newAudit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "The signed archive of the event log: write, verify, prove",
		Long:  auditHelp,
		Example: `  blotter audit archive                           # write what is not archived yet
  blotter audit key > verifier.txt                # what others need to check it
  blotter audit verify --key verifier.txt         # prove that nothing was changed
  blotter audit prove 1f3a5c7e > proof.json       # one file's events, for a third party
  blotter audit check proof.json --key verifier.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAuditArchive(), newAuditVerify(), newAuditTrim(), newAuditProve(), newAuditCheck(), newAuditKey())
	return cmd
}

func newAuditArchive() *cobra.Command {
	var gaps bool
	cmd := &cobra.Command{
		Use:   "archive",
		Short: "Write all events that are not archived yet",
		Long: `Write all that the log holds now to the archive, without waiting until a span is full or
an hour old. It works on a running and on a stopped system, and goes on from whatever an
earlier writer left. It needs the signing key, see "blotter audit --help".

Nothing is ever deleted from the middle of the log. Where it lacks an event, its files were
damaged, and the archive does not go on: restore the stream from a backup. If the event is
lost for good, --gaps has the archive say that it is missing, which it says for ever.`,
		Example: `  blotter audit archive
  BLOTTER_AUDIT_KEY=/secrets/audit-key blotter audit archive --nats nats://nats:4222 --audit s3://rms-audit`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runArchive(cmd.Context(), siteOf(cmd), gaps, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&gaps, "gaps", false, "sign events that the log has lost as missing, and go on behind them")
	return cmd
}

func runArchive(ctx context.Context, at site, gaps bool, out io.Writer) (err error) {
	cfg, err := at.config()
	if err != nil {
		return err
	}
	cfg.Archive.SignGaps = gaps
	c, err := connect(ctx, at, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	bucket, closer, err := roles.OpenAudit(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	w, err := roles.NewArchiver(ctx, cfg, bucket, c.log)
	if err != nil {
		return err
	}
	spans := 0
	err = w.Rest(ctx, func(c archive.Checkpoint) {
		spans++
		fmt.Fprintf(out, "span %d  sequences %d to %d\n", c.Span.Number, c.Span.First, c.Span.Last)
	})
	if err != nil {
		return err
	}
	head, err := w.Head(ctx)
	switch {
	case err != nil:
		return err
	case head == nil:
		fmt.Fprintln(out, "the log holds no event yet")
	default:
		fmt.Fprintf(out, "%s written: the log is archived up to sequence %d\n", count(spans, "span"), head.Size)
	}
	return nil
}

// addKeyFlag adds --key.
func addKeyFlag(cmd *cobra.Command, keys *[]string) {
	cmd.Flags().StringArrayVar(keys, "key", nil, "verifier key to believe: a file, or its text; once for each (default: that of the signing key at hand)")
}

// keysOf reads the keys to believe: those that are given, else those of the signing key
// at hand.
func keysOf(cfg roles.Config, given []string) (archive.Keys, error) {
	var text strings.Builder
	for _, one := range given {
		b, err := os.ReadFile(one)
		switch {
		case err == nil:
			text.Write(b)
		case strings.Count(one, "+") >= 2:
			text.WriteString(one)
		default:
			return archive.Keys{}, fmt.Errorf("--key: %w", err)
		}
		text.WriteByte('\n')
	}
	if len(given) == 0 {
		public, err := roles.AuditPublic(cfg)
		if err != nil {
			return archive.Keys{}, fmt.Errorf("say whose signature is believed with --key, the verifier key that `blotter audit key` prints where the archive is written: an archive cannot vouch for itself (%w)", err)
		}
		text.WriteString(public)
	}
	keys, err := archive.ParseKeys(text.String())
	if err != nil {
		return keys, fmt.Errorf("--key: %w", err)
	}
	return keys, nil
}

func newAuditKey() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Print the verifier key, or make a new pair",
		Long: `Print the verifier key, which others need to check the archive: publish it where it cannot
be exchanged together with the archive.

With --new, make a pair for a deployment: the signing key goes to standard output, for
BLOTTER_AUDIT_KEY, and the verifier key to standard error. NAME becomes the origin of an
archive that the key begins; let no two systems have the same. To go on with another
key, give the new one in BLOTTER_AUDIT_KEY and the verifier keys of those before it in
BLOTTER_AUDIT_OLDER_KEYS; those who verify then need both.`,
		Example: `  blotter audit key
  blotter audit key --new rms.police.example/blotter > audit-key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("new") {
				secret, public, err := archive.NewKey(name)
				if err != nil {
					return fmt.Errorf("--new: %w", err)
				}
				fmt.Fprintln(cmd.OutOrStdout(), secret)
				fmt.Fprintln(cmd.ErrOrStderr(), public)
				return nil
			}
			cfg, err := siteOf(cmd).config()
			if err != nil {
				return err
			}
			public, err := roles.AuditPublic(cfg)
			if errors.Is(err, roles.ErrNoKey) {
				return fmt.Errorf("no archive was written from here yet, or its signing key was lost: the verifier key lies beside each archive, too, in its folder keys, but believe only one that was kept elsewhere (%w)", err)
			}
			if err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), public)
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "new", "", "make a new pair of keys of this name")
	return cmd
}

// readKept reads checkpoints that were kept.
func readKept(files []string) ([][]byte, error) {
	var out [][]byte
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("--checkpoint: %w", err)
		}
		out = append(out, b)
	}
	return out, nil
}

// keepFile writes a file whole or not at all.
func keepFile(name string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(f.Name()))
	}
	return nil
}

// days gives two times as people read them.
func days(from, to time.Time) string {
	const layout = "2006-01-02 15:04:05"
	return from.UTC().Format(layout) + " to " + to.UTC().Format(layout) + " UTC"
}
