// Package positions finds, for a Spark job, the rows of the table that a change file
// changes, in the snapshot that the plan names (transform.PositionDeletes). It is one
// program, which the job's tasks start beside that of package rows; it stands alone
// since it links iceberg-go, which that one need not wait for.
//
//	positions N SHARE OF    searches SHARE of the data files, which are divided into
//	                        OF shares, for the rows that file N of the plan changes.
//	                        In: a plan, then rows.FileParts with what was staged of
//	                        the file, each with its length before it. Out: rows.Found
//	                        as JSON.
//
// The search is the lake's own (lake.Finder). The exit status is 0, or 1 with a message
// on standard error: then the fault may pass.
package positions
