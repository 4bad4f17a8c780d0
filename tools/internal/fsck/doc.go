// Package fsck holds the log against the control state, the lake and the buckets, and
// tells where they do not agree.
//
// Run looks in an order in which a system that runs meanwhile gives no false alarm:
// first at what is made before its event is said (staged files, snapshots), then at the
// log, then at what events have named already (copies in the failed bucket, files of the
// lake, the control state). What a transaction that is under way explains is no finding.
//
// A note is not a finding: it says what is worth knowing although it is as it may be,
// such as output that a transform left when its grant had ended.
//
// Memory holds the names of a table's staged files and of its objects in the lake, and a
// line for each of its files; tables are looked at one after the other.
package fsck
