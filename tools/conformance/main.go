package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/openblotter/blotter/tools/internal/spark"
)

// The exit statuses.
const (
	exitPassed = iota
	exitFailed
	exitUsage
)

func main() {
	spark.RowsIfAsked()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	s, l := &sparkEngine{}, &lambdaEngine{}
	status := run(ctx, os.Args[1:], engines(s, l), os.Stdout, os.Stderr)
	if err := errors.Join(s.close(), l.close()); err != nil {
		fmt.Fprintf(os.Stderr, "conformance: %v\n", err)
		status = exitUsage
	}
	stop()
	os.Exit(status)
}

// run is the program without its process: it gives the exit status.
func run(ctx context.Context, args []string, engines map[string]Engine, stdout, stderr io.Writer) int {
	names := strings.Join(slices.Sorted(maps.Keys(engines)), ", ")
	if names == "" {
		names = "none"
	}
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: conformance [flags] DIR…\n\nruns the semantic cases at and below the folders through the whole pipeline")
		flags.PrintDefaults()
	}
	engine := flags.String("engine", "local", "the transform engine: "+names)
	orders := flags.Int("orders", 0, "deliver a case in at most this many orders; 0: in all that it asks for")
	only := flags.String("run", "", "run only cases whose name matches this regular expression")
	verbose := flags.Bool("v", false, "tell of every order")
	parallel := flags.Int("parallel", 2*runtime.NumCPU(), "run this many cases at once; they wait for the disk more than they work")
	timeout := flags.Duration("timeout", 2*time.Minute, "the time that one order of one case may take")
	keep := flags.String("keep", "", "keep what failing orders left below this folder")
	keepAll := flags.Bool("keep-all", false, "with -keep: keep what passing orders left, too")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	usage := func(format string, args ...any) int {
		fmt.Fprintf(stderr, "conformance: "+format+"\n", args...)
		return exitUsage
	}
	chosen, ok := engines[*engine]
	if !ok {
		return usage("there is no engine %q; there is: %s", *engine, names)
	}
	if flags.NArg() == 0 {
		return usage("name at least one folder with cases")
	}
	r := &runner{prepare: chosen.Prepare, factory: chosen.Open, orders: *orders, parallel: *parallel, timeout: *timeout, verbose: *verbose, keep: *keep, keepAll: *keepAll, out: stdout}
	if *keepAll && *keep == "" {
		return usage("-keep-all goes with -keep, which names the folder")
	}
	if *only != "" {
		var err error
		if r.only, err = regexp.Compile(*only); err != nil {
			return usage("-run: %v", err)
		}
	}
	passed, failed, err := r.run(ctx, flags.Args())
	if err != nil {
		fmt.Fprintf(stderr, "conformance: %v\n", err)
	}
	fmt.Fprintf(stdout, "%d passed, %d failed\n", passed, failed)
	switch {
	case err != nil:
		return exitUsage
	case failed > 0:
		return exitFailed
	}
	return exitPassed
}
