// Package lockmanager owns the state of every table: what is registered, which
// files wait, what runs next, whether a full load is open, whether the table is
// paused. At most one transaction (a grant, named by a token that only grows)
// runs for a table at a time.
//
// # Subjects
//
// In: ObjectDeleted, ExecutionFailed and SourceTaskChanged of ingest-router; the events of classifier (FileClassified,
// ListingClassified), of the two transformers (FileTransformed, TransformFailed)
// and of curator (FilesPublished, PublishFailed, GrantFenced, TableMaintained,
// MaintenanceFailed); operators' commands; the clock, as ticks. Out: every event
// of lock_manager.proto, and nobody else says them.
//
// # Order
//
// The core is pure: Step decides the events that answer one input and folds
// them into the state. The shell's order is law: read the item, flush its
// outbox, Step, commit state and outbox in one conditional write, publish the
// outbox, carry out its effects on the hold queue, clear it, acknowledge the
// input.
//
// # Invariants
//
// Inputs are recognised by meaning, never by sequence: a file or a deletion that
// is known, a token that is not the current one, a command id that was answered
// change nothing. So every input may come any number of times and late. A token
// is dead in the lake (GrantFenced, or it published) before the table is free
// again. Waiting files are granted lowest order first; nothing is granted while
// the table is paused; no change file is published between LoadOpened and the
// replacement. A file that fails among several is granted again by itself, after
// the good ones before it: only then does it pause the table.
//
// # Transaction files
//
// The pseudo-table "<db>.@txn" is registered with the first table of a database
// that names a cdc_path. Its grants stage no rows: when a file is read, its parts
// are told (TransactionSplit) and the grant ends. Nothing of it reaches the lake,
// so nothing has to be fenced there. A part comes back as a change file of its
// own table.
//
// # Mended rows
//
// A file with mended rows is a change file right behind the file that the rows
// belong to, of whatever kind that is, and shares its fate: it is folded into a
// replacement with it, and superseded with it. It is refused unless its file is
// published without the rows, in the staging that was published; a row is mended
// or dropped once. What is set aside of a table goes down when it is published.
//
// # Losses
//
// The lake says of a table that lacks commits up to which token it has them
// (wire.FailureSetBack): the table pauses, or its maintenance fails. An operator may
// accept that loss (LossAccepted): what was committed under the tokens above is lost then, and
// everything that is asked of the lake names it. Lost change files may be taken in again, each
// at its own place. A copy of before a loss is accepted only while nothing of it came again.
//
// # Routes
//
// A table that may choose its engine has small files done by Lambda, and the others by
// Glue (route). A file that Lambda had not the time or the memory for goes to Glue once.
//
// # Crash
//
// Before the commit nothing happened and the input comes again. After it the
// outbox tells what is still to be said: whoever touches the table next, or the
// sweeper, publishes the rest; the log's own chain tells what is in it already.
package lockmanager
