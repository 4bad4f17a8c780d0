package classifier

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// ServiceName is the service's name in subjects, consumers and permissions.
const ServiceName = "classifier"

// Log is what the service needs of the event log.
type Log interface {
	Consume(ctx context.Context, cfg eventlog.ConsumerConfig, handle eventlog.Handler) error
	PublishOnce(ctx context.Context, e eventlog.Event) (uint64, error)
}

// Specs gives registrations; version 0 is the newest.
type Specs interface {
	Spec(ctx context.Context, table dms.TableID, version uint64) (registry.Table, error)
}

// Deps are what the service works with; all are needed.
type Deps struct {
	Log   Log
	Specs Specs
	Now   func() time.Time
}

// Service is the shell around decide.
type Service struct{ deps Deps }

// New makes the service; Run starts it.
func New(deps Deps) *Service { return &Service{deps: deps} }

// Run classifies what arrives until ctx ends or something fails for good.
func (s *Service) Run(ctx context.Context) error {
	return s.deps.Log.Consume(ctx, eventlog.ConsumerConfig{
		Service: ServiceName, From: []string{"ingest-router"},
		Events: []string{"ObjectArrived", "ListingCompleted"},
	}, s.handle)
}

func (s *Service) handle(ctx context.Context, r eventlog.Record) error {
	var (
		answer   proto.Message
		name, id string
	)
	switch e := r.Event.(type) {
	case *blotterv1.ObjectArrived:
		spec, err := s.deps.Specs.Spec(ctx, r.Table, 0)
		if err != nil {
			return err
		}
		answer, name, id = decide(spec, e), "file", e.GetFileId()
	case *blotterv1.ListingCompleted:
		answer = &blotterv1.ListingClassified{ListingId: e.GetListingId(), Complete: e.GetComplete(), Cause: e.GetCause()}
		name, id = "listing", e.GetListingId()
	default:
		return nil
	}
	_, err := s.deps.Log.PublishOnce(ctx, eventlog.Event{
		Table: r.Table, Service: ServiceName, ID: eventlog.ID(ServiceName, r.Table, name, id),
		Cause: r.Envelope.GetId(), Correlation: r.Envelope.GetCorrelation(), Actor: ServiceName,
		Time: s.deps.Now(), Message: answer, After: r.Seq,
	})
	if name == "file" && errors.Is(err, eventlog.ErrDiffers) {
		return nil // the file was told again, and was classified before by an older registration: that stands
	}
	return err
}
