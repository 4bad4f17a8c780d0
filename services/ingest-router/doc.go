// Package ingestrouter decides whether an object of the raw bucket is ours,
// which table it belongs to, and whether it was seen before; and it lists the
// bucket to find what no event told.
//
// In: objects, told by a watcher, an ingress queue or a listing;
// TableRegistered and TransactionSplit of lock-manager. Out: ObjectArrived, ObjectIgnored,
// ObjectHeld, DeliveryRepeated, ListingCompleted. An object that belongs to no
// table is told under the pseudo-table "_.raw".
//
// Each version of an object has one row in the control store. The row is
// written with the event before the event is published, and marked as told
// after: a crash in between leaves a pending row, which is published at the
// next start; the event's id and the log's sequence at the time of the decision
// tell whether it is in the log already. So every object is told exactly once,
// however often it is delivered. One table's part of a transaction file is told
// in the same way, with a row of its own: as an object of its table, or as held
// until that is registered. A listing has such a row too, named by its id:
// it keeps where the listing began, for one that is asked for again.
package ingestrouter
