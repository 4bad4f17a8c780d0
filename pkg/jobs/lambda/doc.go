// Package lambda runs transforms in an AWS Lambda function.
//
// A file that is estimated to take little time is transformed by a synchronous
// invocation; another by an asynchronous one, whose result is looked for in the
// staging bucket, so that no connection has to last for minutes. Both leave the
// same there (see package invocation).
//
// # Twice
//
// An invocation whose answer was lost may run on, and Lambda itself repeats
// asynchronous ones: two may run for one file and token. Both stage the same bytes
// under the same names, create-only, and one manifest results. So an invocation is
// simply repeated, after a crash too, unless its result is there already.
//
// # Ends
//
// No room (throttled, no concurrency left) is no failure: the invocation is tried
// again until the grant's deadline, and then told as not started. The file's fault
// comes as a failure beside the output. A timeout, told by the function itself or by Lambda, and
// memory that did not suffice end the file at once, with what to do: more memory,
// or flag G; another run would end alike. Everything else, such as a crash or an
// asynchronous invocation of which nothing is heard, is tried again, Config.Runs
// times in all.
package lambda
