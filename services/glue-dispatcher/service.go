package gluedispatcher

import (
	"context"
	"log/slog"
	"time"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/jobs"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// ServiceName is the service's name in subjects, consumers and permissions.
const ServiceName = "glue-dispatcher"

// Log is what the service needs of the event log.
type Log interface {
	jobs.Publisher
	Consume(ctx context.Context, cfg eventlog.ConsumerConfig, handle eventlog.Handler) error
}

// Deps are what the service works with; all are needed.
type Deps struct {
	Log    Log
	Runner jobs.Runner
	Specs  jobs.Specs
	Now    func() time.Time
	Logger *slog.Logger
}

// Service is the shell around the dispatcher. Several may run at once.
type Service struct {
	log        Log
	dispatcher *jobs.Dispatcher
}

// New makes the service; Run starts it.
func New(cfg jobs.DispatchConfig, deps Deps) (*Service, error) {
	dispatcher, err := jobs.NewDispatcher(jobs.Dispatcher{
		Config: cfg, Service: ServiceName, Runner: deps.Runner, Log: deps.Log,
		Specs: deps.Specs, Now: deps.Now, Logger: deps.Logger,
	})
	if err != nil {
		return nil, err
	}
	return &Service{log: deps.Log, dispatcher: dispatcher}, nil
}

// Run transforms what is granted until ctx ends or something fails for good.
func (s *Service) Run(ctx context.Context) error {
	return s.log.Consume(ctx, eventlog.ConsumerConfig{
		Service: ServiceName, From: []string{"lock-manager"}, Events: []string{"LockGranted"},
	}, func(ctx context.Context, r eventlog.Record) error {
		if grant, ok := r.Event.(*blotterv1.LockGranted); ok && mine(grant) {
			return s.dispatcher.Grant(ctx, r, grant)
		}
		return nil
	})
}
