// Package lifecycle starts and stops the services of a process as one: in
// order, each after the one before it is ready; the first failure stops all; and
// they stop in reverse order, within a deadline. It also holds the lock that keeps
// two processes out of one folder.
package lifecycle
