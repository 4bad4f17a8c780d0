package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/tools/internal/cases"
)

// runner runs cases and writes what came of them.
type runner struct {
	prepare  func(context.Context) error // what all cases share; nil: nothing
	factory  Factory
	orders   int            // how many orders of a case at most; 0: all that it asks for
	only     *regexp.Regexp // the names of the cases to run; nil: all
	parallel int            // how many cases run at once
	timeout  time.Duration  // for one order of one case
	verbose  bool           // a line per order as well
	keep     string         // a folder that keeps what failing orders left; empty: nothing is kept
	keepAll  bool           // what passing orders left as well
	out      io.Writer
}

// report is what came of one case.
type report struct {
	name   string
	passed bool
	orders int
	took   time.Duration
	lines  []string
}

// run runs the cases at and below the folders, at most parallel at once, and
// writes their reports in the order of the folders. The error tells that cases
// could not be found or that ctx has ended; failed cases are counted.
func (r *runner) run(ctx context.Context, dirs []string) (passed, failed int, err error) {
	if r.keep != "" {
		if err := os.MkdirAll(r.keep, 0o755); err != nil {
			return 0, 0, fmt.Errorf("make the folder for what failing orders leave: %w", err)
		}
	}
	found, err := cases.Find(dirs...)
	if err != nil {
		return 0, 0, err
	}
	var chosen []string
	for _, dir := range found {
		if r.only == nil || r.only.MatchString(filepath.Base(dir)) {
			chosen = append(chosen, dir)
		}
	}
	if len(chosen) == 0 {
		return 0, 0, errors.New("no case was found: name folders that hold, at any depth, a " + cases.FileName)
	}
	if r.prepare != nil {
		if err := r.prepare(ctx); err != nil {
			return 0, 0, fmt.Errorf("prepare the engine: %w", err)
		}
	}
	reports := make([]chan report, len(chosen))
	for i := range reports {
		reports[i] = make(chan report, 1)
	}
	g, gctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range max(1, r.parallel) {
		g.Go(func() error {
			for i := next.Add(1) - 1; i < int64(len(chosen)); i = next.Add(1) - 1 {
				reports[i] <- r.runCase(gctx, chosen[i])
				if err := gctx.Err(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for _, c := range reports {
		select {
		case rep := <-c:
			if rep.passed {
				passed++
			} else {
				failed++
			}
			r.write(rep)
		case <-gctx.Done():
			return passed, failed, fmt.Errorf("stopped before all cases had run: %w", g.Wait())
		}
	}
	return passed, failed, g.Wait()
}

func (r *runner) write(rep report) {
	word := "ok  "
	if !rep.passed {
		word = "FAIL"
	}
	orders := "1 order"
	if rep.orders != 1 {
		orders = fmt.Sprintf("%d orders", rep.orders)
	}
	fmt.Fprintf(r.out, "%s %-50s %9s %8.2fs\n", word, rep.name, orders, rep.took.Seconds())
	for _, line := range rep.lines {
		fmt.Fprintln(r.out, "     "+strings.ReplaceAll(line, "\n", "\n     "))
	}
}

// runCase runs a case in its orders and stops at the first that fails.
func (r *runner) runCase(ctx context.Context, dir string) (rep report) {
	start := time.Now()
	rep.name = filepath.Base(dir)
	defer func() { rep.took = time.Since(start) }()
	c, err := cases.Load(dir)
	if err != nil {
		rep.lines = []string{err.Error()}
		return rep
	}
	if c.Unknown != "" {
		rep.lines = append(rep.lines, "there is more in the case than was tried: "+c.Unknown)
	}
	for i, order := range c.Orders(r.orders) {
		began := time.Now()
		rep.orders++
		differences, err := r.runOrder(ctx, c, order, i == 0)
		if err != nil {
			differences = append(differences, err.Error())
		}
		if r.verbose {
			rep.lines = append(rep.lines, fmt.Sprintf("order %s: %.2fs", numbers(order), time.Since(began).Seconds()))
		}
		if len(differences) > 0 {
			rep.lines = append(append(rep.lines, "delivered in the order "+numbers(order)+":"), differences...)
			return rep
		}
	}
	rep.passed = true
	return rep
}

// runOrder runs a case in one order, in a folder of its own.
func (r *runner) runOrder(ctx context.Context, c *cases.Case, order []int, listed bool) (differences []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	dir, err := os.MkdirTemp(r.keep, c.Name+"-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the pipeline: %w", err)
	}
	defer func() {
		if r.keep != "" && (err != nil || len(differences) > 0) {
			differences = append(differences, "what it left lies in "+dir)
			return
		}
		if r.keepAll {
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	p, err := r.factory(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("start the pipeline: %w", err)
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	d, err := newDrive(c, p)
	if err != nil {
		return nil, err
	}
	if err := d.run(ctx, order, listed); err != nil {
		return nil, err
	}
	return d.judge(ctx)
}

// numbers gives the numbers of the steps in an order.
func numbers(order []int) string {
	parts := make([]string, len(order))
	for i, step := range order {
		parts[i] = fmt.Sprint(step + 1)
	}
	return strings.Join(parts, " ")
}
