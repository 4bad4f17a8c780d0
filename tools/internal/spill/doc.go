// Package spill sorts more than memory holds: records go to sorted runs in a scratch
// file without a name, which is gone with the process.
package spill
