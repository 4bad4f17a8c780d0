package holdqueue

import (
	"context"

	"github.com/openblotter/blotter/pkg/dms"
)

// Item is one file that waits.
type Item struct {
	FileID dms.FileID
	Order  dms.FileOrder
}

// Queue shows the files of each table that wait while it loads or is paused.
// The control store decides what runs; a queue can be rebuilt from it. Hold and
// Release may be repeated: they change nothing the second time.
type Queue interface {
	// Hold adds a file.
	Hold(ctx context.Context, table dms.TableID, item Item) error
	// Release removes a file; a missing one is no error.
	Release(ctx context.Context, table dms.TableID, id dms.FileID) error
	// Held lists the lowest files of a table, by order, then by id, at most limit
	// (which is positive).
	Held(ctx context.Context, table dms.TableID, limit int) ([]Item, error)
	// Len counts the files of a table.
	Len(ctx context.Context, table dms.TableID) (int, error)
}

// Counter is a Queue that lists its files by taking them out of the sight of others for a
// moment, and can say about how many there are without.
type Counter interface {
	// Count gives about how many files of a table there are: what came or went within a
	// minute may not count yet, and a file that was held again may count twice.
	Count(ctx context.Context, table dms.TableID) (int, error)
}
