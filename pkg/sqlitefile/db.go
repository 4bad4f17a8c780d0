package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// BusyTimeout is how long a write waits for another process that writes.
const BusyTimeout = 15 * time.Second

// readers bounds the connections that read at the same time.
const readers = 4

// Config says which file to open and what must be in it.
type Config struct {
	Path string
	// What names the file in errors: "control store".
	What string
	// ApplicationID marks the file as ours (PRAGMA application_id); not zero.
	ApplicationID int32
	// Migrations[i] is the SQL that leads from schema i to schema i+1. A file
	// that is behind is brought to the end of the list when it is opened.
	Migrations []string
	// ReadOnly opens a file that exists, never changes it, and refuses one whose
	// schema is behind. It waits for one that is being made, for BusyTimeout at most.
	ReadOnly bool
}

// DB is an open file.
type DB struct {
	cfg      Config
	patience time.Duration // with a file that another process is making
	reads    *sql.DB
	writes   *writer // nil if read only
}

// Open opens the file, creates it unless cfg.ReadOnly, and brings its schema up
// to date. Its folder must exist.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	abs, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("open %s %s: %w", cfg.What, cfg.Path, err)
	}
	cfg.Path = abs
	until := time.Now().Add(BusyTimeout)
	for {
		d := &DB{cfg: cfg, patience: BusyTimeout}
		err := d.open(ctx)
		if err == nil {
			return d, nil
		}
		if err = errors.Join(d.explain("open", err), d.Close()); !busy(err) || time.Now().After(until) {
			return nil, err
		}
		// To make a file one of WAL takes a lock for which SQLite does not wait.
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (d *DB) open(ctx context.Context) error {
	if !d.cfg.ReadOnly {
		w, err := openWriter(ctx, d)
		if err != nil {
			return err
		}
		d.writes = w
	}
	reads, err := sql.Open("sqlite", d.dsn(false))
	if err != nil {
		return err
	}
	d.reads = reads
	reads.SetMaxOpenConns(readers)
	reads.SetMaxIdleConns(readers)
	if d.cfg.ReadOnly {
		return d.checkReadOnly(ctx)
	}
	return reads.PingContext(ctx)
}

// dsn builds the URI that the driver takes. The writer creates the file and
// makes it a WAL database; readers cannot change it.
func (d *DB) dsn(write bool) string {
	q := url.Values{}
	q.Set("_busy_timeout", strconv.FormatInt(BusyTimeout.Milliseconds(), 10))
	q.Set("_foreign_keys", "1")
	q.Set("_dqs", "0")
	switch {
	case write:
		q.Set("_journal_mode", "WAL")
		q.Set("_synchronous", "FULL")
	case d.cfg.ReadOnly:
		q.Set("mode", "ro")
		q.Set("_query_only", "1")
	default:
		q.Set("mode", "rw") // not ro: a reader may have to recover the WAL
		q.Set("_query_only", "1")
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(d.cfg.Path), RawQuery: q.Encode()}
	return u.String()
}

// Reads is the pool for queries. It sees every Write that returned before the
// query began, whichever process made it. Errors of it go through Explain.
func (d *DB) Reads() *sql.DB { return d.reads }

// Write runs fn in a transaction and makes what it wrote durable before it
// returns. fn's error undoes all of fn and is returned as it is. Several calls
// may share one transaction, so fn must be quick and must not wait for another
// Write. When ctx ends before fn has begun, nothing is written and ctx's error
// is returned; after that Write waits for the outcome: it never leaves the
// caller in doubt.
func (d *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	return d.write(ctx, fn, true)
}

// WriteSoon is Write without the fsync: a crash of the process loses nothing, a
// loss of power may undo it, but never out of order: whatever a later Write
// made durable stands on it.
func (d *DB) WriteSoon(ctx context.Context, fn func(*Tx) error) error {
	return d.write(ctx, fn, false)
}

func (d *DB) write(ctx context.Context, fn func(*Tx) error, durable bool) error {
	if d.writes == nil {
		return fmt.Errorf("%s %s is open for reading only", d.cfg.What, d.cfg.Path)
	}
	return d.writes.do(ctx, fn, durable)
}

// Close waits for the write that runs, refuses those that wait, and closes all
// connections. Closing twice does nothing.
func (d *DB) Close() error {
	var errs []error
	if d.reads != nil {
		errs = append(errs, d.reads.Close())
	}
	if d.writes != nil {
		// Last: the last connection to close folds the WAL into the file.
		errs = append(errs, d.writes.close())
	}
	return errors.Join(errs...)
}
