// Package dms knows what AWS Database Migration Service writes to S3: the names
// of its objects, the rows in them, and the order in which they count. It is
// pure: no clock, no I/O but the readers it is given.
package dms
