// Package sqlitefile opens the SQLite files that an embedded Blotter keeps:
// WAL, foreign keys, a versioned schema, an application id that tells a file of
// ours from any other, and errors that say what to do.
//
// Reads go through a small pool of connections that cannot write. Writes go
// through one connection; those that wait at the same time share one
// transaction and so one fsync, and still succeed or fail each on its own.
// Several processes may open the same file: SQLite's locks and a busy timeout
// order them.
package sqlitefile
