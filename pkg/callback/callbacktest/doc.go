// Package callbacktest is the contract suite of callback.Tasks, and tasks in memory
// for tests of what answers them.
package callbacktest
