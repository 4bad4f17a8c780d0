// Command bench measures the whole product as a user runs it: it writes a full
// load of made-up rows, has the real binary take it in with `up --until-idle`,
// and prints wall time, CPU time and peak memory.
//
// With -memory it stages a load file, as CSV, gzip and Parquet, each in a process
// of its own, prints how much memory that took, and fails above a bound.
//
// With -function MB it has the Lambda function stage such files, from and to S3.
//
// With -maintained DIR it makes, in a new folder, two tables with the same rows
// for a reader to compare: bench.churned got many change batches and was
// maintained since, bench.fresh was loaded. .ci/readers/speed reads them.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/openblotter/blotter/tools/internal/sample"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	rows, columns, rounds int
	seed                  uint64
	memory                bool
	function              int
	size, bound           byteSize
	formats               formatList
	maintained            string
	batches, changes      int
}

const usage = `Measures Blotter on made-up rows; run it in the root of the project.

  bench [-rows N] [-columns N] [-rounds N]
      has the whole product take in a full load: wall time, CPU time, peak memory
  bench -memory [-size 1GiB] [-bound 512MiB] [-formats csv,gzip,parquet]
      stages one load file of each form, in a process of its own, with the settings
      that a transform has anyhow: rows, seconds, MB/s (of the rows as CSV), peak
      memory; exits with 1 if a peak is above the bound. Temporary files
      take about 2.5 times the size
  bench -function MB [-size 1GiB] [-formats csv,gzip,parquet]
      has the Lambda function, with so much memory, stage one load file of each form from
      and to S3: the size of the program, its start, rows, seconds, MB/s, peak memory.
      Stand-ins answer for Lambda and S3, so neither the network nor the processor is
      that of AWS
  bench -maintained DIR [-rows N] [-batches N] [-changes N]
      makes two tables with the same rows in a new folder, for a reader to compare:
      bench.churned got change batches and was maintained, bench.fresh was loaded

`

func parse(args []string, out io.Writer) (options, error) {
	o := options{size: 1 << 30, bound: 512 << 20, formats: loadFormats}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, usage)
		flags.PrintDefaults()
	}
	flags.IntVar(&o.rows, "rows", 1_000_000, "rows of the load")
	flags.IntVar(&o.columns, "columns", 20, "columns of the load")
	flags.IntVar(&o.rounds, "rounds", 3, "how often to measure the load")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of the rows")
	flags.BoolVar(&o.memory, "memory", false, "measure the memory of a transform")
	flags.IntVar(&o.function, "function", 0, "measure the Lambda function with this much memory, in MB")
	flags.Var(&o.size, "size", "with -memory or -function: the load file's rows as CSV")
	flags.Var(&o.bound, "bound", "with -memory: the peak that is allowed")
	flags.Var(&o.formats, "formats", "with -memory or -function: the forms of the load file")
	flags.StringVar(&o.maintained, "maintained", "", "make tables for a reader to compare in this folder")
	flags.IntVar(&o.batches, "batches", 200, "with -maintained: change batches")
	flags.IntVar(&o.changes, "changes", 500, "with -maintained: changes of one batch")
	err := flags.Parse(args)
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("%q is no option; -help tells of them", flags.Arg(0))
	case o.memory && o.maintained != "":
		err = errors.New("-memory and -maintained do not go together")
	}
	return o, err
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if task, ok := os.LookupEnv(stageVariable); ok {
		return stageAsTold(ctx, task)
	}
	o, err := parse(args, os.Stderr)
	switch {
	case err != nil:
		return err
	case o.memory:
		program, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		return measureMemory(ctx, memoryPlan{size: o.size, bound: o.bound, formats: o.formats, seed: o.seed, program: program}, out)
	case o.function > 0:
		return measureFunction(ctx, functionPlan{size: o.size, formats: o.formats, memory: o.function, seed: o.seed}, out)
	case o.maintained != "":
		return buildMaintained(ctx, churnPlan{dir: o.maintained, rows: o.rows, batches: o.batches, changes: o.changes, seed: o.seed})
	}
	return measureLoad(ctx, o)
}

// measureLoad has the whole product take in a full load, some times.
func measureLoad(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "blotter-bench-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary := filepath.Join(dir, "blotter")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./tools/blotter").CombinedOutput(); err != nil {
		return fmt.Errorf("build blotter (run this in the root of the project): %w\n%s", err, out)
	}
	load, err := write(dir, o.rows, o.columns, o.seed)
	if err != nil {
		return err
	}
	fmt.Printf("%d rows × %d columns, %d distinct keys, %.0f MB of CSV\n", load.Rows, o.columns, load.Keys, float64(load.Bytes)/1e6)
	for n := range o.rounds {
		if err := measure(ctx, binary, dir, n+1); err != nil {
			return err
		}
	}
	return nil
}

// write puts the load and its registration into dir.
func write(dir string, rows, columns int, seed uint64) (_ sample.Load, err error) {
	name := filepath.Join(dir, "raw", "dms", "bench", "load", "LOAD00000001.csv")
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return sample.Load{}, fmt.Errorf("write the load: %w", err)
	}
	f, err := os.Create(name)
	if err != nil {
		return sample.Load{}, fmt.Errorf("write the load: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	load, err := sample.WriteLoad(w, rows, columns, seed)
	if err = errors.Join(err, w.Flush()); err != nil {
		return load, fmt.Errorf("write the load: %w", err)
	}
	registration := sample.LoadRegistration("bench", "load", columns)
	if err := os.WriteFile(filepath.Join(dir, "tables.yaml"), []byte(registration), 0o644); err != nil {
		return load, fmt.Errorf("write the registration: %w", err)
	}
	return load, nil
}

// measure runs the binary once on a fresh folder.
func measure(ctx context.Context, binary, dir string, round int) error {
	lake := filepath.Join(dir, "lake")
	if err := os.RemoveAll(lake); err != nil {
		return fmt.Errorf("clear the folder: %w", err)
	}
	cmd := exec.CommandContext(ctx, binary, "up", "--until-idle",
		"--tables", filepath.Join(dir, "tables.yaml"), "--raw", filepath.Join(dir, "raw"), "--dir", lake)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	wall := time.Since(began)
	if err != nil {
		return fmt.Errorf("run blotter: %w\n%s", err, out)
	}
	peak, err := peakMemory(cmd.ProcessState)
	if err != nil {
		return err
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	fmt.Printf("round %d: %.2f s wall, %.2f s CPU, %s peak\n", round, wall.Seconds(), cpu.Seconds(), &peak)
	return nil
}
