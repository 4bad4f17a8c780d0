// Package s3 stands in for S3 inside of a process: gofakes3, which keeps all objects in
// memory, and what it lacks of reading by version and under a condition.
//
// # Known differences
//
//   - CompleteMultipartUpload ignores If-None-Match, and parts cannot be copied.
//   - CopyObject copies the newest version, whichever is asked for, and does not tell of
//     which version the copy is.
//   - ListObjectVersions of more than one page never ends: list no large bucket so.
//   - Objects of buckets without versions have version ids, by which they cannot be
//     read: have every bucket keep versions.
//   - An object that was uploaded in parts has one ETag when it is made and another
//     later, so that conditions on it always hold.
//   - No signatures, permissions, regions, multipart limits; nothing outlives it.
package s3
