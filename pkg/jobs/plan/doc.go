// Package plan is what a Spark job is told: one JSON document, plan.json in the
// folder of the output (transform.StagePrefix), the same for the same job.
//
// A run has two arguments, where the plan lies and whose it is: the folder is that of
// its first file, and names table, file and token. The run leaves beside the plan, for each of its files, the
// manifest of what it staged or the failure that refuses it (transform.WriteFailure);
// one that ends with neither met a fault that may pass. So a plan may be run any
// number of times, one after the other or at once.
package plan
