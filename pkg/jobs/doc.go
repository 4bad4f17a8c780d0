// Package jobs is the port to where transforms run: in process
// (jobs/local), AWS Lambda or AWS Glue.
package jobs
