package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/tools/internal/roles"
)

func newAuditProve() *cobra.Command {
	var keys []string
	var out string
	cmd := &cobra.Command{
		Use:   "prove FILE",
		Short: "Prove the events of one file to a third party",
		Long: `Write a proof that the events of one file stand in the log: the events, byte for byte, the
path of each through the Merkle tree, and the signed checkpoint. It needs nothing beside
it but the verifier key: "blotter audit check", or any other tool that knows RFC 6962 and
C2SP tlog-checkpoint, checks it offline. FILE is the id, or its first six digits or more.

It proves that what it holds was in the log, in this order. That nothing else was there
about the file, only the whole archive proves. The archive is verified on the way; the
proof reaches as far as its last checkpoint.`,
		Example: `  blotter audit prove 1f3a5c7e -o proof.json
  blotter audit check proof.json --key verifier.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args[0]) < 6 || strings.Trim(args[0], "0123456789abcdef") != "" {
				return fmt.Errorf("%q: give the file's id, or at least its first six hexadecimal digits: `blotter table show TABLE` and `blotter log TABLE` show them beside the object's name", args[0])
			}
			return runAuditProve(cmd.Context(), siteOf(cmd), args[0], keys, out, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	addKeyFlag(cmd, &keys)
	cmd.Flags().StringVarP(&out, "out", "o", "", "write the proof to this file (default: standard output)")
	return cmd
}

func runAuditProve(ctx context.Context, at site, file string, given []string, name string, out, tell io.Writer) (err error) {
	cfg, err := at.config()
	if err != nil {
		return err
	}
	keys, err := keysOf(cfg, given)
	if err != nil {
		return err
	}
	bucket, closer, err := roles.OpenAudit(ctx, cfg, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	p, report, err := archive.Prove(ctx, bucket, keys, file, func(r eventlog.Record) bool { return concerns(r, file) })
	if errors.Is(err, archive.ErrNothing) {
		return fmt.Errorf("file %s: %w up to sequence %d; `blotter audit archive` archives what is newer", file, err, report.Size)
	}
	if err != nil {
		return err
	}
	b, err := p.Encode()
	if err != nil {
		return err
	}
	if name == "" {
		if _, err = out.Write(b); err != nil {
			return fmt.Errorf("write the proof: %w", err)
		}
	} else if err := keepFile(name, b); err != nil {
		return err
	}
	fmt.Fprintf(tell, "%s proven, in a log of %d\n", count(len(p.Events), "event"), report.Size)
	return nil
}

func newAuditCheck() *cobra.Command {
	var keys []string
	cmd := &cobra.Command{
		Use:   "check PROOF",
		Short: "Check a proof, offline",
		Long: `Check a proof that "blotter audit prove" wrote, by itself: the checkpoint in it is signed
with the key, each event in it gives its leaf, and each path leads to the signed root.
The events that it proves are printed. Every byte counts: a proof that was edited is
refused, even if its sense is the same.

It needs the proof and the key, and nothing else. The exit code is 0 if the proof holds,
3 if it does not, and 1 if it could not look.`,
		Example: `  blotter audit check proof.json --key verifier.txt
  blotter audit check proof.json --key 'rms.police.example/blotter+1f3a5c7e+Ae…'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := siteOf(cmd).config()
			if err != nil {
				return err
			}
			believed, err := keysOf(cfg, keys)
			if err != nil {
				return err
			}
			return runAuditCheck(args[0], believed, cmd.OutOrStdout())
		},
	}
	addKeyFlag(cmd, &keys)
	return cmd
}

func runAuditCheck(name string, keys archive.Keys, out io.Writer) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("read the proof: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, archive.MaxProof+1))
	if err != nil {
		return fmt.Errorf("read the proof: %w", err)
	}
	p, events, c, err := archive.Check(b, keys)
	var bad *archive.Wrong
	if errors.As(err, &bad) {
		fmt.Fprintf(out, "the proof does not hold: %s\n", bad.What)
		return errUnsettled
	}
	if err != nil {
		return err
	}
	for _, r := range events {
		if len(p.Of) < 6 || !concerns(r, p.Of) {
			fmt.Fprintf(out, "the proof does not hold: it is said to be of file %q, the event at sequence %d is not\n", p.Of, r.Seq)
			return errUnsettled
		}
	}
	for _, r := range events {
		fmt.Fprintln(out, recordLine(r, true))
	}
	fmt.Fprintf(out, "proven: %s of file %s, in the log %q of %d events\n", count(len(events), "event"), p.Of, c.Origin, c.Size)
	return nil
}
