package main

import (
	"context"
	"log/slog"
	"os"
	"sync"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/localspark"
	localbucket "github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/tools/internal/roles"
	"github.com/openblotter/blotter/tools/internal/spark"
)

// sparkEngine is the system in this process, but for its transforms, which one
// local Spark runs for all cases. Spark starts with the first of them.
type sparkEngine struct {
	mu      sync.Mutex
	session *spark.Session
}

// open is a Factory.
func (e *sparkEngine) open(ctx context.Context, dir string) (Pipeline, error) {
	session, err := e.start(ctx)
	if err != nil {
		return nil, err
	}
	cfg := roles.DefaultConfig()
	cfg.GlueRunner = func(raw, staging, failed *localbucket.Bucket) jobs.Runner {
		return localspark.New(session.Session, raw, staging, failed)
	}
	return openLocal(ctx, dir, registry.FlagGlue, cfg)
}

func (e *sparkEngine) start(ctx context.Context) (*spark.Session, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.session != nil {
		return e.session, nil
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	var err error
	e.session, err = spark.Open(ctx, logger, nil)
	return e.session, err
}

func (e *sparkEngine) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.session == nil {
		return nil
	}
	return e.session.Close()
}
