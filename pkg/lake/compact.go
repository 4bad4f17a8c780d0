package lake

import (
	"context"
	"errors"
	"fmt"

	"github.com/openblotter/blotter/pkg/registry"
)

// StrategyCompact marks a snapshot with the same rows as the one before, in
// fewer files.
const StrategyCompact = "compact"

// Compact merges the small data files of a table into one if there are more
// than Config.MaxSmallFiles, applying their position deletes. Rows, token and
// remembered deletes stay as they are. It reports whether it changed anything;
// if another commit comes first it gives up without an error. Files that other
// engines wrote in an unknown order are left alone.
//
// Publish calls it after its commit, so that tables that get many small files
// stay quick to merge into.
func (l *Lake) Compact(ctx context.Context, spec registry.Table) (bool, error) {
	b, err := l.begin(ctx, Request{Spec: spec, Mode: Replace})
	if err != nil {
		return false, fmt.Errorf("compact %s: %w", spec.ID, err)
	}
	if err := b.prepare(); err != nil {
		return false, fmt.Errorf("compact %s: %w", spec.ID, err)
	}
	if !sameKey(b.tbl, b.evolve.spec) || !b.evolve.empty() {
		return false, nil
	}
	done, err := b.compact(ctx)
	if errors.Is(err, errAgain) {
		b.cleanup(ctx)
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("compact %s: %w", spec.ID, err)
	}
	return done, nil
}

func (b *batch) compact(ctx context.Context) (bool, error) {
	var err error
	if b.before, err = readSnapshot(ctx, b.tbl, b.key); err != nil {
		return false, err
	}
	small := b.before.small(b.lake.cfg.AdoptRows, len(b.key) > 0)
	if len(small) <= b.lake.cfg.MaxSmallFiles {
		return false, nil
	}
	var sources []*rowSource
	for _, f := range small {
		b.drop = append(b.drop, f.DataFile)
		sources = append(sources, b.lake.tableSource(f, nil))
	}
	if err := b.writeMerged(ctx, sources); err != nil {
		return false, err
	}
	tx, err := pin(b.tbl)
	if err != nil {
		return false, err
	}
	b.strategy, b.req.Token = StrategyCompact, b.state.token
	if err := b.stage(ctx, tx); err != nil {
		return false, err
	}
	if _, err := tx.Commit(ctx); err != nil {
		return false, commitFailed(err)
	}
	return true, nil
}

// small gives the files below a number of rows that can be merged.
func (s *snapshot) small(rows int64, keyed bool) []*dataFile {
	var out []*dataFile
	for _, f := range s.files {
		if f.Count() < rows && f.sorted == keyed {
			out = append(out, f)
		}
	}
	return out
}

// tidy compacts after a commit that left many small files. The publication has
// happened, whatever becomes of it.
func (b *batch) tidy(ctx context.Context) {
	if b.req.Mode == Replace || b.strategy == StrategyCopyOnWrite && len(b.drop) == len(b.before.files) {
		return
	}
	limit := b.lake.cfg.MaxSmallFiles
	if len(b.before.small(b.lake.cfg.AdoptRows, len(b.key) > 0))+len(b.add) <= limit {
		return
	}
	if _, err := b.lake.Compact(ctx, b.req.Spec); err != nil {
		b.lake.log.WarnContext(ctx, "compact small files", "table", b.req.Spec.ID.String(), "error", err)
	}
}
