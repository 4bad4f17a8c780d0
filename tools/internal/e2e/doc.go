// Package e2e holds the tests of the whole system: the real binary on real
// input, killed at random moments, and all services in one process with a crash
// at every step. It has no code beside its tests.
//
// Tests on real input need the folder beside the project:
//
//	go test ./tools/internal/e2e -args -shared "$(cd ../shared && pwd)"
//
// They are skipped without it.
package e2e
