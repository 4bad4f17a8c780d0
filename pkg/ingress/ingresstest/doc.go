// Package ingresstest is the contract suite of ingress.Queue, and a queue in memory
// for tests of what reads from one.
package ingresstest
