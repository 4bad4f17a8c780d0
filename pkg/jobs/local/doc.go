// Package local runs transforms in this process.
package local
