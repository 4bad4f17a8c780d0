// Package spark sets up the local Spark for tools and tests: a Python with the
// pinned packages in the user's cache, the job's scripts, and the program for
// rows, which is the running program itself.
package spark
