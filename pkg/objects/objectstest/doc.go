// Package objectstest is the contract suite of buckets: every adapter of
// objects.Bucket runs it.
package objectstest
