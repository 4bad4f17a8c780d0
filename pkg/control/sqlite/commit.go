package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/sqlitefile"
)

// Commit implements control.Store.
func (s *Store) Commit(ctx context.Context, c control.Change) error {
	if c.Table.IsZero() {
		return errors.New("commit: no table is named")
	}
	stamps := make([]string, len(c.Files))
	for i, f := range c.Files {
		var err error
		if stamps[i], err = stamp(f.LastModified); err != nil {
			return fmt.Errorf("commit table %s: file %s: %w", c.Table, f.FileID, err)
		}
	}
	err := s.db.Write(ctx, func(tx *sqlitefile.Tx) error {
		id, err := writeItem(tx, c)
		if err != nil {
			return err
		}
		return writeParts(tx, id, c, stamps)
	})
	if err != nil {
		return fmt.Errorf("commit version %d of table %s: %w", c.Expect+1, c.Table, err)
	}
	return nil
}

// writeItem writes the table's row under its condition and returns its id.
func writeItem(tx *sqlitefile.Tx, c control.Change) (int64, error) {
	var id int64
	var row sqlitefile.Row
	if c.Expect == 0 {
		row = tx.QueryRow(`INSERT INTO tables (db, name, version, state) VALUES (?, ?, 1, ?)
			ON CONFLICT DO NOTHING RETURNING id`, c.Table.DB, c.Table.Table, notNull(c.State))
	} else {
		row = tx.QueryRow(`UPDATE tables SET version = version + 1, state = ?4
			WHERE db = ?1 AND name = ?2 AND version = ?3
			AND NOT EXISTS (SELECT 1 FROM outbox WHERE table_id = tables.id) RETURNING id`,
			c.Table.DB, c.Table.Table, int64(c.Expect), notNull(c.State))
	}
	err := row.Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, control.ErrConflict
	}
	return id, err
}

func writeParts(tx *sqlitefile.Tx, id int64, c control.Change, stamps []string) error {
	for i, event := range c.Outbox {
		if _, err := tx.Exec(`INSERT INTO outbox (table_id, position, event) VALUES (?, ?, ?)`,
			id, i, notNull(event)); err != nil {
			return err
		}
	}
	for i, f := range c.Files {
		if _, err := tx.Exec(`INSERT INTO files
			(table_id, file_id, kind, state, file_order, last_modified, live, body)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET kind = excluded.kind, state = excluded.state,
			file_order = excluded.file_order, last_modified = excluded.last_modified,
			live = excluded.live, body = excluded.body`,
			id, string(f.FileID), int64(f.Kind), f.State, string(f.Order), stamps[i],
			f.Live, notNull(f.Body)); err != nil {
			return err
		}
	}
	if c.Spec == nil {
		return nil
	}
	n, err := tx.Exec(`INSERT INTO specs (table_id, version, json) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
		id, int64(c.Spec.Version), notNull(c.Spec.JSON))
	if err == nil && n == 0 {
		err = fmt.Errorf("registration %d is there already: a version is written once", c.Spec.Version)
	}
	return err
}

// ClearOutbox implements control.Store. It does not wait for the disk: after a
// loss of power the outbox may be full again, and flushing it again finds its
// events in the log.
func (s *Store) ClearOutbox(ctx context.Context, table dms.TableID, version uint64) error {
	err := s.db.WriteSoon(ctx, func(tx *sqlitefile.Tx) error {
		_, err := tx.Exec(`DELETE FROM outbox WHERE table_id =
			(SELECT id FROM tables WHERE db = ? AND name = ? AND version = ?)`,
			table.DB, table.Table, int64(version))
		return err
	})
	if err != nil {
		return fmt.Errorf("clear outbox of table %s: %w", table, err)
	}
	return nil
}
