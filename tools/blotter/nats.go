package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/natsauth"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// usersFile is what a NATS server includes.
const usersFile = "blotter-users.conf"

func newNATS() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "nats",
		Short: "The users of a NATS server, and the event log on it",
		Long: `Prepare a NATS server on which services and people are users of their own, each of which
may do what it needs and nothing else: only the service whose event it is can publish it.
A server that a process of Blotter runs for itself asks nobody, and needs none of this.`,
		Example: `  blotter nats users --out /etc/nats/blotter
  BLOTTER_NATS=tls://nats:4222 blotter nats create --nats-nkey /etc/nats/blotter/admin.nk`,
		Args: cobra.NoArgs,
		RunE: wantsSubcommand,
	}
	cmd.AddCommand(newNATSUsers(), newNATSCreate())
	return cmd
}

func newNATSUsers() *cobra.Command {
	var out string
	var more, anew []string
	cmd := &cobra.Command{
		Use:   "users --out DIR",
		Short: "Write the users of the server, with their permissions and seeds",
		Long:  natsUsersHelp(),
		Example: `  blotter nats users --out /etc/nats/blotter
  blotter nats users --out /etc/nats/blotter --user all=` + strings.Join(roles.Names(), ",") + `
  blotter nats users --out /etc/nats/blotter --user up       # one process with everything`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return writeUsers(out, more, anew, cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&out, "out", "", "folder of the seeds and of "+usersFile+", made if it is missing")
	cmd.Flags().StringArrayVar(&more, "user", nil, "NAME=PART,…: another user, who may what these parts may; once for each")
	cmd.Flags().StringSliceVar(&anew, "new", nil, "NAME: make a new seed for a user whose seed is gone, which locks out who has that; once for each")
	needsFlag(cmd, "out", "say where the seeds are to lie with --out DIR, which the server need not read but for "+usersFile)
	return cmd
}

// natsUsersHelp lists who may do what.
func natsUsersHelp() string {
	var b strings.Builder
	fmt.Fprintf(&b, `Write the users of a NATS server: %s, which tells it who they are by their
public NKeys and what each may do, and for each user a file NAME.nk with its seed, for the
owner of the file alone. A seed that is there is kept, always: run it again whenever you
like, and after each update. In the server's configuration, beside jetstream and tls:

  authorization { include "%[1]s" }

Then have it reload. Give each process and person its seed with --nats-nkey or in
BLOTTER_NATS_NKEY, as the name of a file. The users are:

`, usersFile)
	for _, a := range roles.Accesses() {
		note := ""
		if !a.Standard {
			note = " (only with --user)"
		}
		fmt.Fprintf(&b, "  %-18s  %s%s\n", a.Name, a.May, note)
	}
	fmt.Fprintf(&b, `
All of them may read the log. Nobody may delete the log or one event of it. A process
with several roles gets a user of its own, with --user: give it each time, so that it
stays. Of a user the server knows every seed that is there as NAME.nk or NAME.WORD.nk:
to exchange one, rename it, run this, and remove the renamed one when nobody uses it. Of a
user whom the server's file that is there knows, and whose seeds are gone, it makes no new
one by itself: bring them back, or say --new NAME.`)
	return b.String()
}

// writeUsers makes the seeds that are missing, and writes what the server includes.
func writeUsers(dir string, more, anew []string, out io.Writer) error {
	users := roles.StandardUsers()
	for _, text := range more {
		u, err := roles.ParseNATSUser(text)
		if err != nil {
			return fmt.Errorf("--user: %w", err)
		}
		if slices.ContainsFunc(users, func(o roles.NATSUser) bool { return o.Name == u.Name }) {
			return fmt.Errorf("--user: user %s is there already", u.Name)
		}
		users = append(users, u)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder of the seeds: %w", err)
	}
	if err := lockNobodyOut(dir, users, anew); err != nil {
		return err
	}
	keys := make(map[string][]string, len(users))
	w := newTableWriter(out)
	w.AppendHeader(table.Row{"user", "seed", ""})
	for _, u := range users {
		public, made, err := natsauth.Seed(dir, u.Name)
		if err != nil {
			return err
		}
		keys[u.Name] = public
		state := "kept"
		if made {
			state = "new"
		}
		if len(public) > 1 {
			state += ", and " + count(len(public)-1, "older one")
		}
		w.AppendRow(table.Row{u.Name, natsauth.SeedFile(dir, u.Name), state})
	}
	var b bytes.Buffer
	if err := natsauth.Render(&b, roles.NATSUsers(eventlog.DefaultConfig(), users, keys)); err != nil {
		return err
	}
	file := filepath.Join(dir, usersFile)
	err := os.WriteFile(file+".new", b.Bytes(), 0o644)
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		return fmt.Errorf("write the users of the NATS server: %w", err)
	}
	w.Render()
	fmt.Fprintf(out, "the server's file is %s: include it, and have the server reload\n", file)
	return tellForgotten(dir, keys, out)
}

// lockNobodyOut refuses to make new seeds for users that the file of the server knows by seeds
// that are not there: whoever has those would be refused once the server reloads.
func lockNobodyOut(dir string, users []roles.NATSUser, anew []string) error {
	file := filepath.Join(dir, usersFile)
	written, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the users of the NATS server: %w", err)
	}
	known := natsauth.Known(written)
	var gone []string
	for _, u := range users {
		keys, err := natsauth.Public(dir, u.Name)
		if err != nil {
			return err
		}
		there := slices.ContainsFunc(known[u.Name], func(key string) bool { return slices.Contains(keys, key) })
		if len(known[u.Name]) > 0 && !there && !slices.Contains(anew, u.Name) {
			gone = append(gone, u.Name)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return fmt.Errorf("%s knows %s by seeds that are not in %s: with new ones, whoever has those would be refused. "+
		"Bring the seeds back, as %s; or make new ones with --new %s, and give those out before the server reloads",
		file, strings.Join(gone, ", "), dir, natsauth.SeedFile(dir, gone[0]), strings.Join(gone, ","))
}

// tellForgotten names seeds that no user has any more.
func tellForgotten(dir string, keys map[string][]string, out io.Writer) error {
	seeds, err := natsauth.SeedFiles(dir)
	if err != nil {
		return err
	}
	for _, file := range seeds {
		if keys[natsauth.UserOf(file)] == nil {
			fmt.Fprintf(out, "%s is the seed of no user now: name the user with --user, or remove the file\n", file)
		}
	}
	return nil
}

func newNATSCreate() *cobra.Command {
	var replicas int
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make the event log on the server, if it is not there",
		Long: `Make the event log on the server of --nats, as a user who may: admin. Where services are
users of their own, none of them may, and a service that finds no log says so and ends.
It may be run again: a log that is there is left as it is, and an error tells how it
differs from what was asked for.

The log has three replicas, each on another server of a cluster, so that one of them may be
lost. On one server alone give --log-replicas 1. Services take the log as they find it, and
need not be told.`,
		Example: `  blotter nats create --nats tls://nats-1:4222,nats-2:4222,nats-3:4222 --nats-nkey /etc/nats/blotter/admin.nk
  blotter nats create --nats tls://nats:4222 --nats-nkey /etc/nats/blotter/admin.nk --log-replicas 1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := siteOf(cmd).config()
			if err == nil {
				err = setReplicas(&cfg, replicas)
			}
			if err != nil {
				return err
			}
			return createLog(cmd.Context(), cfg, cmd.OutOrStdout())
		},
	}
	addPlaceFlags(cmd.Flags(), true)
	for _, name := range []string{"nats", "nats-nkey", "nats-ca", "nats-cert", "nats-key"} {
		cmd.Flags().Lookup(name).Hidden = false
	}
	addReplicasFlag(cmd.Flags(), &replicas)
	return cmd
}

func createLog(ctx context.Context, cfg roles.Config, out io.Writer) error {
	if cfg.Places.NATS == "" {
		return errors.New("name the NATS server with --nats (BLOTTER_NATS); one that a process runs for itself needs no preparation")
	}
	nc, err := cfg.ConnectNATS(cfg.Places.NATS, "blotter-create", newLogger(false))
	if err != nil {
		return err
	}
	defer nc.Close()
	log, err := eventlog.Open(ctx, nc, cfg.Log)
	if err != nil {
		return err
	}
	if got, want := log.Replicas(), cfg.Log.Replicas; got != want {
		return fmt.Errorf("the event log is there and has %s, not %d, which is what %s (--log-replicas) says, or 3 if it says nothing: say %d, or change it as the user admin with `nats stream edit %s --replicas=%d`",
			count(got, "replica"), want, replicasVariable, got, cfg.Log.Stream, want)
	}
	last, err := log.Last(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "the event log %s is on %s, with %s and %s\n", cfg.Log.Stream, eventlog.Redacted(cfg.Places.NATS),
		count(log.Replicas(), "replica"), count(int(last), "event")) //nolint:gosec // a count for people
	return nil
}
