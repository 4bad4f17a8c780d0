// Package cases reads semantic cases: a folder with the DMS files to deliver,
// what must become of each, and the rows that the table must hold afterwards.
//
// It knows the format and its meaning: which registration a case stands for, in
// which orders its steps may be delivered, which outcomes satisfy it, and when
// two sets of rows are equal. It reads the expected rows with a reader of its
// own, so that a fault in the pipeline's reader cannot hide itself.
package cases
