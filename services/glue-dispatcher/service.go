package gluedispatcher

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/jobs"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// ServiceName is the service's name in subjects, consumers and permissions.
const ServiceName = "glue-dispatcher"

// Log is what the service needs of the event log.
type Log interface {
	jobs.Publisher
	jobs.Consumer
	Read(ctx context.Context, f eventlog.Filter) iter.Seq2[eventlog.Record, error]
}

// Glue runs jobs on AWS Glue.
type Glue interface {
	jobs.Batcher
	jobs.Stopper
	// Wake tells that a run may have changed; it does not block.
	Wake(run string)
}

// Deps are what the service works with; all but Glue are needed.
type Deps struct {
	Log Log
	// Runner runs in process.
	Runner jobs.Runner
	// Glue runs on Glue; nil where there is none.
	Glue   Glue
	Specs  jobs.Specs
	Now    func() time.Time
	Logger *slog.Logger
}

// Service is the shell. Several may run at once.
type Service struct {
	deps     Deps
	parallel int              // grants that are worked on at once
	local    *jobs.Dispatcher // in process
	glue     *jobs.Dispatcher // nil where there is no Glue
}

// New makes the service; Run starts it.
func New(cfg Config, deps Deps) (*Service, error) {
	s := &Service{deps: deps, parallel: cfg.InProcess.Parallel + cfg.Glue.Parallel}
	d := jobs.Dispatcher{
		Config: cfg.InProcess, Service: ServiceName, Runner: deps.Runner,
		Log: deps.Log, Specs: deps.Specs, Now: deps.Now, Logger: deps.Logger,
	}
	var err error
	if s.local, err = jobs.NewDispatcher(d); err != nil {
		return nil, fmt.Errorf("in process: %w", err)
	}
	if deps.Glue == nil {
		return s, nil
	}
	d.Config, d.Runner, d.Engine, d.Fenced, d.Granted = cfg.Glue, deps.Glue, blotterv1.Engine_ENGINE_GLUE, s.fenced, s.granted
	if s.glue, err = jobs.NewDispatcher(d); err != nil {
		return nil, fmt.Errorf("on Glue: %w", err)
	}
	return s, nil
}

// Run works until ctx ends or something fails for good.
func (s *Service) Run(ctx context.Context) error {
	return jobs.Follow(ctx, s.deps.Log, ServiceName, s.parallel, s.grant, s.local, s.glue)
}

// Serve listens for hints that runs of Glue have changed, so that an end is seen at once
// and not with the next look. It returns when ctx ends.
func (s *Service) Serve(ctx context.Context, nc *nats.Conn) error {
	if s.deps.Glue == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return jobs.HearRunChanged(ctx, nc, s.deps.Glue.Wake)
}

func (s *Service) grant(ctx context.Context, r eventlog.Record, grant *blotterv1.LockGranted) error {
	if !mine(grant) {
		return nil
	}
	spec, err := s.deps.Specs.Spec(ctx, r.Table, grant.GetSpecVersion())
	if err != nil {
		return err
	}
	switch placeOf(grant, spec, s.glue != nil) {
	case onGlue:
		return s.glue.Grant(ctx, r, grant)
	case inProcess:
		return s.local.Grant(ctx, r, grant)
	}
	return nil
}

// fenced looks in the log, behind a grant, for the fence of its token: it may have
// been heard by another replica, or by a former process.
func (s *Service) fenced(ctx context.Context, grant eventlog.Record, token uint64) (bool, error) {
	for r, err := range s.deps.Log.Read(ctx, eventlog.Filter{
		Table: grant.Table, Service: "lock-manager", Event: "FenceRequested", FromSeq: grant.Seq,
	}) {
		if err != nil {
			return false, fmt.Errorf("look for a fence: %w", err)
		}
		if fence, ok := r.Event.(*blotterv1.FenceRequested); ok && dead(token, fence) {
			return true, nil
		}
	}
	return false, nil
}

// skew is by how much the clocks of lock-manager and of the log may differ.
const skew = 5 * time.Minute

// granted finds the grant of a token before its fence, which tells when that was. A fence
// of an older version does not: then all grants of the table before it are read.
func (s *Service) granted(ctx context.Context, fence eventlog.Record, token uint64) (eventlog.Record, error) {
	among := eventlog.Filter{Table: fence.Table, Service: "lock-manager", Event: "LockGranted", UntilSeq: fence.Seq}
	if e, ok := fence.Event.(*blotterv1.FenceRequested); ok && e.GetGrant().GetGranted() != nil {
		among.From = e.GetGrant().GetGranted().AsTime().Add(-skew)
	}
	for r, err := range s.deps.Log.Read(ctx, among) {
		if err != nil {
			return eventlog.Record{}, fmt.Errorf("look for the grant of token %d: %w", token, err)
		}
		if grant, ok := r.Event.(*blotterv1.LockGranted); ok && grant.GetToken() == token {
			return r, nil
		}
	}
	return eventlog.Record{}, nil
}
