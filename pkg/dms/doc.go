// Package dms knows what AWS Database Migration Service writes to S3: the names
// of its objects, the CSV records in them, and the order in which they count. It
// is pure: no clock, no I/O but the readers it is given.
//
// Names: ParseName tells load, change and transaction files apart from all else
// that lies among them. Order: a FileOrder places a file among those of its
// table, a Position a row among those of a generation; both compare as bytes.
// Transactions: a Part names the rows of one table in a transaction file.
// Loads: Generations divides a table's load files into full loads, Bind says to
// which of them a change file belongs. Rows: CSVReader reads RFC 4180, strictly.
package dms
