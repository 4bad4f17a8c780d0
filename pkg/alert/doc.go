// Package alert pushes to where people look that a table waits for one of them.
package alert
