// Package rowstest is a Spark without Spark: it sorts in memory between the commands
// of the program for rows.
package rowstest
