package lake

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// batch is one attempt to publish: the table as it was read, the parts, and
// what becomes of them.
type batch struct {
	lake   *Lake
	req    Request
	tbl    *table.Table
	state  tableState
	evolve evolution
	parts  []*part

	columns []registry.Column // user columns, in the table's order
	key     []registry.Column // typed as the table is
	prov    registry.Provenance
	order   int // the sort order of the key, 0 without one

	before     *snapshot
	probes     []*probe // of before's files, in their order
	claims     claims   // nil: the probes search
	replaced   int64    // rows of the table that are replaced or removed
	inserted   int64    // staged rows that become visible
	rowsHash   knownRows
	tombstones []Tombstone
	strategy   string

	add        []iceberg.DataFile // data files
	addDeletes []iceberg.DataFile // position deletes
	drop       []iceberg.DataFile // data files
	created    []string           // objects that no other attempt can use
	snapshotID int64              // of the staged commit
}

// keyColumns gives the primary key in the types of the table.
func keyColumns(spec registry.Table, columns []registry.Column) []registry.Column {
	key := transform.KeyColumns(spec)
	for i, k := range key {
		for _, c := range columns {
			if c.ID == k.ID {
				key[i] = c
			}
		}
	}
	return key
}

// run takes the steps between the audit and the committed snapshot.
func (b *batch) run(ctx context.Context) (Result, error) {
	var err error
	if b.before, err = readSnapshot(ctx, b.tbl, b.key); err != nil {
		return Result{}, err
	}
	steps := []struct {
		name Step
		do   func(context.Context) error
	}{
		{StepFolded, b.fold},
		{StepWritten, b.writeRows},
		{StepDeletes, b.writeDeletes},
		{StepTombstones, b.mergeTombstones},
	}
	for _, s := range steps {
		if err := s.do(ctx); err != nil {
			return Result{}, err
		}
		if err := b.lake.step(s.name); err != nil {
			return Result{}, err
		}
	}
	return b.commit(ctx)
}

// fold finds the latest change of each key and, when merging, what it meets in
// the table.
func (b *batch) fold(ctx context.Context) (err error) {
	f := b.lake.newFold(b.parts, b.evolve.spec)
	defer func() { err = errors.Join(err, f.close()) }()
	b.rowsHash = b.rowsBefore()
	if len(b.key) == 0 {
		if err := f.drain(ctx, b.rowsHash.Add); err != nil {
			return err
		}
		b.countInserted()
		return nil
	}
	b.tombstones = b.state.tombstones
	if b.req.Mode == Replace {
		b.tombstones = nil
	} else {
		for _, file := range b.before.files {
			b.probes = append(b.probes, &probe{file: file})
		}
	}
	if b.req.Mode == Merge {
		if b.claims, err = b.readClaims(ctx); err != nil {
			return err
		}
	}
	out := &tombstoneSink{batch: b}
	if err := b.foldWindows(ctx, f, out); err != nil {
		return errors.Join(err, out.abort())
	}
	fresh, err := out.commit(ctx)
	if err != nil {
		return err
	}
	b.tombstones = append(b.tombstones[:len(b.tombstones):len(b.tombstones)], fresh...)
	for _, p := range b.probes {
		p.finish()
		b.replaced += int64(len(p.replaced))
		b.rowsHash.minus(p.gone)
		b.rowsHash.known = b.rowsHash.known && !p.twice
	}
	b.countInserted()
	return nil
}

// rowsBefore gives the hash of the rows that the batch adds to.
func (b *batch) rowsBefore() knownRows {
	if b.req.Mode == Replace || len(b.before.files) == 0 {
		return knownRows{known: true}
	}
	return b.state.rowsNow(b.tbl)
}

func (b *batch) countInserted() {
	for _, p := range b.parts {
		for _, f := range p.rows {
			b.inserted += f.live()
		}
	}
}

func (b *batch) foldWindows(ctx context.Context, f *fold, out *tombstoneSink) error {
	known := b.tombstones
	from := make([]int64, len(known))
	join := tableJoin(b.key, b.prov)
	w := &window{}
	for {
		more, err := w.fill(ctx, f, b.lake.cfg.WindowRows)
		if err != nil {
			return err
		}
		if !more {
			return b.checkClaims(ctx)
		}
		if err := b.lake.probeTombstones(ctx, known, from, w); err != nil {
			return err
		}
		if err := b.meetTable(ctx, w, join); err != nil {
			return err
		}
		w.countTies()
		for i := range w.len() {
			switch file := w.files[i]; {
			case w.dead[i]:
				file.kill(w.indexes[i])
			case file.deletes:
				if err := out.add(ctx, w, i); err != nil {
					return err
				}
			default:
				b.rowsHash.Add(file.part.manifest.FileID, w.rows[i])
			}
		}
	}
}

// meetTable finds the rows of the table that have a key of the window.
func (b *batch) meetTable(ctx context.Context, w *window, join joinColumns) error {
	if b.claims != nil {
		return b.meetClaims(ctx, w, join)
	}
	for _, p := range b.probes {
		if err := b.lake.probeFile(ctx, p, w, join); err != nil {
			return err
		}
	}
	return nil
}

// tombstoneSink writes the deletes of a batch; the file begins with the first.
type tombstoneSink struct {
	batch *batch
	w     *tombstoneWriter
}

func (s *tombstoneSink) add(ctx context.Context, w *window, i int) error {
	if s.w == nil {
		var err error
		if s.w, err = s.batch.lake.newTombstoneWriter(ctx, s.batch.req.Spec.ID); err != nil {
			return err
		}
	}
	if err := s.w.add(w.key(i), w.position(i), w.rows[i], string(w.files[i].part.manifest.FileID)); err != nil {
		return fmt.Errorf("write remembered deletes: %w", err)
	}
	return nil
}

func (s *tombstoneSink) commit(ctx context.Context) ([]Tombstone, error) {
	if s.w == nil {
		return nil, nil
	}
	t, err := s.w.commit(ctx)
	if err != nil {
		return nil, err
	}
	s.w = nil
	s.batch.created = append(s.batch.created, t.Key)
	return []Tombstone{t}, nil
}

func (s *tombstoneSink) abort() error {
	if s.w == nil {
		return nil
	}
	return s.w.out.Abort()
}

// mergeTombstones keeps their files few.
func (b *batch) mergeTombstones(ctx context.Context) error {
	list, err := b.lake.compactTombstones(ctx, b.req.Spec.ID, b.tombstones)
	if err != nil {
		return err
	}
	if len(list) < len(b.tombstones) {
		b.created = append(b.created, list[len(list)-1].Key)
	}
	b.tombstones = list
	return nil
}

// cleanup removes what a commit that is not in the table has written. What it misses
// is unreferenced and harms nobody.
func (b *batch) cleanup(ctx context.Context) {
	for _, key := range b.created {
		if err := b.lake.bucket.Remove(ctx, key); err != nil {
			b.lake.log.WarnContext(ctx, "remove unused object", "object", key, "error", err)
		}
	}
}
