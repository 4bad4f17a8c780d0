package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

// Table implements control.Store.
func (s *Store) Table(ctx context.Context, table dms.TableID) (control.TableItem, error) {
	doing := "load table " + table.String()
	item := control.TableItem{Table: table}
	// One statement, so that state and outbox belong together.
	rows, err := s.db.Reads().QueryContext(ctx, `
		SELECT t.version, t.state, o.position, o.event
		FROM tables t LEFT JOIN outbox o ON o.table_id = t.id
		WHERE t.db = ? AND t.name = ? ORDER BY o.position`, table.DB, table.Table)
	if err != nil {
		return item, s.db.Explain(doing, err)
	}
	defer rows.Close()
	found := false
	for rows.Next() {
		var version int64
		var position sql.NullInt64
		var event []byte
		if err := rows.Scan(&version, &item.State, &position, &event); err != nil {
			return item, s.db.Explain(doing, err)
		}
		item.Version, found = uint64(version), true
		if position.Valid {
			item.Outbox = append(item.Outbox, event)
		}
	}
	if err := rows.Err(); err != nil {
		return item, s.db.Explain(doing, err)
	}
	if !found {
		return item, fmt.Errorf("%s: %w", doing, control.ErrNotFound)
	}
	return item, nil
}

// Tables implements control.Store.
func (s *Store) Tables(ctx context.Context) ([]dms.TableID, error) {
	return s.tableIDs(ctx, "list tables",
		`SELECT db, name FROM tables ORDER BY db, name`)
}

// Unflushed implements control.Store.
func (s *Store) Unflushed(ctx context.Context) ([]dms.TableID, error) {
	return s.tableIDs(ctx, "list tables with events to publish",
		`SELECT db, name FROM tables WHERE id IN (SELECT table_id FROM outbox) ORDER BY db, name`)
}

func (s *Store) tableIDs(ctx context.Context, doing, query string) ([]dms.TableID, error) {
	rows, err := s.db.Reads().QueryContext(ctx, query)
	if err != nil {
		return nil, s.db.Explain(doing, err)
	}
	defer rows.Close()
	var ids []dms.TableID
	for rows.Next() {
		var id dms.TableID
		if err := rows.Scan(&id.DB, &id.Table); err != nil {
			return nil, s.db.Explain(doing, err)
		}
		ids = append(ids, id)
	}
	return ids, s.db.Explain(doing, rows.Err())
}

// Spec implements control.Store.
func (s *Store) Spec(ctx context.Context, table dms.TableID, version uint64) (control.Spec, error) {
	// Version 0 is the newest: the highest there is.
	row := s.db.Reads().QueryRowContext(ctx, `
		SELECT s.version, s.json FROM specs s JOIN tables t ON t.id = s.table_id
		WHERE t.db = ?1 AND t.name = ?2 AND (?3 = 0 OR s.version = ?3)
		ORDER BY s.version DESC LIMIT 1`, table.DB, table.Table, int64(version))
	var v int64
	var spec control.Spec
	if err := row.Scan(&v, &spec.JSON); err != nil {
		return control.Spec{}, s.missing(fmt.Sprintf("load registration %d of table %s", version, table), err)
	}
	spec.Version = uint64(v)
	return spec, nil
}
