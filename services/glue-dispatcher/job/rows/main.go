// Rows does the work on rows for the Spark job: see package pkg/jobs/rows. The
// job's tasks start it; nobody else does.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/openblotter/blotter/pkg/jobs/rows"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/services/glue-dispatcher/job/places"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := rows.Program{
		Open: places.Open, Config: transform.DefaultConfig(),
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
	}.Run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}
