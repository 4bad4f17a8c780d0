// Command bench measures the whole product as a user runs it: it writes a full
// load of made-up rows, has the real binary take it in with `up --until-idle`,
// and prints wall time, CPU time and peak memory.
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
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	rows := flag.Int("rows", 1_000_000, "rows of the load")
	columns := flag.Int("columns", 20, "columns of the table")
	rounds := flag.Int("rounds", 3, "how often to measure")
	seed := flag.Uint64("seed", 1, "seed of the rows")
	maintained := flag.String("maintained", "", "make tables for a reader to compare in this folder, instead")
	batches := flag.Int("batches", 200, "with -maintained: change batches")
	changes := flag.Int("changes", 500, "with -maintained: changes of one batch")
	flag.Parse()
	if *maintained != "" {
		return buildMaintained(ctx, churnPlan{dir: *maintained, rows: *rows, batches: *batches, changes: *changes, seed: *seed})
	}
	dir, err := os.MkdirTemp("", "blotter-bench-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary := filepath.Join(dir, "blotter")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./tools/blotter").CombinedOutput(); err != nil {
		return fmt.Errorf("build blotter (run this in the root of the project): %w\n%s", err, out)
	}
	load, err := write(dir, *rows, *columns, *seed)
	if err != nil {
		return err
	}
	fmt.Printf("%d rows × %d columns, %d distinct keys, %.0f MB of CSV\n", load.Rows, *columns, load.Keys, float64(load.Bytes)/1e6)
	for n := range *rounds {
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
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return errors.New("this system does not tell the memory of a process")
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	fmt.Printf("round %d: %.2f s wall, %.2f s CPU, %d MB peak\n", round, wall.Seconds(), cpu.Seconds(), usage.Maxrss/1024)
	return nil
}
