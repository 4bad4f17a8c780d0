package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/sqlitefile"
)

// Store is a control store in a SQLite file. All methods may be used by many
// goroutines.
type Store struct {
	db *sqlitefile.DB
}

var (
	_ control.Store   = (*Store)(nil)
	_ control.Objects = (*Store)(nil)
)

// Open opens the control store at path and creates it if it is not there; its
// folder must exist. Fails with sqlitefile.ErrSchema if the file belongs to
// another program or to a newer Blotter.
func Open(ctx context.Context, path string) (*Store, error) {
	return open(ctx, path, false)
}

// OpenReadOnly opens a control store that exists, for looking only: every
// write fails. It may be in use by another process.
func OpenReadOnly(ctx context.Context, path string) (*Store, error) {
	return open(ctx, path, true)
}

func open(ctx context.Context, path string, readOnly bool) (*Store, error) {
	db, err := sqlitefile.Open(ctx, sqlitefile.Config{
		Path:          path,
		What:          "control store",
		ApplicationID: applicationID,
		Migrations:    migrations,
		ReadOnly:      readOnly,
	})
	if sqlitefile.Damaged(err) {
		err = fmt.Errorf("%w; or move it away and write it anew from the log: blotter replay --rebuild", err)
	}
	if err != nil {
		return nil, err
	}
	return &Store{db: db}, nil
}

// Close closes the file. Writes that wait are refused, one that runs is finished.
func (s *Store) Close() error { return s.db.Close() }

// stampLayout prints times so that their texts compare as the times do.
const stampLayout = "2006-01-02T15:04:05.000000000Z"

func stamp(t time.Time) (string, error) {
	t = t.UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return "", fmt.Errorf("time %v: its year is not between 0 and 9999", t)
	}
	return t.Format(stampLayout), nil
}

func parseStamp(s string) (time.Time, error) {
	t, err := time.Parse(stampLayout, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: stored time: %w", control.ErrValue, err)
	}
	return t, nil
}

// notNull keeps an empty value from being stored as NULL.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// missing turns "no rows" into control.ErrNotFound; other errors are explained.
func (s *Store) missing(doing string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", doing, control.ErrNotFound)
	}
	return s.db.Explain(doing, err)
}
