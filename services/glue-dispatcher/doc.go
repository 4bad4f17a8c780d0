// Package gluedispatcher runs the transforms of tables with flag G: on AWS Glue
// where the table names a job, else in process. It starts the runs, follows each to
// its end, and stops those whose grant is fenced.
//
// In, all of lock-manager: LockGranted, and, over consumers of its own, so that it
// is heard while a grant is being worked on, FenceRequested. Out: TransformStarted,
// TransformRunEnded for each run of Glue, then FileTransformed or TransformFailed,
// each once for file and token. All files of a grant go in one run, of which is told
// file by file: first what is staged, then what failed.
//
// It has no state: runs and what they stage are named by files and token. After a
// crash the grant comes again; the run that there is is found, followed, and what
// was not said is said. A grant whose fence stands in the log is not worked on. When
// this process ends its runs go on.
package gluedispatcher
