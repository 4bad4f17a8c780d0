// Package guide tries the guides of deploy/guide: its test takes every fenced
// block of them by its info string (```csv file=drop/… in=recipe), writes, parses
// or runs it, and compares what comes out with what the guide shows. A block that
// no rule tries is a failure.
package guide
