package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/localspark"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/lifecycle"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/telemetry"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	"github.com/openblotter/blotter/tools/internal/roles"
	"github.com/openblotter/blotter/tools/internal/spark"
)

// processOptions say how a process works, beside where everything is.
type processOptions struct {
	roles     []string // nil: all
	port      int
	rescan    time.Duration
	stableFor time.Duration
	replicas  int
	spark     bool
	verbose   bool
}

// replicasVariable is the environment variable for --log-replicas.
const replicasVariable = "BLOTTER_LOG_REPLICAS"

func (o *processOptions) add(flags *pflag.FlagSet) {
	flags.DurationVar(&o.rescan, "rescan", time.Minute, "how often to look into the raw bucket, besides when something tells of it")
	flags.DurationVar(&o.stableFor, "stable-for", local.DefaultWatchConfig().StableFor, "how long a file in a raw folder must be left alone before it is taken")
	addReplicasFlag(flags, &o.replicas)
	flags.BoolVar(&o.spark, "spark", false, "transform tables with flag G by the Spark job, on this machine; needs folders, Java 17 and Python 3.11")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "log what the services do to stderr")
}

// config is the configuration of a process with these options.
func (o processOptions) config(at site) (roles.Config, error) {
	cfg, err := at.config()
	if err != nil {
		return cfg, err
	}
	cfg.Roles, cfg.NATSPort, cfg.Watch.Rescan, cfg.Watch.StableFor = o.roles, o.port, o.rescan, o.stableFor
	for flag, d := range map[string]time.Duration{"--rescan": o.rescan, "--stable-for": o.stableFor} {
		if d <= 0 {
			return cfg, fmt.Errorf("%s %s: it must be greater than zero", flag, d)
		}
	}
	return cfg, setReplicas(&cfg, o.replicas)
}

// setReplicas sets the replicas of a log that is to be made: as a flag says, else as the
// environment does.
func setReplicas(cfg *roles.Config, replicas int) (err error) {
	if v := os.Getenv(replicasVariable); v != "" && replicas == 0 {
		if replicas, err = strconv.Atoi(v); err != nil {
			return fmt.Errorf("%s: %w", replicasVariable, err)
		}
	}
	if replicas != 0 && cfg.Places.NATS != "" {
		cfg.Log.Replicas = replicas
	}
	return nil
}

func addReplicasFlag(flags *pflag.FlagSet, replicas *int) {
	flags.IntVar(replicas, "log-replicas", 0, "replicas of the event log if this makes it on the server of --nats, which needs as many servers; one that is there keeps its own (default 3) ["+replicasVariable+"]")
}

// inProcess opens a process, with its telemetry, and closes it when do has ended.
func inProcess(ctx context.Context, at site, o processOptions, do func(*roles.Process) error) (err error) {
	cfg, err := o.config(at)
	if err != nil {
		return err
	}
	shutdown, err := telemetry.Setup(ctx, telemetry.Config{})
	if err != nil {
		return fmt.Errorf("set up telemetry: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, shutdown(ctx))
	}()
	logger := newLogger(o.verbose)
	if o.spark {
		session, err := spark.Open(ctx, logger, nil)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, session.Close()) }()
		cfg.GlueRunner = func(raw, staging, failed *local.Bucket, tables plan.Tables) jobs.Runner {
			return localspark.New(session.Session, raw, staging, failed, tables)
		}
	}
	p, err := roles.Open(ctx, cfg, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := p.Remember(); err != nil {
		return err
	}
	return do(p)
}

func newRun() *cobra.Command {
	var o processOptions
	cmd := &cobra.Command{
		Use:   "run --nats URL",
		Short: "Run some of the services in this process, the others elsewhere",
		Long: `Run services in this process until it is stopped: those of --roles, or all. They
meet the others on the NATS server of --nats, and share with them the places that
` + "`blotter places --help`" + ` tells of. One process at a time works in a folder (--dir), which
holds nothing but scratch files where all places are said; it may be killed at any
moment and started again, there or elsewhere.

Register tables with ` + "`blotter apply`" + `. ` + "`blotter health --dir DIR`" + ` tells whether the services work.

Traces go to an OpenTelemetry collector if OTEL_EXPORTER_OTLP_ENDPOINT is set.`,
		Example: `  export BLOTTER_NATS=nats://nats:4222 BLOTTER_CONTROL=dynamodb://blotter BLOTTER_HOLD=sqs://blotter-hold-
  blotter run --roles lock-manager,classifier --dir /tmp/deciders
  blotter run --roles ingest-router --raw s3://rms-raw/dms/ --failed s3://blotter-rms-failed --ingress sqs://blotter-ingress --dir /tmp/router`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at := siteOf(cmd)
			if at.err == nil && at.places.NATS == "" {
				return errors.New("name the NATS server on which the services meet with --nats (BLOTTER_NATS); `blotter up` runs all in one process without one")
			}
			return inProcess(cmd.Context(), at, o, func(p *roles.Process) error {
				fmt.Fprintf(cmd.ErrOrStderr(), "running: %s\n", strings.Join(rolesOf(o.roles), ", "))
				return runRoles(cmd.Context(), p)
			})
		},
	}
	flags := cmd.Flags()
	addPlaceFlags(flags, false)
	o.add(flags)
	flags.StringSliceVar(&o.roles, "roles", nil, "what to run, of "+strings.Join(roles.Names(), ", ")+" (default: all)")
	return cmd
}

// rolesOf names the roles that are meant.
func rolesOf(names []string) []string {
	if names == nil {
		return roles.Names()
	}
	return slices.Clone(names)
}

// runRoles runs the roles of a process until it is told to stop. With ingest-router
// among them it looks into the raw bucket, too, unless a queue tells of what is there.
func runRoles(ctx context.Context, p *roles.Process) error {
	var extra []lifecycle.Service
	if p.IngestRouter != nil && !p.Told() {
		extra = append(extra, lifecycle.Blocking(ingestrouter.ServiceName+" watch", p.Watch))
	}
	extra = append(extra, lifecycle.Service{Name: "health", Run: p.TellHealth})
	return p.Run(ctx, extra...)
}
