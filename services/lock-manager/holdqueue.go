package lockmanager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/holdqueue"
)

// rebuildHold makes a table's hold queue what its state says. It changes no state
// and says nothing in the log: the queue is a view. Where the table moves on
// meanwhile, by another replica, it begins anew.
func (s *Service) rebuildHold(ctx context.Context, id dms.TableID) (string, error) {
	t := s.table(id)
	t.mu.Lock()
	defer t.mu.Unlock()
	var done holdqueue.Rebuilt
	for range maxConflicts {
		t.state, t.cutShort = nil, false
		if err := s.load(ctx, t); err != nil {
			return "", err
		}
		if t.version == 0 {
			return "", refuse("there is no table %s", id)
		}
		want := heldItems(t.state)
		step, err := holdqueue.Rebuild(ctx, s.deps.Hold, id, want)
		done.Added, done.Removed = done.Added+step.Added, done.Removed+step.Removed
		if err != nil {
			return "", err
		}
		if err = s.unchanged(ctx, t); err == nil {
			waiting := fmt.Sprintf("%d files of %s wait", len(want), id)
			if len(want) == 1 {
				waiting = fmt.Sprintf("1 file of %s waits", id)
			}
			return fmt.Sprintf("%s; missing in its hold queue were %d, not belonging there %d", waiting, done.Added, done.Removed), nil
		}
		if !errors.Is(err, control.ErrConflict) {
			return "", err
		}
	}
	return "", fmt.Errorf("table %s: %w %d times in a row", id, control.ErrConflict, maxConflicts)
}

// heldItems are the files that wait, lowest first.
func heldItems(s *State) []holdqueue.Item {
	var items []holdqueue.Item
	for _, f := range s.Files {
		if f.Held {
			items = append(items, holdqueue.Item{FileID: f.ID, Order: f.Order})
		}
	}
	slices.SortFunc(items, func(a, b holdqueue.Item) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.FileID, b.FileID))
	})
	return items
}
