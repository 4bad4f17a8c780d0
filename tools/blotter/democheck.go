package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lake"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/cases"
	"github.com/openblotter/blotter/tools/internal/sample"
	"github.com/openblotter/blotter/tools/internal/tally"
)

// found is what became of the drop.
type found struct {
	tables      []foundTable
	quarantined *lockmanager.File
	table       dms.TableID // of the quarantined file
	copyKey     string      // in the failed bucket
	reportKey   string
}

// foundTable is what became of one table.
type foundTable struct {
	sample.Table
	counted  tally.Table
	repeated int64 // rows that a later row of the same file replaced
	twice    int   // deliveries of a file that was known
	waiting  int
	faults   []string // how it differs from what was generated
}

// asGenerated reports whether nothing differs.
func (f *found) asGenerated() bool { return f.differences() == nil }

// differences tells how it differs; nil if it does not.
func (f *found) differences() error {
	var errs []error
	for _, t := range f.tables {
		for _, fault := range t.faults {
			errs = append(errs, fmt.Errorf("%s: %s", t.ID, fault))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("the tables are not as generated:\n%w", errors.Join(errs...))
}

// examine reads the log, the control store and every table.
func (d *demonstration) examine(ctx context.Context) (*found, error) {
	f := &found{tables: make([]foundTable, len(d.drop.Tables))}
	place := map[dms.TableID]*foundTable{}
	for i, t := range d.drop.Tables {
		f.tables[i].Table = t
		place[t.ID] = &f.tables[i]
	}
	if err := d.readLog(ctx, f, place); err != nil {
		return nil, err
	}
	for i := range f.tables {
		t := &f.tables[i]
		if err := d.checkFiles(ctx, f, t); err != nil {
			return nil, err
		}
		if err := d.checkRows(ctx, t); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (d *demonstration) readLog(ctx context.Context, f *found, place map[dms.TableID]*foundTable) error {
	counts := tally.New()
	for r, err := range d.process.Log.Read(ctx, eventlog.Filter{}) {
		if err != nil {
			return err
		}
		counts.Add(r.Table, r.Event)
		t := place[r.Table]
		if t == nil {
			continue
		}
		switch e := r.Event.(type) {
		case *blotterv1.DeliveryRepeated:
			t.twice++
		case *blotterv1.FileQuarantined:
			f.copyKey, f.reportKey = e.GetObjectKey(), e.GetReportKey()
		}
	}
	for _, counted := range counts.Tables() {
		if t := place[counted.Table]; t != nil {
			t.counted = counted
		}
	}
	return nil
}

// version names one version of an object: a load that comes again has the keys
// of the one before.
type version struct {
	key      string
	modified time.Time
}

// checkFiles compares what became of each file with what had to.
func (d *demonstration) checkFiles(ctx context.Context, found *found, t *foundTable) error {
	files, err := filesIn(ctx, d.process.Store, t.ID, maxListed)
	if err != nil {
		return err
	}
	became := map[version]*lockmanager.File{}
	for _, f := range files {
		became[version{f.Object.Key, f.Object.LastModified.UTC()}] = f
		switch f.Status {
		case lockmanager.Quarantined:
			found.quarantined, found.table = f, t.ID
		case lockmanager.Waiting:
			t.waiting++
		case lockmanager.Published:
			t.repeated += f.Counts.GetDuplicatesDropped()
		}
	}
	deliveries, twice := 0, 0
	for _, want := range d.drop.Files {
		if want.Table != t.ID {
			continue
		}
		deliveries++
		f := became[version{want.Key, want.LastModified.UTC()}]
		if want.Expect == sample.Duplicate {
			twice++
		} else if got := outcomeOf(f); got != want.Expect {
			t.fault("%s is %s, expected %s", want.Key, got, want.Expect)
		}
	}
	if len(files) != deliveries-twice {
		t.fault("%d files are known, expected %d", len(files), deliveries-twice)
	}
	if t.twice != twice {
		t.fault("%d deliveries were recognised as repeated, expected %d", t.twice, twice)
	}
	if t.counted.Published != t.Files || t.counted.RowsIn != t.RowsIn {
		t.fault("%d files with %d rows are published, expected %d with %d", t.counted.Published, t.counted.RowsIn, t.Files, t.RowsIn)
	}
	return nil
}

func (t *foundTable) fault(format string, args ...any) {
	t.faults = append(t.faults, fmt.Sprintf(format, args...))
}

// outcomeOf gives what became of a file in the words of the drop.
func outcomeOf(f *lockmanager.File) sample.Outcome {
	switch {
	case f == nil:
		return "unknown"
	case f.Status == lockmanager.Published:
		return sample.Published
	case f.Status == lockmanager.Quarantined:
		return sample.Quarantined
	case f.Status == lockmanager.Waiting:
		return sample.Held
	case f.Status == lockmanager.Ignored && f.Reason == "superseded":
		return sample.Superseded
	}
	return sample.Outcome(f.Status)
}

// checkRows compares a table with the generated rows, row by row.
func (d *demonstration) checkRows(ctx context.Context, t *foundTable) error {
	diff, err := compareTable(ctx, d.process.Lake, t.Table, d.drop.WriteExpected)
	if err != nil {
		return fmt.Errorf("compare %s: %w", t.ID, err)
	}
	if !diff.Empty() {
		t.fault("%s", strings.ReplaceAll(diff.String(), "\n", "\n  "))
	}
	return nil
}

// compareTable holds the rows of a table against those that expected writes as
// CSV. It reads both as streams.
func compareTable(ctx context.Context, l *lake.Lake, t sample.Table, expected func(io.Writer, dms.TableID) error) (*cases.Diff, error) {
	set, err := l.Rows(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	got := cases.Rows{Seq: func(yield func([]cases.Cell, error) bool) {
		cells := make([]cases.Cell, len(set.Columns))
		for row, err := range set.All(ctx) {
			if err == nil {
				for i, v := range row.Values {
					cells[i] = cases.Cell{Null: v.IsNull(), Text: lake.FormatValue(set.Columns[i].Type, v)}
				}
			}
			if !yield(cells, err) || err != nil {
				return
			}
		}
	}}
	for _, c := range set.Columns {
		got.Columns = append(got.Columns, c.Name)
	}
	in, out := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_ = out.CloseWithError(expected(out, t.ID)) // the reader gets the error
	}()
	defer func() {
		_ = in.Close()
		<-written
	}()
	want, err := cases.ReadCSV(in)
	if err != nil {
		return nil, fmt.Errorf("read the generated rows: %w", err)
	}
	return cases.Compare(cases.Spec{PrimaryKey: t.PrimaryKey, Columns: set.Columns}, want, got)
}
