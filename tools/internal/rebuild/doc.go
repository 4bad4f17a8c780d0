// Package rebuild makes the rows of a table once more from the raw versions that the
// log names, and compares them with a snapshot of the lake.
//
// ReadHistory folds the events of a table into what its rows were made of: the last
// replacement and all publications after it. Run stages each of their files again, in
// the registration and under the token that the log names, and publishes them into a
// lake of its own: the same transform and the same fold by position, but in an order
// and in batches that have nothing to do with those of the live system, and without
// anything that maintenance did. Each staged file is held against the hash of its
// manifest in the log. Compare then holds row against row.
//
// Memory holds a line for each file of the table's generation, and what the transform,
// the merge and the sorter are allowed; rows lie on disk.
package rebuild
