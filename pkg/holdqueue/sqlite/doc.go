// Package sqlite keeps the hold queue in a SQLite file of its own, apart from
// the control store: writing to it never waits for the control store, and it
// may be deleted, since it can be rebuilt from there. For that reason a write
// does not wait for the disk: a crash loses nothing, a loss of power may lose
// the last writes.
package sqlite
