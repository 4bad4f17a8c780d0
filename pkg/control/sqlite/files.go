package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

const (
	fileColumns = `f.file_id, f.kind, f.state, f.file_order, f.last_modified, f.live, f.body`
	// CROSS JOIN holds SQLite to this order: first the one table, then its files.
	// INDEXED BY holds it to an index: without statistics it would walk all files
	// of a table for the few that are live.
	ofTable          = ` ON f.table_id = t.id WHERE t.db = ? AND t.name = ?`
	selectFiles      = `SELECT ` + fileColumns + ` FROM tables t CROSS JOIN files f`
	filesOfTable     = selectFiles + ofTable
	filesLive        = selectFiles + ` INDEXED BY files_live` + ofTable
	filesPublished   = selectFiles + ` INDEXED BY files_published` + ofTable
	filesByState     = selectFiles + ` INDEXED BY files_state` + ofTable
	liveFiles        = ` AND f.live = 1 ORDER BY f.file_order, f.file_id`
	publishedChanges = ` AND f.state = 'published' AND f.kind = 2 AND f.last_modified >= ?
		ORDER BY f.file_order, f.file_id`
	filesByID   = filesOfTable + ` AND f.file_id >= ? AND f.file_id < ? ORDER BY f.file_id LIMIT ?`
	newestFirst = ` ORDER BY f.file_order DESC, f.file_id DESC LIMIT ?`
)

// File implements control.Store.
func (s *Store) File(ctx context.Context, table dms.TableID, id dms.FileID) (control.FileRow, error) {
	row := s.db.Reads().QueryRowContext(ctx, filesOfTable+` AND f.file_id = ?`,
		table.DB, table.Table, string(id))
	f, err := scanFile(row)
	if err != nil {
		return control.FileRow{}, s.missing("load file "+string(id)+" of table "+table.String(), err)
	}
	return f, nil
}

// LiveFiles implements control.Store.
func (s *Store) LiveFiles(ctx context.Context, table dms.TableID) ([]control.FileRow, error) {
	return s.files(ctx, "load live files of table "+table.String(),
		filesLive+liveFiles, table.DB, table.Table)
}

// PublishedChanges implements control.Store.
func (s *Store) PublishedChanges(ctx context.Context, table dms.TableID, since time.Time) ([]control.FileRow, error) {
	from, err := stamp(since)
	if err != nil {
		return nil, err
	}
	return s.files(ctx, "load published files of table "+table.String(),
		filesPublished+publishedChanges, table.DB, table.Table, from)
}

// Files implements control.Store.
func (s *Store) Files(ctx context.Context, table dms.TableID, states []string, limit int) ([]control.FileRow, error) {
	doing := "list files of table " + table.String()
	if len(states) == 0 {
		return s.files(ctx, doing, filesOfTable+newestFirst, table.DB, table.Table, limit)
	}
	// One bounded walk of the index for each state, then the newest of those:
	// the few quarantined among a million published are found at once.
	var query strings.Builder
	var args []any
	query.WriteString(`SELECT * FROM (`)
	for i, state := range states {
		if i > 0 {
			query.WriteString(` UNION `)
		}
		query.WriteString(`SELECT * FROM (` + filesByState + ` AND f.state = ?` + newestFirst + `)`)
		args = append(args, table.DB, table.Table, state, limit)
	}
	query.WriteString(`) f` + newestFirst)
	return s.files(ctx, doing, query.String(), append(args, limit)...)
}

// FilesByID implements control.Store.
func (s *Store) FilesByID(ctx context.Context, table dms.TableID, begin string, limit int) ([]control.FileRow, error) {
	return s.files(ctx, fmt.Sprintf("list files of table %s by id", table), filesByID,
		table.DB, table.Table, begin, begin+behindAll, limit)
}

// behindAll is behind every text that begins with what stands before it.
const behindAll = "\U0010ffff"

func (s *Store) files(ctx context.Context, doing, query string, args ...any) ([]control.FileRow, error) {
	rows, err := s.db.Reads().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.db.Explain(doing, err)
	}
	defer rows.Close()
	var files []control.FileRow
	for rows.Next() {
		f, err := scanFile(rows)
		if err != nil {
			return nil, s.db.Explain(doing, err)
		}
		files = append(files, f)
	}
	return files, s.db.Explain(doing, rows.Err())
}

type scanner interface{ Scan(dest ...any) error }

var (
	_ scanner = (*sql.Row)(nil)
	_ scanner = (*sql.Rows)(nil)
)

func scanFile(row scanner) (control.FileRow, error) {
	var f control.FileRow
	var id, order, modified string
	var kind int64
	if err := row.Scan(&id, &kind, &f.State, &order, &modified, &f.Live, &f.Body); err != nil {
		return f, err
	}
	t, err := parseStamp(modified)
	if err != nil {
		return f, err
	}
	f.FileID, f.Kind, f.Order, f.LastModified = dms.FileID(id), dms.FileKind(kind), dms.FileOrder(order), t
	return f, nil
}
