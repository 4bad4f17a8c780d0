package sqlite

import (
	"context"
	"fmt"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/holdqueue"
	"github.com/openblotter/blotter/pkg/sqlitefile"
)

// applicationID marks a hold queue among SQLite files: "Blh1".
const applicationID = 0x426c6831

var migrations = []string{`
CREATE TABLE held (
	db         TEXT NOT NULL,
	name       TEXT NOT NULL,
	file_id    TEXT NOT NULL,
	file_order TEXT NOT NULL,
	PRIMARY KEY (db, name, file_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX held_order ON held (db, name, file_order, file_id);
`}

// Queue is a hold queue in a SQLite file. All methods may be used by many
// goroutines.
type Queue struct {
	db *sqlitefile.DB
}

var _ holdqueue.Queue = (*Queue)(nil)

// Open opens the hold queue at path and creates it if it is not there; its
// folder must exist. Fails with sqlitefile.ErrSchema if the file belongs to
// another program or to a newer Blotter.
func Open(ctx context.Context, path string) (*Queue, error) {
	db, err := sqlitefile.Open(ctx, sqlitefile.Config{
		Path:          path,
		What:          "hold queue",
		ApplicationID: applicationID,
		Migrations:    migrations,
	})
	if err != nil {
		return nil, err
	}
	return &Queue{db: db}, nil
}

// Close closes the file.
func (q *Queue) Close() error { return q.db.Close() }

// Hold implements holdqueue.Queue.
func (q *Queue) Hold(ctx context.Context, table dms.TableID, item holdqueue.Item) error {
	err := q.db.WriteSoon(ctx, func(tx *sqlitefile.Tx) error {
		_, err := tx.Exec(`INSERT INTO held (db, name, file_id, file_order) VALUES (?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, table.DB, table.Table, string(item.FileID), string(item.Order))
		return err
	})
	if err != nil {
		return fmt.Errorf("hold file %s of table %s: %w", item.FileID, table, err)
	}
	return nil
}

// Release implements holdqueue.Queue.
func (q *Queue) Release(ctx context.Context, table dms.TableID, id dms.FileID) error {
	err := q.db.WriteSoon(ctx, func(tx *sqlitefile.Tx) error {
		_, err := tx.Exec(`DELETE FROM held WHERE db = ? AND name = ? AND file_id = ?`,
			table.DB, table.Table, string(id))
		return err
	})
	if err != nil {
		return fmt.Errorf("release file %s of table %s: %w", id, table, err)
	}
	return nil
}

// Held implements holdqueue.Queue.
func (q *Queue) Held(ctx context.Context, table dms.TableID, limit int) ([]holdqueue.Item, error) {
	doing := "list held files of table " + table.String()
	rows, err := q.db.Reads().QueryContext(ctx, `SELECT file_id, file_order FROM held
		WHERE db = ? AND name = ? ORDER BY file_order, file_id LIMIT ?`, table.DB, table.Table, limit)
	if err != nil {
		return nil, q.db.Explain(doing, err)
	}
	defer rows.Close()
	var items []holdqueue.Item
	for rows.Next() {
		var id, order string
		if err := rows.Scan(&id, &order); err != nil {
			return nil, q.db.Explain(doing, err)
		}
		items = append(items, holdqueue.Item{FileID: dms.FileID(id), Order: dms.FileOrder(order)})
	}
	return items, q.db.Explain(doing, rows.Err())
}

// Len implements holdqueue.Queue.
func (q *Queue) Len(ctx context.Context, table dms.TableID) (int, error) {
	var n int
	err := q.db.Reads().QueryRowContext(ctx, `SELECT count(*) FROM held WHERE db = ? AND name = ?`,
		table.DB, table.Table).Scan(&n)
	return n, q.db.Explain("count held files of table "+table.String(), err)
}
