package lockmanager

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/holdqueue"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// ServiceName is the service's name in subjects, consumers and permissions.
const ServiceName = "lock-manager"

// parallelTicks bounds the tables that are ticked at once.
const parallelTicks = 16

// Log is what the service needs of the event log.
type Log interface {
	Consume(ctx context.Context, cfg eventlog.ConsumerConfig, handle eventlog.Handler) error
	Flush(ctx context.Context, table dms.TableID, service string, outbox []*blotterv1.Envelope) error
}

// Deps are what the service works with; all are needed.
type Deps struct {
	Log    Log
	Store  control.Store
	Hold   holdqueue.Queue
	Now    func() time.Time
	Logger *slog.Logger
}

// Service is the shell around the state machine. Several may run at once: the
// conditional write of the control store decides between them.
type Service struct {
	cfg    Config
	deps   Deps
	tables *lru.Cache[dms.TableID, *table]
	mu     sync.Mutex // guards the making of entries in tables
}

// New makes the service; Run starts it.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	tables, err := lru.New[dms.TableID, *table](cfg.CacheTables)
	if err != nil {
		return nil, fmt.Errorf("make the cache of tables: %w", err)
	}
	return &Service{cfg: cfg, deps: deps, tables: tables}, nil
}

// Run consumes the events of the other services and looks at the clock, until
// ctx ends or something fails for good.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return s.deps.Log.Consume(ctx, eventlog.ConsumerConfig{
			Service: ServiceName,
			From:    []string{"ingest-router", "classifier", "lambda-transformer", "glue-dispatcher", "curator"},
			Only:    map[string][]string{"ingest-router": {"ObjectDeleted", "ExecutionFailed", "SourceTaskChanged"}},
		}, s.handle)
	})
	group.Go(func() error { return s.watchClock(ctx) })
	return group.Wait()
}

func (s *Service) handle(ctx context.Context, r eventlog.Record) error {
	return s.apply(ctx, r.Table, source{cause: r.Envelope.GetId(), actor: ServiceName},
		Input{Time: s.deps.Now(), Event: r.Event})
}

// Command carries out an operator's command and gives what the operator is
// told. The same command id is carried out once. A refusal wraps ErrRefused.
func (s *Service) Command(ctx context.Context, table dms.TableID, actor string, c Command) (string, error) {
	err := s.apply(ctx, table, source{cause: c.order().ID, actor: actor}, Input{Time: s.deps.Now(), Command: c})
	if err != nil {
		return "", err
	}
	t := s.table(table)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := s.load(ctx, t); err != nil {
		return "", err
	}
	detail, _ := t.state.AnsweredCommand(c.order().ID)
	if _, ok := c.(LoadComplete); ok {
		detail += t.state.heldNext(detail)
	}
	return detail, nil
}

// heldNext says for what a load is held after it was said to be complete; empty if it is
// not, or detail has said so.
func (s *State) heldNext(detail string) string {
	l := s.Load
	if l == nil || l.HeldReason == "" || strings.Contains(detail, l.HeldDetail) {
		return ""
	}
	return fmt.Sprintf("; next it is held: %s; %s", l.HeldDetail, s.goOnWithLoad(l.HeldReason))
}

// watchClock ticks the tables whose state depends on time, flushes outboxes
// that a crash left behind, and now and then looks at every table, since
// another replica may have died holding it.
func (s *Service) watchClock(ctx context.Context) error {
	const everyTable = 30 // ticks
	since := s.deps.Now()
	ticker := time.NewTicker(s.cfg.Tick)
	defer ticker.Stop()
	for n := 0; ; n++ {
		if err := s.tick(ctx, since, n%everyTable == 0); err != nil && ctx.Err() == nil {
			s.deps.Logger.ErrorContext(ctx, "look at the clock", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func (s *Service) tick(ctx context.Context, since time.Time, everyTable bool) error {
	due := map[dms.TableID]struct{}{}
	unflushed, err := s.deps.Store.Unflushed(ctx)
	if err != nil {
		return fmt.Errorf("list unflushed outboxes: %w", err)
	}
	for _, id := range unflushed {
		due[id] = struct{}{}
	}
	if everyTable {
		all, err := s.deps.Store.Tables(ctx)
		if err != nil {
			return fmt.Errorf("list tables: %w", err)
		}
		for _, id := range all {
			due[id] = struct{}{}
		}
	}
	for _, t := range s.tables.Values() {
		if t.timed.Load() {
			due[t.id] = struct{}{}
		}
	}
	// A table that is slow to answer must not stop the clock of the others.
	var group errgroup.Group
	group.SetLimit(parallelTicks)
	for id := range due {
		group.Go(func() error {
			in := Input{Time: s.deps.Now(), Since: since}
			if err := s.apply(ctx, id, source{actor: ServiceName}, in); err != nil && ctx.Err() == nil {
				s.deps.Logger.ErrorContext(ctx, "look at the clock of a table", "table", id.String(), "error", err)
			}
			return nil
		})
	}
	return group.Wait()
}
