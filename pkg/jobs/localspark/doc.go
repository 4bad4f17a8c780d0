// Package localspark runs transforms on a Spark of this machine: the same job that
// AWS Glue runs, in one session that lives as long as the Runner.
//
// The session is a child process (session.py beside the job's script). It is
// started by the first job, takes requests over its standard input and answers
// over its standard output, many jobs at once. When it dies, the jobs under way
// fail with an error that may pass, and the next job starts another. A job whose
// context ends is cancelled; a session that does not answer to that within a
// bound is killed. Plans and what comes of them lie in the staging bucket, as for Glue.
package localspark
