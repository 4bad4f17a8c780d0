// Package control is the port to the control state of tables and files:
// SQLite (control/sqlite) or DynamoDB. One conditional write changes a
// table's state, its files and its outbox together.
package control
