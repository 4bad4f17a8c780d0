// Package curator publishes staged files: it audits what a transform left,
// merges it into the Iceberg table and makes it visible in one commit. It is
// also who moves objects aside: a file that failed is copied to the failed
// bucket with a report, and keeps the tables in shape, one step at a time.
//
// In, all of lock-manager: PublishRequested, FenceRequested, MaintenanceGranted,
// and TablePaused with a file that failed. Out: FilesPublished or PublishFailed,
// GrantFenced, TableMaintained or MaintenanceFailed, FileQuarantined, RowsRejected.
//
// Rows that a file was published without (on_bad_row: quarantine) are copied to
// the failed bucket with a report before the commit that makes the file's other
// rows visible, and told of after it: RowsRejected, once for each staging of the
// file, then FilesPublished. So whoever hears that such a file is published finds
// its rejected rows. A copy whose commit was refused is told of by nobody. While
// the failed bucket cannot be reached, such a file is not published, which is said
// after five minutes, and a quarantine is told without what it could not put there:
// no store of its own may keep a table's lane from the next fence.
//
// It decides by what the lake says of the token, never by what
// it remembers: a request that comes again finds its token in the table and is
// answered as before. A request whose token is stale is not answered, since its grant has
// ended; a lake of which Deps.Agree says that it is not that of the control store, and one
// in which the token stands for other files, end the service. A table that lacks an object
// takes nothing: a publication is answered with wire.FailureDamaged, and a fence is tried
// until the object is put back.
package curator
