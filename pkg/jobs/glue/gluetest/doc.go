// Package gluetest is a stand-in for the part of AWS Glue that runs jobs. It
// speaks Glue's own protocol (JSON 1.1 over HTTP), runs a Go function for the job's
// script, and goes wrong as it is told: it refuses, loses calls or answers, hides
// runs from its listings, forgets them.
//
// What it does otherwise than Glue is written down in KNOWN-DIFFERENCES.md of
// package glue.
package gluetest
