// Positions finds the rows of a table that a change file changes, for the Spark job:
// see package pkg/jobs/positions. The job's tasks start it; nobody else does.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/openblotter/blotter/pkg/jobs/positions"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/services/glue-dispatcher/job/places"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := positions.Program{
		Open: places.Open, Config: lake.DefaultConfig(), In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
	}.Run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}
