package sqlitefile

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// ErrClosed: the file has been closed.
var ErrClosed = errors.New("store is closed")

// ErrEmpty: the file was never made, or has lost what was in it.
var ErrEmpty = errors.New("nothing is in it")

// Damaged reports whether an error says that the file does not hold what was written:
// it is empty, damaged, or no database.
func Damaged(err error) bool {
	var failure *sqlite.Error
	if errors.As(err, &failure) {
		code := failure.Code() & 0xff
		return code == lib.SQLITE_NOTADB || code == lib.SQLITE_CORRUPT
	}
	return errors.Is(err, ErrEmpty)
}

// busy reports whether an error says that somebody else holds a lock.
func busy(err error) bool {
	var failure *sqlite.Error
	return errors.As(err, &failure) && failure.Code()&0xff == lib.SQLITE_BUSY
}

// advice tells what to do about SQLite's primary result codes that an operator
// can do something about.
var advice = map[int]string{
	lib.SQLITE_FULL:     "the disk is full: free space and start again; nothing was written",
	lib.SQLITE_NOTADB:   "this is no SQLite database: if it was damaged, restore it from a backup",
	lib.SQLITE_CORRUPT:  "the database is damaged: stop Blotter and restore it from a backup",
	lib.SQLITE_READONLY: "the database cannot be written: check the owner and the mode of the file and its folder",
	lib.SQLITE_CANTOPEN: "the file cannot be opened: check that its folder exists and may be written",
	lib.SQLITE_BUSY:     "another process holds the database for too long: end it or wait",
	lib.SQLITE_IOERR:    "the disk answers with errors: check it and the system's log",
}

// Advised wraps an error with what can be done about it, if that is known.
func Advised(err error) error {
	var failure *sqlite.Error
	if errors.As(err, &failure) {
		if text, ok := advice[failure.Code()&0xff]; ok {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return err
}

// Explain wraps an error of a query with the file and with what can be done
// about it. Errors of contexts stay what they are; nil stays nil.
func (d *DB) Explain(doing string, err error) error { return d.explain(doing, err) }

func (d *DB) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %s %s: %w", doing, d.cfg.What, d.cfg.Path, Advised(err))
}

// explainSQLite explains what SQLite says and leaves every other error as it
// is: the answer of a Write is its caller's own.
func (d *DB) explainSQLite(err error) error {
	var failure *sqlite.Error
	if errors.As(err, &failure) {
		return d.explain("write", err)
	}
	return err
}
