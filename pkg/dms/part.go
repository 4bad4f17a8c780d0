package dms

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Part names the rows that one table has in a transaction file. The zero Part
// names none.
type Part struct {
	FileID FileID `json:"file_id"` // of the transaction file
	// Schema and Table are the table as the file names it.
	Schema string `json:"schema"`
	Table  string `json:"table"`
}

// IsZero reports whether p names no part.
func (p Part) IsZero() bool { return p == Part{} }

// String gives "<schema>.<table>", for people.
func (p Part) String() string { return p.Schema + "." + p.Table }

// ID is the identity of the part: a hash of the transaction file's id, schema and
// table, in the form of a FileID. Each table's part of a file is a file of its own.
func (p Part) ID() FileID {
	h := sha256.New()
	for _, s := range []string{"part", string(p.FileID), p.Schema, p.Table} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return FileID(hex.EncodeToString(h.Sum(nil)[:16]))
}

// IsControl reports whether the part belongs to one of DMS's own control tables.
func (p Part) IsControl() bool { return isControlTable(p.Table) }

// controlPrefix begins the names of DMS's own tables, in upper or lower case.
const controlPrefix = "awsdms_"

func isControlTable(name string) bool {
	return len(name) >= len(controlPrefix) && strings.EqualFold(name[:len(controlPrefix)], controlPrefix)
}

// TransactionPart is one table's share of a transaction file.
type TransactionPart struct {
	// FileID is the identity of the part, see Part.ID.
	FileID FileID `json:"file_id"`
	Schema string `json:"schema"`
	Table  string `json:"table"`
	Rows   int64  `json:"rows"`
}
