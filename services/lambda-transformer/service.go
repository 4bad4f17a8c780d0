package lambdatransformer

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/jobs"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// ServiceName is the service's name in subjects, consumers and permissions.
const ServiceName = "lambda-transformer"

// Log is what the service needs of the event log.
type Log interface {
	jobs.Publisher
	jobs.Consumer
}

// Deps are what the service works with; all but Lambda are needed.
type Deps struct {
	Log Log
	// Runner runs in process.
	Runner jobs.Runner
	// Lambda runs on Lambda; nil where there is none.
	Lambda jobs.Remote
	Specs  jobs.Specs
	Now    func() time.Time
	Logger *slog.Logger
}

// Service is the shell around the dispatchers. Several may run at once.
type Service struct {
	deps     Deps
	parallel int              // grants that are worked on at once
	local    *jobs.Dispatcher // in process
	lambda   *jobs.Dispatcher // nil where there is no Lambda
}

// New makes the service; Run starts it.
func New(cfg Config, deps Deps) (*Service, error) {
	s := &Service{deps: deps, parallel: cfg.InProcess.Parallel + cfg.Lambda.Parallel}
	d := jobs.Dispatcher{
		Config: cfg.InProcess, Service: ServiceName, Runner: deps.Runner,
		Log: deps.Log, Specs: deps.Specs, Now: deps.Now, Logger: deps.Logger,
	}
	var err error
	if s.local, err = jobs.NewDispatcher(d); err != nil {
		return nil, fmt.Errorf("in process: %w", err)
	}
	if deps.Lambda == nil {
		return s, nil
	}
	d.Config, d.Runner = cfg.Lambda, deps.Lambda
	if s.lambda, err = jobs.NewDispatcher(d); err != nil {
		return nil, fmt.Errorf("on Lambda: %w", err)
	}
	return s, nil
}

// Run transforms what is granted until ctx ends or something fails for good.
func (s *Service) Run(ctx context.Context) error {
	return jobs.Follow(ctx, s.deps.Log, ServiceName, s.parallel, s.grant, s.local, s.lambda)
}

func (s *Service) grant(ctx context.Context, r eventlog.Record, grant *blotterv1.LockGranted) error {
	if !mine(grant) {
		return nil
	}
	spec, err := s.deps.Specs.Spec(ctx, r.Table, grant.GetSpecVersion())
	if err != nil {
		return err
	}
	switch placeOf(grant, spec, s.lambda != nil) {
	case onLambda:
		return s.lambda.Grant(ctx, r, grant)
	case inProcess:
		return s.local.Grant(ctx, r, grant)
	}
	return nil
}
