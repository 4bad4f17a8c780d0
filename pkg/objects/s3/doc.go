// Package s3 keeps a bucket on S3.
//
// # Versions
//
// Open asks once what is there (HeadObject) and reads nothing but that: by its
// version id where the bucket keeps versions, else under the condition that its
// ETag still holds. A body that breaks off is taken up again where it broke off,
// in the same version. The version id "null" of buckets whose versioning was
// suspended names whatever was written last, so it counts as none.
//
// Times are whole seconds, as HeadObject gives them: a listing's fractions are
// dropped, so that one object has one time.
//
// # Reading
//
// Read streams, one request for the whole rest of the object. ReadAt fetches
// blocks of 256 KiB, several at once where it runs forward, and keeps the last
// of them, at most 16 MiB for each reader: a Parquet file is read in many small
// steps, and each request takes tens of milliseconds. Longer reads go straight
// through. The context of Open bounds the reads of its reader too; a body that
// stands still is given up and taken up again.
//
// # Writing
//
// What fits into one part, 8 MiB, is one PutObject; more is a multipart upload,
// of which at most two parts are held. Both are create-only (If-None-Match: *),
// so that of many writers one wins. Each writer puts a name of its own into the
// metadata (blotter-writer): where an answer was lost and the repeated request
// finds the key taken, it shows whether the object is this writer's. A writer
// that dies leaves parts that nobody sees; a lifecycle rule
// (AbortIncompleteMultipartUpload) must remove them.
//
// Copy is done by S3 where both buckets use one client, in parts beyond 5 GiB,
// with the source's content type and metadata; other copies stream through.
//
// # Permissions
//
// s3:GetObject, s3:GetObjectVersion, s3:ListBucket; with Versions
// s3:ListBucketVersions; to write s3:PutObject, s3:AbortMultipartUpload; to
// remove s3:DeleteObject. Without s3:ListBucket S3 answers 403 instead of 404,
// which is an error here, never "not found".
package s3
