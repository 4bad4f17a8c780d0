package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ErrSchema: the file is not ours, or a newer program wrote it, or it is too
// old to be read without being changed.
var ErrSchema = errors.New("schema not usable")

type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// header is what the file says of itself.
type header struct {
	application int32
	version     int
	objects     int // tables, indexes and so on
}

func readHeader(ctx context.Context, q queryer) (header, error) {
	var h header
	row := q.QueryRowContext(ctx, `SELECT
		(SELECT application_id FROM pragma_application_id),
		(SELECT user_version FROM pragma_user_version),
		(SELECT count(*) FROM sqlite_schema)`)
	err := row.Scan(&h.application, &h.version, &h.objects)
	return h, err
}

// fresh: the file has neither id nor content; whoever made it has not come further yet.
func (h header) fresh() bool { return h == header{} }

// check refuses a file that this program must not touch.
func (d *DB) check(h header) error {
	if !h.fresh() && h.application != d.cfg.ApplicationID {
		return fmt.Errorf("%w: this is a database of another program, not a %s of Blotter; choose another folder",
			ErrSchema, d.cfg.What)
	}
	if h.version > len(d.cfg.Migrations) {
		return fmt.Errorf("%w: a newer Blotter wrote it (schema %d, this program knows up to %d); use that version",
			ErrSchema, h.version, len(d.cfg.Migrations))
	}
	return nil
}

func (d *DB) checkReadOnly(ctx context.Context) error {
	h, err := d.madeHeader(ctx)
	if err != nil {
		return err
	}
	if err := d.check(h); err != nil {
		return err
	}
	if h.fresh() {
		return fmt.Errorf("%w: %w: if nothing was ever in it, `blotter up --tables FILE` makes it; if it was emptied, restore it from a backup", ErrSchema, ErrEmpty)
	}
	if h.version < len(d.cfg.Migrations) {
		return fmt.Errorf("%w: an older Blotter wrote it (schema %d, this program needs %d); start this version once to bring it up to date",
			ErrSchema, h.version, len(d.cfg.Migrations))
	}
	return nil
}

// madeHeader is the header of a file once another process that is making it has done so,
// which takes it a moment; it waits no longer than d.patience.
func (d *DB) madeHeader(ctx context.Context) (header, error) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	until := time.Now().Add(d.patience)
	for {
		h, err := readHeader(ctx, d.reads)
		if err != nil || !h.fresh() || time.Now().After(until) {
			return h, err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return h, ctx.Err()
		}
	}
}

// lookEvery is how often a file that is being made is looked at.
const lookEvery = 20 * time.Millisecond

// migrate runs inside the transaction of an immediate lock, so that of two
// processes that open a new file one creates it and the other finds it done.
func (d *DB) migrate(ctx context.Context, conn *sql.Conn) error {
	h, err := readHeader(ctx, conn)
	if err != nil {
		return err
	}
	if err := d.check(h); err != nil {
		return err
	}
	if h.version == len(d.cfg.Migrations) {
		return nil
	}
	for i := h.version; i < len(d.cfg.Migrations); i++ {
		if _, err := conn.ExecContext(ctx, d.cfg.Migrations[i]); err != nil {
			return fmt.Errorf("bring schema from %d to %d: %w", i, i+1, err)
		}
	}
	// A pragma takes no parameters; both numbers are ours.
	_, err = conn.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d",
		d.cfg.ApplicationID, len(d.cfg.Migrations)))
	return err
}
