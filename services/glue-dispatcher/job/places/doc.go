// Package places opens the buckets that a plan names, for the programs that the Spark
// job's tasks start.
package places
