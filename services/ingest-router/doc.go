// Package ingestrouter decides whether an object of the raw bucket is ours,
// which table it belongs to, and whether it was seen before; and it lists the
// bucket to find what no event told.
//
// In: objects, told by a watcher, an ingress queue or a listing; deletions, told
// by notifications; rows that an operator mended, and held objects that nobody
// wants, or wants again, by request (Replay, Dismiss);
// TableRegistered and TransactionSplit of lock-manager. Out:
// ObjectArrived, ObjectIgnored, ObjectHeld, ObjectDeleted, DeliveryRepeated,
// ListingCompleted, ExecutionFailed, SourceTaskChanged. What belongs to no table is told
// under the pseudo-table "_.raw".
//
// Entrypoint reads the ingress queue, and tells the workflows that wait how their files
// ended: it follows the ends of files in the log of all services.
//
// A notification is read in the forms in which AWS sends it (ParseNotification);
// what it says of an object is looked up in the bucket before it is believed.
//
// Only a notification tells of a deletion. That a listing or a watcher does not
// find an object which was told before says nothing: lifecycle rules clear
// buckets, people clean drop folders, and neither is a truncated source. A file
// that still waits and is gone is found out when its turn comes: its transform
// fails with object.gone, and the table pauses.
//
// Reconcile lists the bucket in bounded steps for an operator. Nothing of it is kept
// between two of them: the answer to one says where the next one goes on. The end of a full
// load of DMS is listed in the same steps; where they stand is kept in a row of the control
// store, from which the next delivery of the event goes on.
//
// Each version of an object has one row in the control store. The row is
// written with the event before the event is published, and marked as told
// after: a crash in between leaves a pending row, which is published at the
// next start; the event's id and the log's sequence at the time of the decision
// tell whether it is in the log already. So every object is told exactly once,
// however often it is delivered. One table's part of a transaction file is told
// in the same way, with a row of its own: as an object of its table, or as held
// until that is registered. So is a mended file, an object of the failed bucket:
// one that is asked for twice arrives once. A deletion has such a row too, named by its own id,
// and so has a listing, named by its id: that one keeps where the listing began,
// for one that is asked for again.
package ingestrouter
