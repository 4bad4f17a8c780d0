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

// TransactionTable is the name of the pseudo-table that a database's
// transaction files belong to: "<db>.@txn".
const TransactionTable = "@txn"

// RawTable is the pseudo-table under which is told what happens to objects that
// belong to no registered table.
var RawTable = TableID{DB: "_", Table: "raw"}

// LogTable is the pseudo-table under which is told what happens to the log itself.
var LogTable = TableID{DB: "_", Table: "log"}

// String gives "<db>.<table>", the form that ParseTableID reads.
func (t TableID) String() string { return t.DB + "." + t.Table }

// IsZero reports whether t names no table.
func (t TableID) IsZero() bool { return t == TableID{} }

// IsTransactions reports whether t is the pseudo-table of transaction files.
func (t TableID) IsTransactions() bool { return t.Table == TransactionTable }

// ParseTableID reads "<db>.<table>". The first dot divides: a database name
// holds none, a table name may.
func ParseTableID(s string) (TableID, error) {
	db, table, ok := strings.Cut(s, ".")
	if !ok || db == "" || table == "" {
		return TableID{}, fmt.Errorf("table name %q: expected <db>.<table>, such as rms.reports", s)
	}
	return TableID{DB: db, Table: table}, nil
}

// MarshalText gives what String gives, and nothing for the zero TableID.
func (t TableID) MarshalText() ([]byte, error) {
	if t.IsZero() {
		return nil, nil
	}
	return []byte(t.String()), nil
}

// UnmarshalText reads what MarshalText gives.
func (t *TableID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*t = TableID{}
		return nil
	}
	id, err := ParseTableID(string(text))
	if err != nil {
		return err
	}
	*t = id
	return nil
}
