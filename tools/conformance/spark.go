package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/localspark"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	localbucket "github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/tools/internal/roles"
	"github.com/openblotter/blotter/tools/internal/spark"
)

// sparkEngine is the system in this process, but for its transforms, which one
// local Spark runs for all cases; it also names the rows that change files replace.
type sparkEngine struct {
	session *spark.Session
}

// prepare starts Spark.
func (e *sparkEngine) prepare(ctx context.Context) error {
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	var err error
	if e.session, err = spark.Open(ctx, logger, nil); err != nil {
		return err
	}
	return e.session.Start(ctx)
}

// open is a Factory.
func (e *sparkEngine) open(ctx context.Context, dir string) (Pipeline, error) {
	cfg := roles.DefaultConfig()
	cfg.Lake.PositionDeleteRows = 1 // so that the cases judge those too
	cfg.GlueRunner = func(raw, staging, failed *localbucket.Bucket, tables plan.Tables) jobs.Runner {
		return localspark.New(e.session.Session, raw, staging, failed, tables)
	}
	return openLocal(ctx, dir, registry.FlagGlue, cfg)
}

func (e *sparkEngine) close() error {
	if e.session == nil {
		return nil
	}
	return e.session.Close()
}
