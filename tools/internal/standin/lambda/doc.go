// Package lambda stands in for AWS Lambda: it answers the calls of Invoke and runs the
// program of a function, its real bootstrap, by the Runtime API of custom runtimes.
//
// Like Lambda, it starts a sandbox, one process of the program, when there is no idle
// one, hands it one invocation at a time, tells it the deadline, ends it at the timeout
// and after a crash, and tells of either as Lambda does; each run ends with a REPORT
// line, of which the end is given on request.
//
// # Known differences
//
//   - A sandbox is a process of this machine with its own folder for TMPDIR: neither
//     Amazon Linux, nor Firecracker, nor the limits of /tmp. Its memory is not limited:
//     the REPORT line tells the most that it had resident, which Lambda would have
//     killed it for beyond the function's size.
//   - The processor is not shared out by memory (1,769 MB are one core there).
//   - More invocations than Config.Sandboxes wait; Lambda refuses them (429), which
//     the tests of pkg/jobs/lambda have.
//   - Asynchronous invocations run at once, and once: no queue, no retries, no age.
//   - No permissions, aliases, versions or layers; every function's name is taken.
//   - No idle sandbox ever ends before Close.
package lambda
