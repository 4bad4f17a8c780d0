// Package holdqueuetest is the contract suite of the hold queue: every adapter
// of holdqueue.Queue runs it.
package holdqueuetest
