// Package alerttest is the contract suite of alert.Channel, and a channel in memory for
// tests of what sends.
package alerttest
