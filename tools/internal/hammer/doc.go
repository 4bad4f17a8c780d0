// Package hammer runs the real services on made-up histories while all that can
// go wrong does: processes die between any two effects, stores throttle, answer
// too late or write half, workers stall past their deadline and wake, the NATS
// server restarts, files come twice, in any order, and late. In the end every
// invariant of Blotter is checked against a model that is far simpler than the
// product: a history knows its rows by how it was made. The archive of the log, which
// every curator's process writes at meanwhile, must hold each of its events.
//
// It does so in two shapes. In one process the services of a replica die together, at the
// very step that the seed names, and the NATS server ends and comes back. In many
// (ManyProcesses) a replica of each few roles is a process of its own: it dies by kill -9
// at such a step or whatever it does, or is stopped past its deadlines, and so does the
// NATS server; of three, the one that leads the log. The history, its operator and the
// checks in the end are the same.
//
// What a seed decides is decided by it alone: the files, the order in which they
// come, what goes wrong at which visit of which step for which object. Which of
// two services gets there first is the machine's to say, as it is in life.
package hammer
