package control

import (
	"context"

	"github.com/openblotter/blotter/pkg/dms"
)

// Restored is a table as the log tells of it.
type Restored struct {
	Table   dms.TableID
	Version uint64 // of the state, not 0: the next Commit expects it
	State   []byte
	Files   []FileRow
	Specs   []Spec
}

// Restorer takes in tables whose store was lost.
type Restorer interface {
	// Restore writes a table that is not there, with an empty outbox; ErrConflict if it
	// is. The table is there when all of it is: after an error it may be restored again.
	Restore(ctx context.Context, r Restored) error
}
