package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nuid"
	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lifecycle"
	"github.com/openblotter/blotter/pkg/registry"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/roles"
	"github.com/openblotter/blotter/tools/internal/tally"
)

type upOptions struct {
	at        site
	tables    []string
	untilIdle bool
	processOptions
}

func newUp() *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run everything in this process: all services, the log, the control store",
		Long: `Run all services in this process on an embedded NATS server, with folders for
buckets and SQLite for control store and catalog, unless it is said that they are
elsewhere: see ` + "`blotter places --help`" + `. It takes what lies in the raw folder and what
arrives. It may be killed at any moment and started again. The first time say which tables there
are (--tables). Once for each folder it tells of objects that are held since no registered
table has them.

With --until-idle it takes what lies in the raw folder as complete, which also
seals full loads, and ends when nothing is left to do: with exit code 0, or with
3 if anything is quarantined, set aside, held or paused.

A file in a raw folder counts as whole when nothing has touched it for --stable-for.
Write files elsewhere on the same file system, and rename them into place: then
none is ever taken half.

Tables with flag G are transformed in this process, like those with L, unless the
buckets are those of S3 and the table names a job of Glue; with --spark the job that
AWS Glue runs transforms them, in one Spark of this machine that starts with the
first of their files.

Traces go to an OpenTelemetry collector if OTEL_EXPORTER_OTLP_ENDPOINT is set.`,
		Example: `  blotter up --tables rms.yaml --raw /drop --dir /var/lib/blotter
  blotter up --until-idle --tables rms.yaml --raw ./drop --dir ./lake`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.at = siteOf(cmd)
			return up(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	addPlaceFlags(flags, false)
	o.processOptions.add(flags)
	flags.StringArrayVar(&o.tables, "tables", nil, "registration file to apply first; may be given again")
	flags.IntVar(&o.port, "port", 0, "port of the NATS server on 127.0.0.1 (default: a free one)")
	flags.BoolVar(&o.untilIdle, "until-idle", false, "take the raw folder as complete and end when nothing is left to do")
	return cmd
}

// up runs the whole system until it is idle or told to stop.
func up(ctx context.Context, o upOptions, out io.Writer) (err error) {
	specs, err := readRegistrations(o.tables)
	if err == nil && len(specs) == 0 {
		err = o.at.begun(ctx)
	}
	if err == nil {
		err = o.at.places.CheckTables(specs)
	}
	if err != nil {
		return err
	}
	return inProcess(ctx, o.at, o.processOptions, func(p *roles.Process) error {
		r := runner{process: p, options: o, specs: specs, tally: tally.New(), out: out, started: time.Now()}
		return r.run(ctx)
	})
}

func newLogger(verbose bool) *slog.Logger {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

func readRegistrations(files []string) ([]registry.Table, error) {
	var specs []registry.Table
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the registration file: %w", err)
		}
		tables, err := registry.Parse(b, name)
		if err != nil {
			return nil, err
		}
		specs = append(specs, tables...)
	}
	return specs, nil
}

// runner is one run of `up`.
type runner struct {
	process *roles.Process
	options upOptions
	specs   []registry.Table
	tally   *tally.Tally
	out     io.Writer
	started time.Time
}

func (r *runner) run(ctx context.Context) error {
	from, err := r.process.Log.Last(ctx)
	if err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	work, done := context.WithCancel(ctx)
	defer done()
	var worked error // told as it is, without the name of the part that met it
	err = r.process.Run(work,
		lifecycle.Service{Name: "health", Run: r.process.TellHealth},
		lifecycle.Blocking("progress", func(ctx context.Context) error { return r.follow(ctx, from+1) }),
		lifecycle.Blocking("work", func(ctx context.Context) error {
			worked = r.work(ctx)
			done()
			return nil
		}))
	if err != nil {
		return err
	}
	if worked != nil && ctx.Err() == nil {
		return worked
	}
	if ctx.Err() != nil {
		fmt.Fprintln(r.out, "stopped; start it again at any time, it goes on where it was")
	}
	return r.close(context.WithoutCancel(ctx))
}

// begin has the tally know what earlier runs left on its way, before anything runs.
func (r *runner) begin(ctx context.Context) error {
	ids, err := r.process.Store.Tables(ctx)
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	for _, id := range ids {
		state, err := readState(ctx, r.process.Store, id)
		if err != nil {
			return err
		}
		r.tally.Begin(state)
	}
	return nil
}

// work registers, then watches the raw folder, or takes it as complete.
func (r *runner) work(ctx context.Context) error {
	if err := r.register(ctx); err != nil {
		return err
	}
	if r.options.at.places.NATS == "" {
		fmt.Fprintf(r.out, "events: nats --server %s stream ls\n", r.process.URL())
	}
	if r.options.spark {
		fmt.Fprintln(r.out, "Spark starts with the first file of a table with flag G, which takes up to a minute")
	}
	if !r.options.untilIdle {
		return r.process.Watch(ctx)
	}
	if err := r.process.WholeFiles(ctx); err != nil {
		return err
	}
	listed, err := r.process.IngestRouter.List(ctx, ingestrouter.ListRequest{
		ID: nuid.Next(), Actor: operator(), Reason: "up --until-idle", Complete: true,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(r.out, "raw folder: %s\n", count(int(listed.Objects), "object"))
	if err := r.process.Settle(ctx); err != nil {
		return err
	}
	told, err := r.process.Alerted(ctx)
	if !told && err == nil {
		fmt.Fprintf(r.out, "a channel of --alerts did not answer within %s: what it was not told is sent by the next run within a day; "+
			"see `blotter alert test%s`\n", roles.AlertWait, r.options.at.flags())
	}
	return err
}

func (r *runner) register(ctx context.Context) error {
	if err := checkTogether(ctx, r.process.Store, r.specs); err != nil {
		return err
	}
	said, err := registerAll(r.specs, "up --tables", func(c lockmanager.CommandRequest) (string, error) {
		c.ID, c.Actor = nuid.Next(), operator()
		reply, err := r.process.LockManager.Execute(ctx, "apply", c)
		if err == nil && reply.Refused != "" {
			err = errors.New(reply.Refused)
		}
		return reply.Detail, err
	})
	if err != nil {
		return err
	}
	if r.out != nil {
		tellRegistered(r.out, said)
	}
	return r.process.IngestRouter.Learn(ctx)
}

// tellRegistered prints what is new about registrations: each that changes what was in
// force, and the first ones of tables together, of which there may be very many.
func tellRegistered(out io.Writer, said []string) {
	var first []string
	for _, detail := range said {
		if table, ok := strings.CutSuffix(detail, " registered, version 1"); ok {
			first = append(first, table)
		} else if strings.Contains(detail, ": ") {
			fmt.Fprintln(out, detail)
		}
	}
	if len(first) == 0 {
		return
	}
	names := strings.Join(first[:min(len(first), maxNamed)], ", ")
	if more := len(first) - maxNamed; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	fmt.Fprintf(out, "registered for the first time: %s\n", names)
}

// follow feeds the tally from the log and shows progress.
func (r *runner) follow(ctx context.Context, from uint64) error {
	show := newProgress(r.out, r.tally)
	defer show.stop()
	notes := newHeldNotes(r.process.Store, r.options.at, newLogger(r.options.verbose))
	if !r.options.untilIdle { // else the closing table tells
		show.say(notes.before(ctx, r.process.Store))
	}
	for record, err := range r.process.Log.Read(ctx, eventlog.Filter{FromSeq: from, Follow: true}) {
		if err != nil {
			return err
		}
		r.tally.Add(record.Table, record.Event)
		if !r.options.untilIdle {
			show.say(notes.of(ctx, record.Event))
		}
	}
	return ctx.Err()
}

// close shows the closing table and tells whether an operator is needed.
func (r *runner) close(ctx context.Context) error {
	summary, err := summarize(ctx, r.process.Store, r.tally)
	if err != nil {
		return err
	}
	summary.at = r.options.at
	summary.print(r.out, time.Since(r.started))
	for _, id := range r.process.SetBack {
		fmt.Fprintf(r.out, "%s takes no changes: the lake lacks what was committed to it; `blotter fsck` tells what to do\n", id)
	}
	if r.process.LogFault != "" {
		fmt.Fprintf(r.out, "%s; `blotter fsck` tells what to do\n", r.process.LogFault)
	}
	if r.options.untilIdle && (summary.unsettled() || len(r.process.SetBack) > 0 || r.process.LogFault != "") {
		return errUnsettled
	}
	return nil
}
