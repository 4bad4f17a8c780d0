// Conformance runs semantic cases through the whole pipeline and judges what
// came of them.
//
//	go run ./tools/conformance [-engine local|spark|lambda] [-orders N] [-run REGEXP] [-v] DIR…
//
// For every case below the folders given, and every order in which the case
// lets its files come, it makes a fresh pipeline, registers the case's tables,
// delivers the steps and waits after each until nothing is left to do. A table
// that a file paused is resumed with that file skipped. In the listed order a
// load is said to be complete before the first change file, unless more of the load
// is to come and to be applied, and before a load key that it holds already; in
// other orders only at the end. Then it compares what became of each file and the
// rows of each table with what the case expects, or with one of its alternatives
// as a whole.
//
// With -engine spark all tables have the flag G, and a local Spark runs their
// transforms: one session for all cases. It needs Java 17 and Python 3.11, and makes
// itself a Python environment in the user's cache the first time.
//
// With -engine lambda the real bootstrap of the Lambda function runs the transforms,
// between buckets of S3; stand-ins in the process answer for Lambda and S3
// (tools/internal/standin). The function is built first, so that it must run within the
// project.
//
// A line per case tells the result, and below it what differed; the last line
// is "N passed, N failed". The exit status is 0 if all passed, 1 if not, and 2
// if the cases could not be run.
package main
