// Package transform turns the rows of one DMS file into the last change
// per key, staged as Parquet with a manifest. It links neither iceberg-go nor
// arrow, so that a Lambda function stays small.
package transform
