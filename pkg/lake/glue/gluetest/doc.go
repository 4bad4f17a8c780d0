// Package gluetest is a stand-in for the Glue Data Catalog, as far as Iceberg's
// libraries use it. It speaks Glue's own protocol (JSON 1.1 over HTTP), refuses an
// update of a version that has passed, keeps the bounds of names and parameters, and goes
// wrong as it is told: it refuses, or loses calls or answers.
//
// What it does otherwise than Glue is written down in KNOWN-DIFFERENCES.md of
// package glue.
package gluetest
