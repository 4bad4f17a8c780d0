// Package classifier decides what an object of a registered table is: a load
// file, a change file, a transaction file, or none that DMS can have written;
// and which place it has in the order of files. One table's part of a transaction
// file is a change file of that table.
//
// In: ObjectArrived and ListingCompleted of ingest-router. Out: FileClassified,
// FileRejected, ListingClassified, in the order of the input, so that
// ListingClassified follows all files of its listing. It has no state: a crash
// between publishing and acknowledging makes the input come again, and the
// event's id, made of the file, tells that it is in the log.
package classifier
