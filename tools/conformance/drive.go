package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/tools/internal/cases"
)

// drive delivers one case in one order to one pipeline.
type drive struct {
	c        *cases.Case
	pipeline Pipeline
	tables   []registry.Table
	files    []dms.FileID // by index of the step; empty until it is delivered
	// again tells of each step whether its file had been delivered before.
	again     []bool
	skipped   map[dms.FileID]bool
	completed map[dms.TableID]bool // the load was said to be complete before the first change file
	// loading holds the load keys that came since a load of the table was last
	// said to be complete.
	loading map[dms.TableID]map[string]bool
}

func newDrive(c *cases.Case, p Pipeline) (*drive, error) {
	tables, err := c.Registrations()
	if err != nil {
		return nil, err
	}
	return &drive{
		c: c, pipeline: p, tables: tables,
		files:     make([]dms.FileID, len(c.Steps)),
		again:     make([]bool, len(c.Steps)),
		skipped:   map[dms.FileID]bool{},
		completed: map[dms.TableID]bool{},
		loading:   map[dms.TableID]map[string]bool{},
	}, nil
}

// run delivers the steps in the order given and leaves the pipeline with
// nothing to do. listed tells that it is the order in which the case lists them.
func (d *drive) run(ctx context.Context, order []int, listed bool) error {
	if err := d.pipeline.Register(ctx, d.tables); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	for _, i := range order {
		if listed {
			if err := d.completeBefore(ctx, i); err != nil {
				return err
			}
		}
		if err := d.deliver(ctx, i); err != nil {
			return fmt.Errorf("deliver step %d (%s): %w", i+1, d.c.Steps[i].Key, err)
		}
		if err := d.settle(ctx); err != nil {
			return fmt.Errorf("after step %d (%s): %w", i+1, d.c.Steps[i].Key, err)
		}
	}
	for _, t := range d.tables {
		if err := d.complete(ctx, t.ID); err != nil {
			return err
		}
	}
	return nil
}

func (d *drive) deliver(ctx context.Context, i int) error {
	s := d.c.Steps[i]
	file, err := d.pipeline.Deliver(ctx, Delivery{
		Key:             s.Key,
		NotificationKey: s.NotificationKey,
		Content:         d.c.Path(s.File),
		LastModified:    s.LastModified,
		ETag:            s.ETag,
		Redeliver:       s.Action == cases.Redeliver,
	})
	if err != nil {
		return err
	}
	if file == "" {
		return errors.New("the pipeline gave the file no identity")
	}
	for _, known := range d.files {
		d.again[i] = d.again[i] || known == file
	}
	d.files[i] = file
	return nil
}

// completeBefore says `load complete` before the first change file of a table,
// unless further files of the load are to come and to count, and before a key that
// the open load holds already: with that the next load begins, of however many
// files it may be.
func (d *drive) completeBefore(ctx context.Context, i int) error {
	s := d.c.Steps[i]
	if s.Action != cases.Put {
		return nil
	}
	for _, t := range d.tables {
		if !strings.HasPrefix(s.Key, t.Prefix+t.Path) && !s.Transaction() {
			continue
		}
		first := (s.Kind == cases.CDC || s.Transaction()) && !d.completed[t.ID] && !d.moreOfLoad(t, i)
		if again := s.Kind == cases.FullLoad && d.loading[t.ID][s.Key]; first || again {
			d.completed[t.ID] = d.completed[t.ID] || first
			if err := d.complete(ctx, t.ID); err != nil {
				return err
			}
		}
		if s.Kind == cases.FullLoad {
			if d.loading[t.ID] == nil {
				d.loading[t.ID] = map[string]bool{}
			}
			d.loading[t.ID][s.Key] = true
		}
	}
	return nil
}

// moreOfLoad reports whether a step after step i brings a file of the load that is
// open, and the case has it applied: then nobody would call the load complete yet.
func (d *drive) moreOfLoad(t registry.Table, i int) bool {
	if len(d.loading[t.ID]) == 0 {
		return false
	}
	for _, s := range d.c.Steps[i+1:] {
		if s.Action != cases.Put || s.Kind != cases.FullLoad || !strings.HasPrefix(s.Key, t.Prefix+t.Path) {
			continue
		}
		return !d.loading[t.ID][s.Key] && s.Expect == cases.Applied
	}
	return false
}

func (d *drive) complete(ctx context.Context, table dms.TableID) error {
	delete(d.loading, table)
	if err := d.pipeline.LoadComplete(ctx, table); err != nil {
		return fmt.Errorf("load complete of %s: %w", table, err)
	}
	if err := d.settle(ctx); err != nil {
		return fmt.Errorf("after load complete of %s: %w", table, err)
	}
	return nil
}

// settle waits until nothing is left to do, and resumes what a quarantined
// file paused, until no further file is quarantined.
func (d *drive) settle(ctx context.Context) error {
	for {
		if err := d.pipeline.Settle(ctx); err != nil {
			return fmt.Errorf("settle: %w", err)
		}
		resumed := false
		for _, file := range d.files {
			if file == "" || d.skipped[file] {
				continue
			}
			result, err := d.pipeline.Outcome(ctx, file)
			if err != nil {
				return fmt.Errorf("outcome of file %s: %w", file, err)
			}
			if result.Outcome != cases.Quarantined {
				continue
			}
			d.skipped[file], resumed = true, true
			if err := d.pipeline.ResumeSkip(ctx, file); err != nil {
				return fmt.Errorf("resume past file %s: %w", file, err)
			}
		}
		if !resumed {
			return nil
		}
	}
}

// results tells what became of each step at the end. A step whose file had
// been delivered before is a duplicate, whatever became of the file.
func (d *drive) results(ctx context.Context) ([]cases.Result, error) {
	results := make([]cases.Result, len(d.files))
	for i, file := range d.files {
		if d.again[i] {
			results[i] = cases.Result{Outcome: cases.Duplicate}
			continue
		}
		var err error
		if results[i], err = d.pipeline.Outcome(ctx, file); err != nil {
			return nil, fmt.Errorf("outcome of step %d (%s): %w", i+1, d.c.Steps[i].Key, err)
		}
	}
	return results, nil
}
