// Package plan is what a Spark job is told, and what it answers: one JSON
// document each, in the staging bucket.
//
// A dispatcher puts the Plan (Put) and starts a run with two arguments, the
// plan's URI and its ID. The run stages every file of the plan and leaves an
// Outcome beside it, once each file is staged or refused for good; a run that
// ends without one met a fault that may pass. A run of a plan that has an outcome
// does nothing more. So a plan may be run any number of times, one after the
// other or at once.
package plan
