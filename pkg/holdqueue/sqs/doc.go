// Package sqs shows the files that wait in SQS: one FIFO queue for each table,
// made when its first file is held. One table of a shared queue could not be
// drained alone.
//
// # Queues
//
// A queue's name is a prefix, the table's name with everything but letters,
// digits and "-" as "_" and its hexadecimal value, and ".fifo"; where that exceeds
// the 80 characters of SQS, its end gives way to a hash. A message is one file, in
// a group of its own: the files of one group could not be seen beyond the first
// ten. A queue has no redrive policy, since looking at a message counts as
// receiving it: a dead-letter queue would drain the list.
//
// # What SQS cannot do
//
// SQS neither lists messages nor removes one by its name. Both take messages out
// of sight for a moment and put them back. So Held and Len cost one call for each
// ten files, and Release usually three: files are released lowest first, which is
// about the order in which they came. Calls of one process wait for each other;
// what two processes do at once they hide from each other: a list may lack some
// files, a release may leave its file in the list.
//
// A file that is held again within five minutes is one message (deduplication);
// after that it may be two, which lists show as one. One that another process
// released within these five minutes is not shown again. Messages end after 14
// days, however long their table is paused.
//
// None of this decides anything: the control store does, and `blotter holdqueue
// rebuild` makes the list equal to it.
//
// Permissions: sqs:GetQueueUrl, CreateQueue, TagQueue, SendMessage,
// ReceiveMessage, DeleteMessage and ChangeMessageVisibility on the queues of the
// prefix. Who only counts the files that wait needs GetQueueUrl and
// GetQueueAttributes, and takes none of them out of sight.
package sqs
