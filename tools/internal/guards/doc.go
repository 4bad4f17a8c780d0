// Package guards proves of each guard of Blotter that it is needed: it takes the guard
// out, one at a time, and has one small test with one deterministic schedule fail for
// the reason that the guard stands against.
//
// The list in list.go says which guards there are, what each stands against, and which
// test shows it. A patch that does not fit its source any more fails every `go test`;
// what the tests say without the guards is asked by
//
//	go test ./tools/internal/guards -args -mutate
//
// The source stays untouched: the tests are built over it (go test -overlay). A test's
// program holds all that its package proves: of each function with a guard a second one
// without it, which takes the first one's place when the environment names the guard.
package guards
