// Package rows does the work on rows for a Spark job: the steps of a transform
// between which Spark moves and sorts (transform.Read, StageSorted and Seal), each
// a command that talks over its standard input and output. Spark's Python tasks
// start them and pass bytes through; the rules of files, values and refusals are
// those of every other engine, since the code is.
//
// Every command reads a plan first (see pkg/jobs/plan): its length as four bytes,
// little-endian, then its JSON.
//
//	rows read N    reads file N of the plan. Out: blocks of changes, a block
//	               without any, then a Summary as JSON.
//	rows stage N   stages sorted changes of file N. In: a Summary, with its length
//	               before it, then the pieces of all changes end to end, then four
//	               zero bytes. Out: a list of transform.StagedRange as JSON.
//	rows seal      writes the manifest of each file that it is given, or the failure
//	               that refuses it; files that came to their end before stay as they
//	               are. In: a list of FileParts as JSON. Out: Sealed as JSON.
//
// A block is: the number of its pieces n, the bytes of their places, the bytes of
// their data, as uint32; then n+1 offsets of places and n+1 offsets of data, as
// int32; then the places, then the data. That is how Arrow lays out binary
// columns, so that nobody touches single rows on the way. A change larger than
// PieceBytes goes in several pieces, whose places sort in their order.
//
// The exit status is 0, or 1 with a message on standard error: then the fault may
// pass. Faults of a file are part of its Summary.
package rows
