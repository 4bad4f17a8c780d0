// Package replay folds the event log into the control state of tables, as
// lock-manager decided it at the time, and holds that against the control store.
//
// The log is the record: folding the events of lock-manager, table by table and
// in order, must give what the store holds, outboxes apart. Nothing is decided
// again, so that a replay tells what was decided, also by an older version.
package replay
