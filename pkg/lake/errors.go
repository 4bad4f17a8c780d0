package lake

import (
	"errors"
	"fmt"

	"github.com/openblotter/blotter/pkg/dms"
)

var (
	// ErrStale: the table carries a newer token, or the token was fenced. Nothing
	// was published, and nothing ever will be under this token.
	ErrStale = errors.New("token is stale")
	// ErrSetBack: the table does not carry what was committed to it: it, or the catalog
	// that names its metadata, was lost, or put back from an older copy, or its current
	// snapshot is an older one. It takes nothing but fences and a replacement of all its rows, until the loss is
	// accepted (Turn).
	ErrSetBack = errors.New("the table was lost or set back")
	// ErrOtherFiles: the table carries the token, and other files were published under it: by
	// a system whose log and control store were not those of now.
	ErrOtherFiles = errors.New("other files were published under this token: the lake is that of another log and control store; " +
		"restore those, or give the new system a lake of its own")
	// ErrBusy: other commits came first as often as was tried. Try again later.
	ErrBusy = errors.New("table keeps changing")
	// ErrNoTable: there is no such table in the lake yet.
	ErrNoTable = errors.New("no such table in the lake")
	// ErrIncompatible: the table in the lake cannot follow the registration, for
	// example since its primary key is another one.
	ErrIncompatible = errors.New("registration does not fit the table in the lake")
)

// SetBackError is an ErrSetBack that tells how far back.
type SetBackError struct {
	To     uint64 // the table has what was committed up to this token; 0: nothing
	detail string
}

func (e *SetBackError) Error() string { return ErrSetBack.Error() + ": " + e.detail }

// Is reports whether target is ErrSetBack.
func (e *SetBackError) Is(target error) bool { return target == ErrSetBack }

// The codes of an AuditError.
const (
	CodeManifest        = "audit.manifest"         // missing, changed, or about another file, table, token or registration
	CodeHash            = "audit.hash"             // a staged file is missing or is not the one that the manifest names
	CodeRowCount        = "audit.row_count"        // a staged file has more or fewer rows than the manifest says
	CodeSchema          = "audit.schema"           // a staged file's columns are not those that the manifest names, or lack the key
	CodeTypes           = "audit.types"            // a column of the file and the table's have types of which neither reads as the other
	CodeKeyOrder        = "audit.key_order"        // rows are not sorted by key, or a key repeats, or is null
	CodeKeyBounds       = "audit.key_bounds"       // keys are not those that the manifest names
	CodePosition        = "audit.position"         // a row's position lies outside of the manifest's range
	CodeProvenance      = "audit.provenance"       // a row names another file, or no row of it
	CodePositionDeletes = "audit.position_deletes" // the engine names rows of the table that have no key of a change, or not all that have
	CodeDeletes         = "audit.deletes"          // changes without a key: the table has no primary key
)

// AuditError says that staged output is not whole and true. It is final: the
// same staged output fails again. It holds no value of a row.
type AuditError struct {
	Code    string
	FileID  dms.FileID
	Object  string // the key in the staging bucket
	Row     int64  // in the staged file, from 1; 0 if it belongs to none
	Message string
	Err     error // the cause, if there is one
}

// Error gives the whole report in one line.
func (e *AuditError) Error() string {
	s := fmt.Sprintf("audit of staged file %s: %s", e.FileID, e.Message)
	if e.Object != "" {
		s += " (" + e.Object
		if e.Row > 0 {
			s += fmt.Sprintf(", row %d", e.Row)
		}
		s += ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *AuditError) Unwrap() error { return e.Err }
