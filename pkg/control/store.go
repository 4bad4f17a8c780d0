package control

import (
	"context"
	"errors"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
)

// What a store answers beyond success. Adapters wrap these; callers test with errors.Is.
var (
	ErrNotFound = errors.New("not found")
	// ErrConflict: the item has another version than expected, or its outbox is
	// not empty. Load again, flush, decide again.
	ErrConflict = errors.New("control state has changed")
	// ErrValue: a stored value is none that a store writes: it was altered or damaged.
	ErrValue = errors.New("a value in the control store cannot be understood")
)

// TableItem is the one item that decides: the state of a table and the events
// that are decided but not yet known to be in the log.
type TableItem struct {
	Table   dms.TableID
	Version uint64   // grows by one with every Commit; 0: no item yet
	State   []byte   // as lock-manager encodes it
	Outbox  [][]byte // encoded envelopes, in order
}

// FileRow is the history of one file of a table.
type FileRow struct {
	FileID       dms.FileID
	Kind         dms.FileKind
	State        string // "waiting", "granted", "staged", "published", "split", "quarantined", "ignored", "skipped"
	Order        dms.FileOrder
	LastModified time.Time
	// Live rows are those that a later decision may need; the others are history.
	Live bool
	Body []byte // as lock-manager encodes it
}

// Change is one conditional write: all of it happens, or none.
type Change struct {
	Table  dms.TableID
	Expect uint64 // the version that the item must have; 0: there must be none
	State  []byte
	Outbox [][]byte
	Files  []FileRow // written over those of the same id
	Spec   *Spec     // a new registration, if there is one; its version must be new
}

// Spec is one version of a table's registration.
type Spec struct {
	Version uint64
	JSON    []byte // canonical JSON of registry.Table
}

// Store keeps the state of tables. Reads are consistent: they see every Commit
// that returned before them, whoever made it. A list that is read while others
// commit may hold rows of some of their commits: who decides by it commits on the
// version that was loaded before, which is refused then.
type Store interface {
	// Table loads the item of a table; ErrNotFound if there is none.
	Table(ctx context.Context, table dms.TableID) (TableItem, error)
	// Tables lists all tables that have an item, sorted by database and name.
	Tables(ctx context.Context) ([]dms.TableID, error)
	// Unflushed lists the tables whose outbox is not empty, sorted alike.
	Unflushed(ctx context.Context) ([]dms.TableID, error)
	// Commit writes c if the item has version c.Expect and an empty outbox;
	// else ErrConflict. The new version is c.Expect+1. It is durable when Commit
	// returns. After any other error the caller does not know whether c was
	// written (the store may be far away) and loads the table again.
	Commit(ctx context.Context, c Change) error
	// ClearOutbox empties the outbox if the item still has this version; else it
	// does nothing. A loss of power may bring the outbox back, never a crash.
	ClearOutbox(ctx context.Context, table dms.TableID, version uint64) error

	// File loads one file's row; ErrNotFound if there is none.
	File(ctx context.Context, table dms.TableID, id dms.FileID) (FileRow, error)
	// LiveFiles loads all live rows of a table, by order, then by id; none if
	// there is no such table.
	LiveFiles(ctx context.Context, table dms.TableID) ([]FileRow, error)
	// PublishedChanges loads the published change files of a table that were
	// modified at or after since, by order.
	PublishedChanges(ctx context.Context, table dms.TableID, since time.Time) ([]FileRow, error)
	// Files loads the rows of a table in the given states (all if none), newest
	// order first, at most limit (which is positive). For people, not for decisions.
	Files(ctx context.Context, table dms.TableID, states []string, limit int) ([]FileRow, error)
	// FilesByID loads the rows of a table whose file id begins so, by id, at most limit
	// (which is positive), however many files the table has.
	FilesByID(ctx context.Context, table dms.TableID, begin string, limit int) ([]FileRow, error)

	// Spec loads one version of a table's registration; version 0 is the newest.
	// ErrNotFound if there is none.
	Spec(ctx context.Context, table dms.TableID, version uint64) (Spec, error)
}

// ObjectState is how far ingest-router is with an object.
type ObjectState string

// The states of an object.
const (
	ObjectPending ObjectState = "pending" // decided, its event not yet known to be in the log
	ObjectTold    ObjectState = "told"    // its event is in the log
	ObjectHeld    ObjectState = "held"    // told as held: its table is not registered
	// ObjectDismissed: told as ignored, since an operator gave up a held object. It can be
	// taken back.
	ObjectDismissed ObjectState = "dismissed"
)

// ObjectRow is what ingest-router knows of one version of one object, or of one
// table's part of a transaction file.
type ObjectRow struct {
	FileID dms.FileID
	Object dms.Object
	Part   dms.Part // zero unless the row is of a part; Object is then the whole file
	State  ObjectState
	Table  dms.TableID // zero if it belongs to none
	After  uint64      // the log's last sequence when it was decided
	// Event is the encoded envelope of a pending object, and where a listing stands, in the
	// row that keeps that.
	Event      []byte
	Deliveries int64  // how often a notification told of it
	Revision   uint64 // grows by one with every write; 0: no row yet
}

// Objects keeps what ingest-router has seen.
type Objects interface {
	// Object loads a row; ErrNotFound if there is none.
	Object(ctx context.Context, id dms.FileID) (ObjectRow, error)
	// PutObject writes the row if its stored revision is row.Revision; else
	// ErrConflict; revision 0 expects that there is none. The stored revision
	// becomes row.Revision+1. It is durable when PutObject returns.
	PutObject(ctx context.Context, row ObjectRow) error
	// ObjectsIn loads the rows in one state, pending, held or dismissed, at most limit (which
	// is positive), oldest first: in the order in which each was put for the first
	// time, by the clocks of those who put them. Told objects are history, which a
	// store need not list.
	ObjectsIn(ctx context.Context, state ObjectState, limit int) ([]ObjectRow, error)
	// CountObjects counts the objects in a state that ObjectsIn lists, without reading
	// them; it stops at most (which is positive).
	CountObjects(ctx context.Context, state ObjectState, most int) (int, error)
}
