package dms

import (
	"fmt"
	"strings"
)

// TableID names a table: the unit of order, locking and pausing.
type TableID struct {
	DB    string
	Table string
}

// String gives "<db>.<table>", the form that ParseTableID reads.
func (t TableID) String() string { return t.DB + "." + t.Table }

// IsZero reports whether t names no table.
func (t TableID) IsZero() bool { return t == TableID{} }

// ParseTableID reads "<db>.<table>". The first dot divides: a database name
// holds none, a table name may.
func ParseTableID(s string) (TableID, error) {
	db, table, ok := strings.Cut(s, ".")
	if !ok || db == "" || table == "" {
		return TableID{}, fmt.Errorf("table name %q: expected <db>.<table>, such as rms.reports", s)
	}
	return TableID{DB: db, Table: table}, nil
}
