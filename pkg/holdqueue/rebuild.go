package holdqueue

import (
	"context"
	"fmt"
	"math"

	"github.com/openblotter/blotter/pkg/dms"
)

// Rebuilt counts what was wrong with a list.
type Rebuilt struct {
	Added   int // files that were missing
	Removed int // files that do not wait, or stood in another place
}

// Rebuild makes the list of a table equal to want, which the control store gives.
// It may be repeated, and be used beside Hold and Release; what it did before an
// error stays done.
func Rebuild(ctx context.Context, q Queue, table dms.TableID, want []Item) (Rebuilt, error) {
	var done Rebuilt
	there, err := q.Held(ctx, table, math.MaxInt32)
	if err != nil {
		return done, fmt.Errorf("rebuild the hold queue of %s: %w", table, err)
	}
	missing := make(map[dms.FileID]Item, len(want))
	for _, item := range want {
		missing[item.FileID] = item
	}
	for _, item := range there {
		if missing[item.FileID] == item {
			delete(missing, item.FileID)
			continue
		}
		if err := q.Release(ctx, table, item.FileID); err != nil {
			return done, fmt.Errorf("rebuild the hold queue of %s: %w", table, err)
		}
		done.Removed++
	}
	for _, item := range want { // lowest first, so that a list shows them in order
		if _, ok := missing[item.FileID]; !ok {
			continue
		}
		if err := q.Hold(ctx, table, item); err != nil {
			return done, fmt.Errorf("rebuild the hold queue of %s: %w", table, err)
		}
		delete(missing, item.FileID)
		done.Added++
	}
	return done, nil
}
