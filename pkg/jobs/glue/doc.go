// Package glue runs transforms as runs of an AWS Glue job and follows them to
// their ends.
//
// # What the job is told
//
// One run takes all files of a batch. Its arguments are few and small:
// --blotter_stage is the folder of the first file's output in the staging bucket
// (jobs.Batch.Stage), which names table, token and the file, and so is the run's
// identity, since a token is that of one grant; --blotter_attempt its number;
// --blotter_plan the address of plan.json in that folder, which says all else.
// The job leaves in the folder of each file Parquet and manifest.json, as every engine
// does, or failure.json (transform.WriteFailure) if the file is at fault. All objects of
// these folders are create-only.
//
// # No run unseen
//
// StartJobRun has no token by which Glue would know a call that comes again. So a
// run is announced first, by the create-only object glue-run-<n>.json, whose maker
// alone may start it, once: the client's own retries are off. Whoever finds an
// announcement that he did not make himself, after a crash or a lost answer, asks
// GetJobRuns for runs with the identity before he announces another. Runs are
// listed newest first, so that pages end at the time of the first announcement; a
// run that Glue has started but does not list yet is waited for (Config.Settle).
// Two runs can then come to be only if Glue hides one for longer, or two replicas
// hold one grant and both are slow at the wrong moment. Both leave one result, since
// the manifest is create-only. Each is followed and told of until one has made the
// result; another that still runs then is left to its end, and its cost is not told.
//
// # Fences
//
// A fence stands in the log before anybody stops runs for it. Whoever is to start a run
// asks the log (jobs.Watch.Alive) before he announces it and before every try to start
// it, so that a fence ends his wait for room though another process heard it. Whoever
// stops looks at the announcements of the grant's files: one whose run is not listed
// may be on its way, and is looked for until no start that was allowed before the fence
// could still be (Config.Call and Config.Settle).
//
// # Ends
//
// WAITING, STARTING, RUNNING and STOPPING are no ends: the run is asked for again,
// with growing pauses, or at once when Wake tells that it changed. No room
// (throttled, too many concurrent runs, no capacity) is no failure: the start is
// tried again until the grant's deadline, and then told as not started.
// SUCCEEDED is believed only with a manifest of each file. FAILED, ERROR and EXPIRED
// that leave files with neither that nor failure.json lead to another run, which does
// the rest, Config.Runs in all; TIMEOUT and STOPPED, which a person or the deadline brings
// about, do not. What has no end then fails with the run; of several files each is in
// doubt (jobs.Outcome.OfRun). A run lives until the deadline of
// its grant at most: it is started with that timeout. Let the job definition have
// MaxRetries 0; runs that Glue repeats by itself are found and followed too.
//
// The text of Glue's ErrorMessage may quote a row, so that it goes nowhere: the
// failure names the run, in whose log it stands.
package glue
