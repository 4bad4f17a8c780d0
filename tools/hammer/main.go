// Command hammer plays made-up histories against the real services while all that
// can go wrong does, and checks every invariant in the end.
//
//	go run ./tools/hammer                     # seeds 0 to 39
//	go run ./tools/hammer -seeds 1 -from 17 -v -keep /tmp/17
//	go run ./tools/hammer -processes -seeds 5 # roles and NATS servers are processes
//
// It ends with status 1 if anything does not hold.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/tools/internal/hammer"
)

const (
	exitHolds = iota
	exitViolated
	exitUsage
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var status int
	if part, err := hammer.Part(ctx); !part {
		status = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	} else if err != nil {
		fmt.Fprintf(os.Stderr, "hammer: %v\n", err)
		status = exitViolated
	}
	stop()
	os.Exit(status)
}

type options struct {
	from, seeds    uint64
	tables, files  int
	replicas       int
	restarts       int
	parallel       int
	processes      bool
	nodes          int
	timeout        time.Duration
	keep           string
	steps, verbose bool
	stdout, stderr io.Writer
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := options{stdout: stdout, stderr: stderr}
	flags := flag.NewFlagSet("hammer", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: hammer [flags]\n\nplays a history for each seed while all that can go wrong does, and checks every invariant\n\n")
		flags.PrintDefaults()
	}
	flags.Uint64Var(&o.from, "from", 0, "the first seed")
	flags.Uint64Var(&o.seeds, "seeds", 40, "how many seeds to play")
	flags.IntVar(&o.tables, "tables", 0, "tables of a history; 0: one of each kind")
	flags.IntVar(&o.files, "files", 0, "change files of each generation of a table; 0: as the seed says")
	flags.BoolVar(&o.processes, "processes", false, "have the roles, in several replicas, and the NATS servers be processes that die by kill -9")
	flags.IntVar(&o.nodes, "nodes", 0, "NATS servers with -processes: 1 or 3, of which the leader dies; 0: as the seed says")
	flags.IntVar(&o.replicas, "replicas", 0, "replicas of all services; 0: as the seed says")
	flags.IntVar(&o.restarts, "restarts", -1, "restarts of the NATS server, at most; -1: as the seed says")
	flags.IntVar(&o.parallel, "parallel", 3, "how many histories are played at once")
	flags.DurationVar(&o.timeout, "timeout", 3*time.Minute, "how long one history may take")
	flags.StringVar(&o.keep, "keep", "", "keep what violated histories left below this folder")
	flags.BoolVar(&o.steps, "steps", false, "tell in the end what was done at which step")
	flags.BoolVar(&o.verbose, "v", false, "log what the services do to stderr")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitHolds
	case err != nil:
		return exitUsage
	}
	if flags.NArg() > 0 || o.seeds == 0 || o.parallel < 1 {
		fmt.Fprintln(stderr, "hammer: it takes no arguments, and plays at least one seed at a time; see -help")
		return exitUsage
	}
	sum, err := o.play(ctx)
	if o.steps {
		sum.WriteSteps(stdout)
	}
	sum.Write(stdout)
	if err != nil {
		fmt.Fprintf(stderr, "hammer: %v\n", err)
		return exitUsage
	}
	if len(sum.Violations) > 0 {
		return exitViolated
	}
	return exitHolds
}

// play plays all seeds, some at once. One that could not be played does not end the
// others: its error comes with those of all.
func (o options) play(ctx context.Context) (sum hammer.Report, err error) {
	var mu sync.Mutex
	var errs []error
	var group errgroup.Group
	group.SetLimit(o.parallel)
	for seed := o.from; seed < o.from+o.seeds && ctx.Err() == nil; seed++ {
		group.Go(func() error {
			report, err := o.seed(ctx, seed)
			mu.Lock()
			defer mu.Unlock()
			sum.Add(report) // what broke off a history stands in it, too
			if err != nil {
				errs = append(errs, fmt.Errorf("seed %d: %w", seed, err))
				fmt.Fprintln(o.stdout, errs[len(errs)-1])
				return nil
			}
			fmt.Fprintln(o.stdout, report.Line())
			return nil
		})
	}
	_ = group.Wait() // its functions keep their errors
	return sum, errors.Join(errs...)
}

func (o options) seed(ctx context.Context, seed uint64) (report hammer.Report, err error) {
	if o.keep != "" {
		if err := os.MkdirAll(o.keep, 0o755); err != nil {
			return report, fmt.Errorf("make the folder that keeps what is left: %w", err)
		}
	}
	dir, err := os.MkdirTemp(o.keep, fmt.Sprintf("hammer-%d-", seed))
	if err != nil {
		return report, fmt.Errorf("make a folder: %w", err)
	}
	defer func() {
		if len(report.Violations) > 0 && o.keep != "" {
			fmt.Fprintf(o.stdout, "seed %d: kept in %s\n", seed, dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	cfg := hammer.DefaultConfig(seed)
	if o.processes {
		cfg = hammer.ManyProcesses(seed)
	}
	if o.nodes > 0 {
		cfg.Nodes = o.nodes
	}
	cfg.Dir, cfg.Timeout = dir, o.timeout
	if o.tables > 0 {
		cfg.Tables = o.tables
	}
	if o.files > 0 {
		cfg.Files = o.files
	}
	if o.replicas > 0 {
		cfg.Replicas = o.replicas
	}
	if o.restarts >= 0 {
		cfg.Restarts = o.restarts
	}
	if o.verbose {
		cfg.Logger = slog.New(slog.NewTextHandler(o.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return hammer.Run(ctx, cfg)
}
