package ingestrouter

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// ServiceName is the service's name in subjects, consumers and permissions.
const ServiceName = "ingest-router"

// resumeBatch is how many rows are read at once when work is taken up again.
const resumeBatch = 1024

// Log is what the service needs of the event log.
type Log interface {
	Consume(ctx context.Context, cfg eventlog.ConsumerConfig, handle eventlog.Handler) error
	PublishOnce(ctx context.Context, e eventlog.Event) (uint64, error)
	PublishEnvelope(ctx context.Context, service string, after uint64, env *blotterv1.Envelope) (uint64, error)
	Last(ctx context.Context) (uint64, error)
}

// Specs gives the newest registrations of all tables.
type Specs interface {
	Newest(ctx context.Context) ([]registry.Table, error)
}

// Raw is the raw bucket as far as the service needs it.
type Raw interface {
	Name() string
	// Scan yields every object that is whole, its ETag included, and skips those
	// that are still being written; it stops at the first error, which it yields.
	Scan(ctx context.Context, prefix string) iter.Seq2[objects.Info, error]
	// Fresh is Scan of what want asks for, without most of what an earlier Fresh has
	// handed over.
	Fresh(ctx context.Context, prefix string, want objects.Want) iter.Seq2[objects.Info, error]
	// ScanAfter looks at what lies behind a key, as Scan does, and tells of what it
	// passes over.
	ScanAfter(ctx context.Context, prefix, after string, want objects.Want) iter.Seq2[objects.Sighting, error]
	// Missed tells what the last scan passed over although it may be data:
	// objects that are still being written, or cannot be read; nil if nothing.
	Missed() error
	// Stat tells of the newest version of an object, Open of the version asked for.
	Stat(ctx context.Context, key string) (objects.Info, error)
	Open(ctx context.Context, key string, v objects.Version) (objects.Reader, error)
}

// Deps are what the service works with; all are needed.
type Deps struct {
	Log     Log
	Objects control.Objects
	Specs   Specs
	Raw     Raw
	Failed  objects.Bucket // only read: mended files lie there
	// Transform is what mended rows are read with, as their transform will; the zero
	// value is transform.DefaultConfig.
	Transform transform.Config
	Now       func() time.Time
	Logger    *slog.Logger
}

// Service is the shell around the decisions. Several may run at once.
type Service struct {
	deps    Deps
	regs    *registrations
	listing sync.Mutex // one listing at a time in this process
	// unwhole has the tables a load file of which was still being written at the last
	// scan, and since when that is so; scanning guards it.
	unwhole  map[dms.TableID]time.Time
	scanning sync.Mutex

	fresh, again time.Duration // lookAgainAfter, but in tests
}

// New makes the service; Run starts it.
func New(deps Deps) *Service {
	if deps.Transform == (transform.Config{}) {
		deps.Transform = transform.DefaultConfig()
	}
	return &Service{deps: deps, regs: newRegistrations(), fresh: lookAgainAfter, again: lookAgainAfter}
}

// Run takes up what a crash left, then follows registrations, until ctx ends or
// something fails for good. Objects come through Offer and List.
func (s *Service) Run(ctx context.Context) error {
	if err := s.Learn(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return s.deps.Log.Consume(ctx, eventlog.ConsumerConfig{
			Service: ServiceName, From: []string{"lock-manager"}, Events: []string{"TableRegistered", "TransactionSplit"},
		}, s.handle)
	})
	group.Go(func() error { return s.lookAgain(ctx) })
	return group.Wait()
}

func (s *Service) handle(ctx context.Context, r eventlog.Record) error {
	if e, ok := r.Event.(*blotterv1.TransactionSplit); ok {
		return s.split(ctx, r.Table, e)
	}
	return s.Learn(ctx)
}

// Learn reads the registrations anew and looks again at what was held. Run does
// it whenever it hears that a table is registered; whoever registers and then offers objects
// at once calls it in between.
func (s *Service) Learn(ctx context.Context) error {
	if err := s.relearn(ctx); err != nil {
		return err
	}
	return s.resume(ctx)
}

// ListRequest asks for a listing.
type ListRequest struct {
	ID     string `json:"id"`     // names the listing; a repeated one says nothing twice
	Actor  string `json:"actor"`  // who asks: "operator:<name>" or a program
	Reason string `json:"reason"` // why
	// Complete declares the listing to be all there is, which seals open loads.
	Complete bool `json:"complete"`
}

// Listed tells what a listing found.
type Listed struct {
	ID      string `json:"id"`
	Objects int64  `json:"objects"` // all objects in the raw bucket
	Told    int64  `json:"told"`    // those that no event had told
}

// List lists the raw bucket, tells of every object that was not told before, of load
// files first, and says ListingCompleted for every registered table after its objects.
func (s *Service) List(ctx context.Context, r ListRequest) (Listed, error) {
	s.listing.Lock()
	defer s.listing.Unlock()
	listed := Listed{ID: r.ID}
	if err := s.Learn(ctx); err != nil {
		return listed, err
	}
	specs, err := s.deps.Specs.Newest(ctx)
	if err != nil {
		return listed, fmt.Errorf("read the registrations: %w", err)
	}
	after, err := s.listingBegan(ctx, r.ID)
	if err != nil {
		return listed, err
	}
	loads, err := s.offerLoads(ctx)
	listed.Told += loads.told
	if err != nil {
		return listed, err
	}
	perTable := map[dms.TableID]int64{}
	for info, err := range s.deps.Raw.Scan(ctx, "") {
		if err != nil {
			return listed, fmt.Errorf("list the raw bucket: %w", err)
		}
		o := s.object(info)
		isNew, err := s.offerListed(ctx, o)
		if err != nil {
			return listed, err
		}
		if table, _, ok := s.registered().Match(o.Key); ok {
			perTable[table]++
		}
		listed.Objects++
		if isNew {
			listed.Told++
		}
	}
	if err := s.deps.Raw.Missed(); r.Complete && err != nil {
		return listed, fmt.Errorf("the listing is not complete, so no load can be sealed by it: %w", err)
	}
	for _, spec := range specs {
		_, err := s.deps.Log.PublishOnce(ctx, eventlog.Event{
			Table: spec.ID, Service: ServiceName, ID: eventlog.ID(ServiceName, spec.ID, "listing", r.ID),
			Actor: r.Actor, Time: s.deps.Now(), After: after,
			Message: &blotterv1.ListingCompleted{ListingId: r.ID, Objects: perTable[spec.ID], Complete: r.Complete, Reason: r.Reason},
		})
		if err != nil {
			return listed, fmt.Errorf("say that the listing of %s is complete: %w", spec.ID, err)
		}
	}
	return listed, nil
}

// listingBegan gives the end of the log when the listing was asked for first: a
// repeated one, after a crash, looks behind from there. It is kept where the
// objects are, since it serves the same end as their After.
func (s *Service) listingBegan(ctx context.Context, id string) (uint64, error) {
	row := control.ObjectRow{FileID: dms.FileID("listing/" + id), State: control.ObjectTold, Table: dms.RawTable}
	for range maxConflicts {
		known, err := s.deps.Objects.Object(ctx, row.FileID)
		if err == nil {
			return known.After, nil
		}
		if !errors.Is(err, control.ErrNotFound) {
			return 0, fmt.Errorf("read what is known of listing %s: %w", id, err)
		}
		if row.After, err = s.deps.Log.Last(ctx); err != nil {
			return 0, fmt.Errorf("read the end of the log: %w", err)
		}
		row.Object.LastModified = s.deps.Now()
		if err = s.deps.Objects.PutObject(ctx, row); err != nil && !errors.Is(err, control.ErrConflict) {
			return 0, fmt.Errorf("note that listing %s begins: %w", id, err)
		}
	}
	return 0, fmt.Errorf("begin listing %s: %w %d times in a row", id, control.ErrConflict, maxConflicts)
}

// object names one version of an object of the raw bucket.
func (s *Service) object(info objects.Info) dms.Object {
	return dms.Object{
		Bucket: s.deps.Raw.Name(), Key: info.Key, VersionID: info.VersionID, ETag: info.ETag,
		Size: info.Size, LastModified: info.LastModified.UTC(),
	}
}
