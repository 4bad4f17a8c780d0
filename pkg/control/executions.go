package control

import (
	"context"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
)

// ExecutionRow is what ingest-router knows of the workflow that waits for the end of a
// file, and of that end.
type ExecutionRow struct {
	FileID    dms.FileID
	Execution string    // the workflow's name; empty: none ever waited
	Since     time.Time // when its task began to wait; zero if none ever did
	Token     string    // by which the task is answered, a secret; empty: nobody waits
	// Parts are those of a transaction file that was split.
	Parts    []dms.FileID
	End      []byte // how the file ended, as ingest-router encodes it; empty: it did not
	Revision uint64 // grows by one with every write; 0: no row yet
}

// Executions keeps who waits for files.
type Executions interface {
	// Execution loads a row; ErrNotFound if there is none.
	Execution(ctx context.Context, id dms.FileID) (ExecutionRow, error)
	// PutExecution writes the row if its stored revision is row.Revision; else
	// ErrConflict; revision 0 expects that there is none. The stored revision becomes
	// row.Revision+1. It is durable when PutExecution returns.
	PutExecution(ctx context.Context, row ExecutionRow) error
	// Waiting loads the rows that have a token and whose file_id is greater than after,
	// by file_id, at most limit (which is positive).
	Waiting(ctx context.Context, after dms.FileID, limit int) ([]ExecutionRow, error)
}
