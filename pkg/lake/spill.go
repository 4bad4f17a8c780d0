package lake

import (
	"bytes"
	"context"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/objects"
)

// bounded gives sources with the same rows of which mergeRows has no more open at
// once than the fan-in: where the key ranges of more overlap, it merges some into
// sorted runs first, as often as it takes.
func (b *batch) bounded(ctx context.Context, sources []*rowSource, s *scratch) ([]*rowSource, error) {
	fanIn := b.lake.cfg.MergeFanIn
	for len(b.key) > 0 && overlapping(sources) > fanIn {
		slices.SortStableFunc(sources, func(x, y *rowSource) int { return bytes.Compare(x.low, y.low) })
		var left []*rowSource
		for some := range slices.Chunk(sources, fanIn) {
			if len(some) == 1 {
				left = append(left, some[0])
				continue
			}
			run, err := b.mergeRun(ctx, some, s)
			if err != nil {
				return nil, err
			}
			if run != nil {
				left = append(left, run)
			}
		}
		sources = left
	}
	return sources, nil
}

// overlapping counts how many sources mergeRows would have open at once, at most.
func overlapping(sources []*rowSource) int {
	var lows, highs [][]byte
	for _, s := range sources {
		lows = append(lows, s.low)
		if s.high != nil {
			highs = append(highs, s.high)
		}
	}
	slices.SortFunc(lows, bytes.Compare)
	slices.SortFunc(highs, bytes.Compare)
	most, ended := 0, 0
	for i, low := range lows {
		for ended < len(highs) && bytes.Compare(highs[ended], low) < 0 && !bytes.HasPrefix(low, highs[ended]) {
			ended++
		}
		most = max(most, i+1-ended)
	}
	return most
}

// mergeRun merges sources into one run; nil if they have no row.
func (b *batch) mergeRun(ctx context.Context, some []*rowSource, s *scratch) (*rowSource, error) {
	run := &rowSource{name: "a sorted run", low: some[0].low, high: some[0].high}
	for _, source := range some {
		if source.high == nil || run.high != nil && bytes.Compare(source.high, run.high) > 0 {
			run.high = source.high
		}
	}
	var written *scratchRun
	w := b.lake.newDataWriter(ctx, b.req.Spec.ID, b.columns, b.prov, b.order)
	w.bounds = unlimited
	w.create = func(string) (_ objects.Writer, err error) {
		written, err = s.begin()
		return written, err
	}
	if err := w.close(mergeRows(ctx, some, w.cols, b.key, w.retire, w.add)); err != nil || written == nil {
		return nil, err
	}
	run.open = func(context.Context) (*parquet.File, io.Closer, error) {
		file, err := parquet.OpenFile(written.reader(), written.size, parquet.SkipBloomFilters(true))
		return file, io.NopCloser(nil), err
	}
	return run, nil
}
