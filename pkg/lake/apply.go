package lake

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/iceberg-go"
	"github.com/google/uuid"

	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
)

// writeRows makes data files of the surviving rows: staged files that can be
// taken as they are, and merged ones.
func (b *batch) writeRows(ctx context.Context) error {
	rewrite := b.choose()
	adopt, merge := b.chooseAdoption(len(rewrite) > 0)
	for _, f := range adopt {
		if err := b.adopt(ctx, f); err != nil {
			return err
		}
	}
	var sources []*rowSource
	for _, p := range rewrite {
		b.drop = append(b.drop, p.file.DataFile)
		sources = append(sources, b.lake.tableSource(p.file, p.replaced))
	}
	for _, f := range merge {
		sources = append(sources, b.lake.stagedSource(f))
	}
	return b.writeMerged(ctx, sources)
}

// writeMerged merges files into new data files.
func (b *batch) writeMerged(ctx context.Context, sources []*rowSource) (err error) {
	if len(sources) == 0 {
		return nil
	}
	between := &scratch{dir: b.lake.cfg.ScratchDir}
	defer func() { err = errors.Join(err, between.close()) }()
	if sources, err = b.bounded(ctx, sources, between); err != nil {
		return err
	}
	w := b.lake.newDataWriter(ctx, b.req.Spec.ID, b.columns, b.prov, b.order)
	err = w.close(mergeRows(ctx, sources, w.cols, b.key, w.retire, w.add))
	b.created = append(b.created, w.keys...)
	if err != nil {
		return err
	}
	b.add = append(b.add, w.files...)
	return nil
}

// choose decides the strategy and gives the files of the table that are
// rewritten.
func (b *batch) choose() []*probe {
	if b.req.Mode == Replace {
		b.strategy = StrategyReplace
		for _, f := range b.before.files {
			b.drop = append(b.drop, f.DataFile)
		}
		return nil
	}
	if len(b.probes) == 0 { // no key, or an empty table
		b.strategy = StrategyAppend
		return nil
	}
	var touched []*probe
	var rows, deletes int64
	sorted := true
	for _, p := range b.probes {
		if len(p.replaced) > 0 {
			touched = append(touched, p)
			rows += p.file.Count()
			deletes = max(deletes, int64(len(p.file.deletes))+1)
			sorted = sorted && p.file.sorted
		}
	}
	if all := b.rewriteAll(); all != nil {
		b.strategy = StrategyCopyOnWrite
		return all
	}
	switch {
	case len(touched) == 0:
		b.strategy = StrategyAppend
		return nil
	case sorted && (float64(b.replaced) > b.lake.cfg.RewriteFraction*float64(rows) || deletes > int64(b.lake.cfg.MaxDeleteFiles)):
		b.strategy = StrategyCopyOnWrite
		return touched
	}
	b.strategy = StrategyRowDelta
	return nil
}

// rewriteAll gives all files if the table stays small and something is written
// to it; nil otherwise. Files in an unknown order are never rewritten by a merge.
func (b *batch) rewriteAll() []*probe {
	if b.before.rows-b.replaced+b.inserted > b.lake.cfg.SmallTableRows || b.inserted+b.replaced == 0 {
		return nil
	}
	var physical, size int64
	for _, p := range b.probes {
		physical += p.file.Count()
		size += p.file.FileSizeBytes()
		if !p.file.sorted {
			return nil
		}
	}
	if physical > 4*b.lake.cfg.SmallTableRows || size > b.lake.cfg.SmallTableBytes {
		return nil
	}
	return b.probes
}

// chooseAdoption tells which staged files become data files as they are. Their
// columns must be the table's, and none of their rows may be dead; small ones are merged, unless one stands alone;
// and a replacement adopts only where key ranges do not overlap, so that its
// files stay disjoint.
func (b *batch) chooseAdoption(rewriting bool) (adopt, merge []*stagedFile) {
	var live []*stagedFile
	for _, p := range b.parts {
		for _, f := range p.rows {
			if f.live() > 0 {
				live = append(live, f)
			}
		}
	}
	for _, f := range live {
		alone := len(live) == 1 && !rewriting
		if f.dead == nil && f.part.fits(b.columns, b.prov) && (alone || f.Rows >= b.lake.cfg.AdoptRows) && (b.req.Mode == Merge || disjoint(f, live)) {
			adopt = append(adopt, f)
		} else {
			merge = append(merge, f)
		}
	}
	return adopt, merge
}

// disjoint tells whether no other file has keys within the range of f. Files
// without keys are.
func disjoint(f *stagedFile, all []*stagedFile) bool {
	for _, g := range all {
		if g != f && f.MinKey != "" && g.MinKey <= f.MaxKey && f.MinKey <= g.MaxKey {
			return false
		}
	}
	return true
}

// adopt copies a staged file into the warehouse. Each attempt makes its own copy:
// one that an attempt before it left may be about to go as an orphan.
func (b *batch) adopt(ctx context.Context, f *stagedFile) error {
	l := b.lake
	key := fmt.Sprintf("%s/data/%s-%d-%s.parquet", tableFolder(b.req.Spec.ID), f.part.manifest.FileID, b.req.Token, uuid.NewString())
	if _, err := l.bucket.Copy(ctx, l.staging, f.Key, objects.Version{}, key); err != nil {
		return fmt.Errorf("copy %s: %w", f.Key, err)
	}
	b.created = append(b.created, key)
	open, closer, err := l.openParquet(ctx, l.io.URI(key))
	if err != nil {
		return err
	}
	cols := append(append([]registry.Column(nil), f.part.manifest.Schema...), provenanceFields(b.prov)...)
	stats := statistics(open.Metadata(), cols)
	if err := closer.Close(); err != nil {
		return fmt.Errorf("close %s: %w", key, err)
	}
	if open.Size() != f.Bytes || stats.rows != f.Rows {
		return fmt.Errorf("copy %s: the copy has %d bytes and %d rows, expected %d and %d", f.Key, open.Size(), stats.rows, f.Bytes, f.Rows)
	}
	file, err := stats.build(l.io.URI(key), f.Bytes, b.order)
	if err != nil {
		return fmt.Errorf("describe %s: %w", key, err)
	}
	b.add = append(b.add, file)
	return nil
}

// writeDeletes writes the position deletes of a row delta, and finds those that
// go with files that are dropped.
func (b *batch) writeDeletes(ctx context.Context) error {
	if b.strategy != StrategyRowDelta {
		return nil
	}
	for _, p := range b.probes {
		if len(p.replaced) == 0 {
			continue
		}
		file, key, err := b.lake.writePositions(ctx, b.req.Spec.ID, p.file.FilePath(), p.replaced)
		if err != nil {
			return err
		}
		b.created = append(b.created, key)
		b.addDeletes = append(b.addDeletes, file)
	}
	return nil
}

// droppedDeletes gives the position deletes that apply to dropped files alone.
func (b *batch) droppedDeletes() []iceberg.DataFile {
	dropped := map[string]bool{}
	for _, f := range b.drop {
		dropped[f.FilePath()] = true
	}
	needed := map[string]bool{}
	for _, f := range b.before.files {
		if !dropped[f.FilePath()] {
			for _, d := range f.deletes {
				needed[d.FilePath()] = true
			}
		}
	}
	var out []iceberg.DataFile
	for _, d := range b.before.deletes {
		if !needed[d.FilePath()] {
			out = append(out, d)
		}
	}
	return out
}
