// Package holdqueue is the port to the visible list of files that wait for
// their table: SQLite (holdqueue/sqlite) or SQS FIFO.
package holdqueue
