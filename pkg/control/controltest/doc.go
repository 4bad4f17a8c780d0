// Package controltest is the contract suite of the control store: every adapter
// of control.Store and control.Objects runs it.
package controltest
