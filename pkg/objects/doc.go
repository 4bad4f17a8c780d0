// Package objects is the port to buckets: a local folder (objects/local)
// or S3.
package objects
