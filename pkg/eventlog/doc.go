// Package eventlog is the one log of Blotter on a JetStream stream: it appends
// each event once, hands events to services in the order of their table, and
// replays them. It knows no service.
//
// # Names
//
// subjects.go alone builds and reads the names of subjects and consumers. The
// subjects of one service and table form a chain:
//
//	blotter.<partition>.<db>.<table>.<service>.<event>
//
// Only that service writes it, and every write expects the chain's last sequence
// that the writer has seen. Two replicas that write at once therefore meet: one
// wins, the other looks again.
//
// # Writing once
//
// A service without state names what it publishes (see ID) and uses PublishOnce.
// It looks behind: if the chain has the id among the messages after the input,
// the event is there already; else it is published, expecting that the chain is
// still what was looked at. Nothing depends on the server's window for
// duplicates, which is a matter of minutes.
//
// A service with state stores envelopes with (version, index) in the same write
// as its state, and Flush brings them into the log: it publishes what lies beyond
// the last (version, index) of the chain.
//
// Both rest on three facts. Sequences of a chain only grow, and nothing is
// deleted from it. An attempt whose answer was lost can still land only while the
// chain's end is what it expected; every later attempt expects the same end or a
// later one, so at most one of them lands. And what an attempt does not know, it
// reads before it publishes.
//
// # Trimming
//
// Trim removes the beginning of the stream, of every chain at once; Read begins in the
// archive then (WithArchive). It takes the second fact away from what is removed: a chain
// whose last event is gone looks like one that never had any. Hence nothing is removed
// that a consumer has not handled, that an outbox may still say, or that is younger than
// an attempt whose answer was lost can be.
//
// The server has to allow it: the stream denies that single events are deleted
// (deny_delete) and, from this version on, allows to purge it (deny_purge is off, since
// it cannot be turned off again). A stream that was made with deny_purge is opened as it
// is, and is never trimmed.
//
// # Reading
//
// Consume calls a handler for each event, one at a time for a table, in the order
// of the log. An event is acknowledged when the handler has returned nil, and
// only then does the next of its table begin. A handler sees an event again if
// the process ended in between: what it does must be safe to repeat, which the
// two ways of writing make of publishing. When replicas share a partition and one
// dies, its unacknowledged events come to another after AckWait, while new ones
// come at once: across replicas the order holds for what is decided by control
// state, not for deliveries.
package eventlog
