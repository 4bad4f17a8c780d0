package fsck

import (
	"context"
	"fmt"
	"math"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/holdqueue"
)

// checkHold: the hold queue shows what waits. A queue that shows its files only by taking
// them out of the sight of others is counted, but for a repair.
func (l *look) checkHold(ctx context.Context) error {
	if l.state == nil || l.state.Grant != nil {
		return nil // it may be changing
	}
	want := map[dms.FileID]dms.FileOrder{}
	for _, f := range l.state.Files {
		if f.Held {
			want[f.ID] = f.Order
		}
	}
	if c, counts := l.deps.Hold.(holdqueue.Counter); counts && l.deps.Repair == nil {
		n, err := c.Count(ctx, l.id)
		if err != nil {
			return fmt.Errorf("count its hold queue: %w", err)
		}
		if f := countedHold(l.id, len(want), n); f != nil {
			l.add(*f)
		}
		return nil
	}
	there, err := l.deps.Hold.Held(ctx, l.id, math.MaxInt32)
	if err != nil {
		return fmt.Errorf("read its hold queue: %w", err)
	}
	surplus := 0
	for _, item := range there {
		if order, known := want[item.FileID]; !known || order != item.Order {
			surplus++ // one in another order stands for two
			continue
		}
		delete(want, item.FileID)
	}
	if surplus+len(want) == 0 {
		return nil
	}
	f := Finding{Kind: HoldDiffers, Detail: fmt.Sprintf("%d files wait that it does not show, and it shows %d that do not wait", len(want), surplus),
		Do: fmt.Sprintf("`blotter holdqueue rebuild '%s'`", l.id)}
	if l.deps.Repair != nil {
		id := l.id
		f.repair = func(ctx context.Context) (string, error) { return l.deps.Repair.Hold(ctx, id) }
	}
	l.add(f)
	return nil
}

// countedHold tells of a queue that shows about so many files; nil if they are as many as
// wait. More may be a file that stands there twice.
func countedHold(table dms.TableID, waiting, shown int) *Finding {
	f := Finding{Kind: HoldDiffers, Detail: fmt.Sprintf("%d files wait, and it has about %d; they were only counted", waiting, shown),
		Do: fmt.Sprintf("look again in a minute, since the count is late; if it stays so, `blotter holdqueue rebuild '%s'`", table)}
	if shown == waiting {
		return nil
	}
	// The count is late by up to a minute, and a file that was held again may count twice.
	f.Note = true
	return &f
}
