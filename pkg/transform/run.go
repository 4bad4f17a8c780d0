package transform

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
)

// Run stages one file: it reads the raw object in the announced version, checks
// every row, leaves the last change of each key, and writes Parquet files and,
// last, a manifest below StagePrefix. It blocks until all is durable. Of a
// transaction file only the manifest is staged, which names its parts; of a part,
// which is a change file, only the table's own rows are looked at.
//
// A fault of the file, the registration or the object is a *Failure and final;
// any other error may pass, and the job may be run again. Running a job again
// stages the same bytes, or finds them staged. Nothing counts as staged
// without its manifest.
func Run(ctx context.Context, cfg Config, deps Deps, job Job) (*Result, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("transform: %w", err)
	}
	if err := job.check(); err != nil {
		return nil, err
	}
	if done, err := FindStaged(ctx, deps.Staging, job); done != nil || err != nil {
		return done, err
	}
	t := newTransform(cfg, deps, job)
	run := t.run
	if job.File.Kind == dms.KindTransaction {
		run = t.split
	}
	result, err := run(ctx)
	if fault := t.keepValue(ctx, err); fault != nil {
		err = fault // one that may pass: with its value, the failure is told when it has
	}
	return result, errors.Join(err, t.cleanUp())
}

// transform is one run.
type transform struct {
	cfg     Config
	deps    Deps
	job     Job
	kind    dms.FileKind   // of which positions are made, see dms.File.Place
	order   dms.FileOrder  // the same
	table   registry.Table // as the file has it, see refine
	lay     *layout
	faults  *faults
	dir     *scratch
	sorter  *sorter
	sink    func(record) error // takes the changes that are read
	part    string             // of the names of staged files; empty unless they are staged by ranges
	counts  Counts
	long    []bool
	rejects *rejects // nil: a bad row fails the file
	rows    *stager
	deletes *stager
	low     record // copies with the least and the greatest position staged
	high    record
}

func newTransform(cfg Config, deps Deps, job Job) *transform {
	if !job.File.Part.IsZero() {
		job.Table = job.Table.InTransactions()
	}
	t := &transform{cfg: cfg, deps: deps, job: job}
	t.kind, t.order = job.File.Place()
	t.faults = newFaults(job.File.Object.Key, job.Table.Reports.ShowValues, job.oneByOne())
	t.dir = &scratch{parent: cfg.ScratchDir}
	return t
}

// plan makes ready for rows of a table.
func (t *transform) plan(table registry.Table) {
	t.table, t.lay = table, newLayout(table, t.kind)
	t.sorter = newSorter(t.lay, t.cfg, t.dir)
	if t.sink == nil {
		t.sink = t.sorter.add
	}
	t.long = make([]bool, len(t.lay.cols))
}

func (t *transform) run(ctx context.Context) (*Result, error) {
	in, err := t.read(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.stage(ctx); err != nil {
		return nil, err
	}
	return t.publish(ctx, in)
}

// read takes in and checks the whole object.
func (t *transform) read(ctx context.Context) (Input, error) {
	bucket, err := t.deps.bucketOf(t.job.File)
	if err != nil {
		return Input{}, err
	}
	object, err := openObject(ctx, bucket, t.job.File.Object)
	if err != nil {
		return Input{}, err
	}
	in, err := t.readObject(ctx, object)
	return in, errors.Join(err, object.Close())
}

func (t *transform) readObject(ctx context.Context, object objects.Reader) (Input, error) {
	src, err := openSource(ctx, object, t.job, t.cfg)
	if err != nil {
		return Input{}, t.located(err)
	}
	t.plan(refine(t.job.Table, src))
	if src.columns() != nil {
		bound, failure := bind(t.table, len(t.job.Table.Columns), t.kind, src)
		if failure != nil {
			return Input{}, t.located(src.cause(failure))
		}
		c := newConverter(t.table, t.kind, t.lay, bound, t.faults, t.sink)
		if t.job.oneByOne() {
			if t.rejects, err = newRejects(ctx, t, src, bound); err != nil {
				return Input{}, err
			}
			c.rejects = t.rejects
		}
		err = src.each(ctx, bound, t.faults, c.convert)
		t.counts, t.long = c.counts, c.row.long
		if err != nil {
			return Input{}, t.earlier(src.cause(err))
		}
	}
	if err := t.verdict(); err != nil {
		return Input{}, err
	}
	return src.finish(ctx, t.job.File.Object)
}

// verdict tells whether the rows that were read fail the file.
func (t *transform) verdict() error {
	if t.job.oneByOne() {
		return t.faults.tooMany(t.counts)
	}
	return t.faults.failure()
}

// earlier gives the fault to report when the file could not be read to its end:
// that of a row before the place where it broke, if there is one.
func (t *transform) earlier(err error) error {
	var broken *Failure
	if errors.As(err, &broken) && !t.job.oneByOne() && t.faults.any() && t.faults.first.Row < broken.Row {
		first := *t.faults.first
		first.RowsFailed = 0
		return &first
	}
	return t.located(err)
}

// located makes a failure name the object, and no longer than a message can be:
// it may show all columns of a table.
func (t *transform) located(err error) error {
	var f *Failure
	if !errors.As(err, &f) {
		return err
	}
	if f.ObjectKey == "" {
		f.ObjectKey = t.job.File.Object.Key
	}
	f.bound()
	return err
}

// stage encodes the last change of each key.
func (t *transform) stage(ctx context.Context) error {
	sorted, err := t.sorter.sorted(ctx)
	if err != nil {
		return fmt.Errorf("sort rows: %w", err)
	}
	if err := t.encode(ctx, sorted); err != nil {
		return err
	}
	t.counts.DuplicatesDropped = t.sorter.dropped
	return nil
}

// encode writes sorted changes, each key once, to files that are complete
// afterwards but not yet visible.
func (t *transform) encode(ctx context.Context, sorted stream) error {
	t.rows, t.deletes = t.newStagers()
	for {
		r, err := sorted.next()
		if err != nil {
			return fmt.Errorf("sort rows: %w", err)
		}
		if r == nil {
			break
		}
		to := t.rows
		if r.op() == opDelete {
			to = t.deletes
		}
		t.note(r)
		if err := to.add(ctx, r); err != nil {
			return err
		}
	}
	return errors.Join(t.rows.close(ctx), t.deletes.close(ctx))
}

func (t *transform) note(r record) {
	t.counts.AmbiguousTies += int64(r.ties())
	if t.low == nil || bytes.Compare(r.order(t.lay), t.low.order(t.lay)) < 0 {
		t.low = append(t.low[:0], r...)
	}
	if t.high == nil || bytes.Compare(r.order(t.lay), t.high.order(t.lay)) > 0 {
		t.high = append(t.high[:0], r...)
	}
}

func (t *transform) newStagers() (rows, deletes *stager) {
	table, file := t.table, t.job.File
	prefix := StagePrefix(table.ID, file.ID, t.job.Token)
	rows = &stager{cfg: t.cfg, bucket: t.deps.Staging, name: prefix + "rows" + t.part, keyed: len(t.lay.key) > 0,
		columns: StagedColumns(table), prov: table.Provenance}
	for i, c := range rows.columns {
		rows.sources = append(rows.sources, userColumn{lay: t.lay, i: i, required: c.Required})
		rows.unbound = append(rows.unbound, unsignedBounds(c.Type) || t.long[i] && keyIndex(table.PrimaryKey, c.Name) < 0)
	}
	rows.sources = append(rows.sources, provenanceSources(t.lay, file)...)

	deletes = &stager{cfg: t.cfg, bucket: t.deps.Staging, name: prefix + "deletes" + t.part, keyed: true,
		columns: requiredColumns(KeyColumns(table)), prov: table.Provenance}
	for _, i := range t.lay.key {
		deletes.sources = append(deletes.sources, userColumn{lay: t.lay, i: i, required: true})
	}
	deletes.unbound = make([]bool, len(deletes.columns))
	deletes.sources = append(deletes.sources, provenanceSources(t.lay, file)...)
	return rows.init(), deletes.init()
}

// publish makes the staged files visible, the manifest last.
func (t *transform) publish(ctx context.Context, in Input) (*Result, error) {
	m := Manifest{
		Engine: Engine, Table: t.job.Table.ID, SpecVersion: t.job.Table.Version,
		FileID: t.job.File.ID, Token: t.job.Token, Kind: t.job.File.Kind, Order: t.job.File.Order,
		Part: t.job.File.Part, Mending: t.job.File.Mending.Original(), Input: in, Schema: t.rows.columns, Counts: t.counts,
	}
	var err error
	if m.Rows, err = t.rows.commit(ctx); err != nil {
		return nil, err
	}
	if m.Deletes, err = t.deletes.commit(ctx); err != nil {
		return nil, err
	}
	if t.rejects != nil {
		if m.Rejected, err = t.rejects.commit(ctx); err != nil {
			return nil, err
		}
	}
	if m.MinPosition, err = t.position(t.low); err != nil {
		return nil, err
	}
	if m.MaxPosition, err = t.position(t.high); err != nil {
		return nil, err
	}
	return writeManifest(ctx, t.deps.Staging, m)
}

func (t *transform) position(r record) (dms.Position, error) {
	if r == nil {
		return "", nil
	}
	p, err := t.lay.appendPosition(nil, r, t.kind, t.order)
	return dms.Position(p), err
}

// cleanUp gives up what is not committed, and removes the scratch files.
func (t *transform) cleanUp() error {
	var faults []error
	if t.sorter != nil {
		faults = append(faults, t.sorter.stop())
	}
	if t.rejects != nil {
		faults = append(faults, t.rejects.abort())
	}
	for _, s := range []*stager{t.rows, t.deletes} {
		if s != nil {
			faults = append(faults, s.abort())
		}
	}
	return errors.Join(append(faults, t.dir.remove())...)
}
