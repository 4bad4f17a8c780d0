// Package sqlite keeps the control state in a SQLite file: the store of a
// Blotter that runs on one machine.
//
// Every Commit and PutObject is fsynced before it returns; those that happen at
// the same time share one fsync. Several processes may open the file: while
// one runs the services another may read it, or write through the same
// conditional writes.
package sqlite
