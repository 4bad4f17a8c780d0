package sqlitefile

import (
	"context"
	"database/sql"
	"fmt"
)

// Tx is the write transaction of one call. It must not be kept.
type Tx struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

// Exec runs a statement and tells how many rows it changed.
func (t *Tx) Exec(query string, args ...any) (int64, error) {
	s, err := t.prepare(query)
	if err != nil {
		return 0, err
	}
	// Never the caller's context: an interrupt in the middle would undo the
	// writes of others in the same transaction.
	res, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// QueryRow runs a query for one row. An error of it comes out of Scan.
func (t *Tx) QueryRow(query string, args ...any) Row {
	s, err := t.prepare(query)
	if err != nil {
		return Row{err: err}
	}
	return Row{row: s.QueryRowContext(context.Background(), args...)}
}

// Row is the answer to QueryRow. It must be scanned: until then the connection
// is taken.
type Row struct {
	row *sql.Row
	err error
}

// Scan copies the columns of the row, as sql.Row does; sql.ErrNoRows if there is none.
func (r Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	return r.row.Scan(dest...)
}

// prepare keeps each statement for the life of the connection: there are few,
// and their texts are constants.
func (t *Tx) prepare(query string) (*sql.Stmt, error) {
	if s, ok := t.stmts[query]; ok {
		return s, nil
	}
	s, err := t.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("prepare statement: %w", err)
	}
	t.stmts[query] = s
	return s, nil
}
