// Package lambdatransformer runs the transforms of tables with flag L: on AWS Lambda
// where the table names a function, else in process. It watches each, and bounds
// and retries it.
//
// In, all of lock-manager: LockGranted, and, over consumers of its own, so that it
// is heard while a grant is being worked on, FenceRequested, which ends that work.
// Out: TransformStarted, of Lambda TransformRunEnded for each invocation, then
// FileTransformed or TransformFailed, each once for file and token.
//
// It has no state: what a transform stages is named by file and token, so that a
// grant that comes again finds what was staged and says what was not said.
package lambdatransformer
