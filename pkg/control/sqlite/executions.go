package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/sqlitefile"
)

var _ control.Executions = (*Store)(nil)

const (
	selectExecutions = `SELECT file_id, execution, since, token, parts, ended, revision FROM executions`
	waitingAfter     = ` WHERE token != '' AND file_id > ? ORDER BY file_id LIMIT ?`
)

// Execution implements control.Executions.
func (s *Store) Execution(ctx context.Context, id dms.FileID) (control.ExecutionRow, error) {
	row, err := scanExecution(s.db.Reads().QueryRowContext(ctx, selectExecutions+` WHERE file_id = ?`, string(id)))
	if err != nil {
		return control.ExecutionRow{}, s.missing("load execution of file "+string(id), err)
	}
	return row, nil
}

// Waiting implements control.Executions.
func (s *Store) Waiting(ctx context.Context, after dms.FileID, limit int) ([]control.ExecutionRow, error) {
	const doing = "list executions that wait"
	rows, err := s.db.Reads().QueryContext(ctx, selectExecutions+waitingAfter, string(after), limit)
	if err != nil {
		return nil, s.db.Explain(doing, err)
	}
	defer rows.Close()
	var list []control.ExecutionRow
	for rows.Next() {
		row, err := scanExecution(rows)
		if err != nil {
			return nil, s.db.Explain(doing, err)
		}
		list = append(list, row)
	}
	return list, s.db.Explain(doing, rows.Err())
}

// PutExecution implements control.Executions.
func (s *Store) PutExecution(ctx context.Context, row control.ExecutionRow) error {
	since := ""
	if !row.Since.IsZero() {
		var err error
		if since, err = stamp(row.Since); err != nil {
			return fmt.Errorf("put execution of file %s: %w", row.FileID, err)
		}
	}
	parts := make([]string, len(row.Parts))
	for i, id := range row.Parts {
		parts[i] = string(id)
	}
	args := []any{string(row.FileID), row.Execution, since, row.Token, strings.Join(parts, " "), notNull(row.End), int64(row.Revision)}
	err := s.db.Write(ctx, func(tx *sqlitefile.Tx) error {
		n, err := tx.Exec(putExecution(row.Revision), args...)
		if err == nil && n == 0 {
			err = control.ErrConflict
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("put revision %d of the execution of file %s: %w", row.Revision+1, row.FileID, err)
	}
	return nil
}

func putExecution(revision uint64) string {
	if revision == 0 {
		return `INSERT INTO executions (file_id, execution, since, token, parts, ended, revision)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7 + 1) ON CONFLICT DO NOTHING`
	}
	return `UPDATE executions SET execution = ?2, since = ?3, token = ?4, parts = ?5, ended = ?6, revision = ?7 + 1
		WHERE file_id = ?1 AND revision = ?7`
}

func scanExecution(row scanner) (control.ExecutionRow, error) {
	var r control.ExecutionRow
	var id, since, parts string
	var revision int64
	if err := row.Scan(&id, &r.Execution, &since, &r.Token, &parts, &r.End, &revision); err != nil {
		return r, err
	}
	r.FileID, r.Revision = dms.FileID(id), uint64(revision)
	for part := range strings.FieldsSeq(parts) {
		r.Parts = append(r.Parts, dms.FileID(part))
	}
	if len(r.End) == 0 {
		r.End = nil
	}
	r.Since = time.Time{}
	if since == "" {
		return r, nil
	}
	t, err := parseStamp(since)
	r.Since = t
	return r, err
}
