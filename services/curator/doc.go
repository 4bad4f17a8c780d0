// Package curator publishes staged files: it audits what a transform left,
// merges it into the Iceberg table and makes it visible in one commit. It is
// also who moves objects aside: a file that failed is copied to the failed
// bucket with a report.
//
// In, all of lock-manager: PublishRequested, FenceRequested, and TablePaused
// with a file that failed. Out: FilesPublished or PublishFailed, GrantFenced,
// FileQuarantined. It decides by what the lake says of the token, never by what
// it remembers: a request that comes again finds its token in the table and is
// answered as before. A request whose token is stale is not answered: the grant
// has ended, unless the control state is older than the lake, which its operators
// see as a grant that never ends.
package curator
