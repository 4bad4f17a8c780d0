package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/sqlitefile"
)

var _ control.Restorer = (*Store)(nil)

// Restore implements control.Restorer.
func (s *Store) Restore(ctx context.Context, r control.Restored) error {
	if r.Table.IsZero() || r.Version == 0 {
		return errors.New("restore: no table or no version is named")
	}
	stamps := make([]string, len(r.Files))
	for i, f := range r.Files {
		var err error
		if stamps[i], err = stamp(f.LastModified); err != nil {
			return fmt.Errorf("restore table %s: file %s: %w", r.Table, f.FileID, err)
		}
	}
	err := s.db.Write(ctx, func(tx *sqlitefile.Tx) error {
		var id int64
		err := tx.QueryRow(`INSERT INTO tables (db, name, version, state) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id`,
			r.Table.DB, r.Table.Table, int64(r.Version), notNull(r.State)).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return control.ErrConflict
		}
		if err != nil {
			return err
		}
		if err := writeParts(tx, id, control.Change{Table: r.Table, Files: r.Files}, stamps); err != nil {
			return err
		}
		for _, spec := range r.Specs {
			if err := writeParts(tx, id, control.Change{Table: r.Table, Spec: &spec}, nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("restore version %d of table %s: %w", r.Version, r.Table, err)
	}
	return nil
}
