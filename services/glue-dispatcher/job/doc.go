// Package job holds the Spark job that transforms the tables with flag G:
// blotter_job.py, which AWS Glue runs, session.py and workers.py around it for one
// machine, and the pinned Python packages for that (requirements.txt; Glue brings
// its own). The program for rows that its tasks start is in rows.
package job

import "embed"

// Files are the scripts and requirements.txt.
//
//go:embed blotter_job.py session.py workers.py requirements.txt
var Files embed.FS
