// Package explain tells the life of one row: which rows of which files changed its key,
// and what came of each of them.
//
// The files are those that the log knows of the table. One is read only where its
// staged output says that it holds the key: by the range of keys in its manifest, then
// by the key columns of the staged files. Where that output is gone, or there never was
// any, the raw version is read. What came of a change follows from the log and the
// order of positions alone; the lake is asked what it holds, and must agree.
//
// Memory holds a line for each file of the table and each change of the key.
package explain
