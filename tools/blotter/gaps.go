package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// firstRead is how many files are read at first to find what closed a gap: most gaps
// are closed soon.
const firstRead = 1000

// gapsOf gives the files that an operator skipped and that the table lacks still,
// newest order first, at most maxListed: not those that a full load has replaced, nor
// those that were written again at the source and came in as another version. Mended
// rows that were skipped leave none: they are set aside again.
func gapsOf(ctx context.Context, store control.Store, s *lockmanager.State) ([]*lockmanager.File, error) {
	skipped, err := filesIn(ctx, store, s.Table, maxListed, lockmanager.Skipped)
	if err != nil {
		return nil, err
	}
	gaps := slices.DeleteFunc(skipped, func(f *lockmanager.File) bool { return !s.InForce(f) || !f.Mending.IsZero() })
	// What was written again has the time in the name of what it was, and is modified
	// later: it stands before it.
	for limit := firstRead; len(gaps) > 0; limit = min(10*limit, maxListed) {
		cameIn, err := filesIn(ctx, store, s.Table, limit, lockmanager.Published, lockmanager.Split)
		if err != nil {
			return nil, err
		}
		gaps = withoutClosed(gaps, cameIn)
		if len(cameIn) < limit || limit == maxListed || len(gaps) == 0 || cameIn[limit-1].Order < gaps[len(gaps)-1].Order {
			break
		}
	}
	return gaps, nil
}

// withoutClosed leaves out the gaps whose object came in as a later version.
func withoutClosed(gaps, cameIn []*lockmanager.File) []*lockmanager.File {
	type object struct{ key, part string }
	of := func(f *lockmanager.File) object { return object{f.Object.Key, f.Part.String()} }
	newest := map[object]*lockmanager.File{}
	for _, f := range cameIn {
		if f.Mending.IsZero() && (newest[of(f)] == nil || newest[of(f)].Object.LastModified.Before(f.Object.LastModified)) {
			newest[of(f)] = f
		}
	}
	return slices.DeleteFunc(gaps, func(f *lockmanager.File) bool {
		again := newest[of(f)]
		return again != nil && again.Object.LastModified.After(f.Object.LastModified)
	})
}

// printGaps tells below other things how many gaps a table has.
func printGaps(out io.Writer, id dms.TableID, gaps int, at site) {
	switch {
	case gaps == 1:
		fmt.Fprintf(out, "%s lacks 1 file that was skipped; see: blotter table show '%s'%s\n", id, id, at.flags())
	case gaps > 1:
		fmt.Fprintf(out, "%s lacks %d files that were skipped; see: blotter table show '%s'%s\n", id, gaps, id, at.flags())
	}
}
