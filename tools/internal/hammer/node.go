package hammer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/control"
	controlsqlite "github.com/openblotter/blotter/pkg/control/sqlite"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/holdqueue"
	holdsqlite "github.com/openblotter/blotter/pkg/holdqueue/sqlite"
	"github.com/openblotter/blotter/pkg/jobs"
	jobslocal "github.com/openblotter/blotter/pkg/jobs/local"
	"github.com/openblotter/blotter/pkg/lake"
	lakesqlite "github.com/openblotter/blotter/pkg/lake/sqlite"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/services/classifier"
	"github.com/openblotter/blotter/services/curator"
	gluedispatcher "github.com/openblotter/blotter/services/glue-dispatcher"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lambdatransformer "github.com/openblotter/blotter/services/lambda-transformer"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// site is what outlives the processes: a folder and a NATS server.
type site struct {
	cfg   Config
	url   string
	clock *clock
}

// logConfig has a window for duplicates that is over before anything is
// repeated, so that nothing can rest on it.
func logConfig(of Config) eventlog.Config {
	cfg := eventlog.EmbeddedConfig()
	cfg.Replicas = max(of.Nodes, 1)
	cfg.DuplicateWindow = 100 * time.Millisecond
	cfg.AckWait = 300 * time.Millisecond
	cfg.RetryMin = time.Millisecond
	cfg.RetryMax = 20 * time.Millisecond
	cfg.Partitions = 2 // each start of a process makes the consumers of all services for each
	return cfg
}

// lakeConfig has small tables wear out, so that their maintenance is due all the
// time.
func lakeConfig() lake.Config {
	cfg := lake.DefaultConfig()
	cfg.SmallTableRows, cfg.RewriteFraction = 0, 1
	cfg.Maintenance.MaxSmallFiles, cfg.Maintenance.MaxFileDeletes, cfg.Maintenance.MaxManifests = 1, 1, 2
	return cfg
}

// node is one process with all services, which may die at every step.
type node struct {
	*mortal
	site   *site
	log    *eventlog.Log
	store  stores
	hold   holdqueue.Queue
	lake   *lake.Lake
	router *ingestrouter.Service
	locks  *lockmanager.Service

	raw, staging, failed mortalBucket
	runner               jobs.Runner

	nc      *nats.Conn
	run     map[string]func(context.Context) error // by role
	closers []func() error
}

// openNode opens everything anew, as a process does that starts.
func openNode(ctx context.Context, s *site, p *plan) (n *node, err error) {
	n = &node{mortal: newMortal(p, s.clock), site: s}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	nc, err := eventlog.Connect(s.url, "hammer", s.cfg.Logger)
	if err != nil {
		return n, err
	}
	n.nc = nc
	n.closers = append(n.closers, func() error { nc.Close(); return nil })
	if n.log, err = eventlog.Open(ctx, nc, logConfig(s.cfg), eventlog.WithFaults(n.mortal), eventlog.WithLogger(slog.New(conflicts{s.cfg.Logger.Handler(), p.conflict}))); err != nil {
		return n, err
	}
	store, err := controlsqlite.Open(ctx, filepath.Join(s.cfg.Dir, "control.db"))
	if err != nil {
		return n, err
	}
	n.closers = append(n.closers, store.Close)
	n.store = mortalStore{store, n.mortal}
	hold, err := holdsqlite.Open(ctx, filepath.Join(s.cfg.Dir, "hold.db"))
	if err != nil {
		return n, err
	}
	n.closers = append(n.closers, hold.Close)
	n.hold = mortalQueue{hold, n.mortal}
	if err := n.openBuckets(ctx); err != nil {
		return n, err
	}
	return n, n.makeServices()
}

func (n *node) openBuckets(ctx context.Context) error {
	dir := n.site.cfg.Dir
	buckets := map[string]mortalBucket{}
	for name, opts := range map[string][]local.Option{
		"raw": {local.ReadOnly()}, "staging": {local.Immutable()}, "curated": {local.Immutable()}, "failed": nil,
	} {
		b, err := local.New(name, filepath.Join(dir, name), opts...)
		if err != nil {
			return err
		}
		n.closers = append(n.closers, b.Close)
		buckets[name] = mortalBucket{b, n.mortal}
	}
	n.raw, n.staging, n.failed = buckets["raw"], buckets["staging"], buckets["failed"]
	base := url.URL{Scheme: "file", Path: filepath.Join(dir, "curated")}
	warehouse, err := lake.NewIO(buckets["curated"], base.String())
	if err != nil {
		return err
	}
	n.closers = append(n.closers, warehouse.Close)
	catalog, err := lakesqlite.Open(filepath.Join(dir, "catalog.db"), warehouse)
	if err != nil {
		return err
	}
	n.closers = append(n.closers, catalog.Close)
	n.lake, err = lake.Open(ctx, lakeConfig(), lake.Deps{
		Catalog: mortalCatalog{catalog, n.mortal}, IO: warehouse, Staging: n.staging, Logger: n.site.cfg.Logger, Step: n.lakeStep,
	})
	n.runner = jobslocal.New(n.raw, n.staging, n.failed, transform.DefaultConfig())
	return err
}

// sharing has the replicas of a service share its partitions.
type sharing struct{ *eventlog.Log }

// Consume reads at the same rank as the other replicas.
func (l sharing) Consume(ctx context.Context, cfg eventlog.ConsumerConfig, handle eventlog.Handler) error {
	cfg.Rank = func(int) int { return 1 }
	return l.Log.Consume(ctx, cfg, handle)
}

// serviceLog is what all services together need of the event log.
type serviceLog interface {
	lockmanager.Log
	ingestrouter.Log
	gluedispatcher.Log
}

func (n *node) makeServices() error {
	var log serviceLog = n.log
	if n.site.cfg.Replicas > 1 || n.site.cfg.Processes {
		log = sharing{n.log}
	}
	now, logger := n.clock.now, n.site.cfg.Logger
	specs := control.NewSpecs(n.store)
	dispatch := jobs.DispatchConfig{Parallel: 2, Attempts: 2, Backoff: time.Millisecond}
	lambda, err := lambdatransformer.New(lambdatransformer.Config{InProcess: dispatch, Lambda: dispatch}, lambdatransformer.Deps{Log: log, Runner: n.runner, Specs: specs, Now: now, Logger: logger})
	if err != nil {
		return err
	}
	glue, err := gluedispatcher.New(gluedispatcher.Config{InProcess: dispatch, Glue: dispatch}, gluedispatcher.Deps{Log: log, Runner: n.runner, Specs: specs, Now: now, Logger: logger})
	if err != nil {
		return err
	}
	cfg := lockmanager.DefaultConfig()
	cfg.Tick, cfg.GrantTimeout, cfg.MaintainTimeout = 100*time.Millisecond, grantTimeout, grantTimeout
	cfg.BatchFiles, cfg.LoadFiles, cfg.GlueLoadFiles = 2, 2, 3
	cfg.MaintainAfter, cfg.MaintainAtLatest, cfg.MaintainBetween, cfg.MaintainRetry = 2, 3, 1, time.Second
	n.locks, err = lockmanager.New(cfg, lockmanager.Deps{Log: log, Store: n.store, Hold: n.hold, Now: now, Logger: logger})
	if err != nil {
		return err
	}
	n.router = ingestrouter.New(ingestrouter.Deps{
		Log: log, Objects: n.store, Specs: specs, Raw: listedRaw{n.raw}, Failed: n.failed, Now: now, Logger: logger,
	})
	curate, err := n.andArchive(curator.New(curator.Deps{
		Log: log, Lake: n.lake, Specs: specs, Raw: n.raw, Staging: n.staging, Failed: n.failed, Now: now, Logger: logger,
		Agree: func(ctx context.Context, id dms.TableID) error {
			_, err := roles.AgreeWithTable(ctx, n.store, n.lake, id, logger)
			return err
		},
	}).Run)
	if err != nil {
		return err
	}
	n.run = map[string]func(context.Context) error{
		curator.ServiceName:           curate,
		lambdatransformer.ServiceName: lambda.Run,
		gluedispatcher.ServiceName:    glue.Run,
		lockmanager.ServiceName:       n.locks.Run,
		classifier.ServiceName:        classifier.New(classifier.Deps{Log: log, Specs: specs, Now: now}).Run,
		ingestrouter.ServiceName:      n.router.Run,
	}
	return nil
}

// live runs all services until the node dies or ctx ends; nothing of it runs on
// when it returns.
func (n *node) live(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, running := errgroup.WithContext(ctx)
	for _, run := range n.run {
		group.Go(func() error { return run(running) })
	}
	go func() {
		select {
		case <-n.died:
			cancel()
		case <-running.Done():
		}
	}()
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	select {
	case <-n.died:
		return errCrash
	default:
		return err
	}
}

func (n *node) close() error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i]())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close a process: %w", err)
	}
	return nil
}

var _ objects.Bucket = mortalBucket{}
