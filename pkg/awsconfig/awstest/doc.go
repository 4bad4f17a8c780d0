// Package awstest lets tests reach AWS or its stand-in, where there is one.
//
// # Known differences of the stand-in
//
// `.ci/standin/run` starts ministack, as pinned in .ci/standin/requirements.txt.
// What it does otherwise than AWS, so far as our code meets it:
//
//   - S3: GetObject with a versionId ignores Range and gives the whole object.
//     The reader cuts the range out, as HTTP asks of clients.
//   - S3: CopyObject ignores If-None-Match for the destination. Our copy looks
//     before it begins; that the condition is sent is tested on the wire
//     (pkg/objects/s3, TestConditions). Two copies that race are decided by AWS
//     alone.
//   - DynamoDB: a query of a KEYS_ONLY index that asks for all attributes gets the
//     keys; AWS fetches the rest from the table. Our store reads the rows by their
//     keys.
//   - SQS: ReceiveRequestAttemptId is ignored, so that a lost answer hides its
//     messages for the visibility timeout. Counts and lists are exact at once, which
//     those of AWS are not. A long poll whose caller has gone is always given messages
//     that come in its time; that happens on AWS, too, but nobody promises when
//     (pkg/ingress/sqs, TestPollThatOutlivesItsReceiver).
//   - Lambda: a function's program is started for each invocation, and ends with it;
//     its memory and time are not bounded. tools/internal/standin/lambda keeps
//     sandboxes, and ends them at the timeout.
//   - Step Functions: HeartbeatSeconds is not enforced, so that no execution retries or
//     fails for a heartbeat that is missing; the status TIMED_OUT is never set. The task
//     of an execution that was stopped may be answered still, and so may one that was
//     answered, until its execution has gone on; AWS tells TaskTimedOut of both
//     (pkg/callback/stepfunctions: TestContract asserts what the stand-in does with the
//     first, of which a failure becomes the end of its execution; TestErrors what AWS
//     says). Tokens of nobody are TaskDoesNotExist, never InvalidToken. Outputs are
//     written anew, with spaces and escapes. Codes and causes may have any length.
//   - EventBridge: nobody but its own services can send events of aws.*: those of DMS are
//     put into the ingress queue as its rule would (tools/internal/onaws). Retries and
//     dead letters of a rule are not tried. An event that is put has the time at which
//     it was put, whatever it says.
//   - SNS: whoever publishes may, and a topic's subscriptions need no confirmation;
//     nothing is sent by mail or SMS.
//   - It checks no signatures and no permissions. tools/internal/onaws has a door before
//     it that knows the policies of the roles; what IAM itself decides only a real
//     account shows.
//   - Conflicts that take two writers inside of one request
//     (ConditionalRequestConflict, TransactionConflict) do not occur; they are
//     tested on the wire.
//
// gofakes3, which runs inside of `go test`, is only a part of S3; what it lacks
// stands beside the test that skips it (pkg/objects/s3, notInProcess).
package awstest
