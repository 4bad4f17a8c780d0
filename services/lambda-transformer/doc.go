// Package lambdatransformer runs the transforms of tables with flag L, on AWS Lambda or in
// process, watches each, and bounds and retries it.
//
// In: LockGranted of lock-manager. Out: TransformStarted, then FileTransformed
// or TransformFailed, each once for file and token. It has no state: what a
// transform stages is named by file and token, so that a grant that comes again
// finds what was staged and says what was not said.
package lambdatransformer
