package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/control"
	controlsqlite "github.com/openblotter/blotter/pkg/control/sqlite"
	"github.com/openblotter/blotter/pkg/eventlog"
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
)

// site is what outlives the processes: a folder and a NATS server.
type site struct {
	dir      string
	url      string
	replicas int
	plan     *plan
}

// logConfig has a window for duplicates that is over before anything is
// repeated, so that nothing can rest on it.
func logConfig() eventlog.Config {
	cfg := eventlog.EmbeddedConfig()
	cfg.DuplicateWindow = 100 * time.Millisecond
	cfg.AckWait = 300 * time.Millisecond
	cfg.RetryMin = time.Millisecond
	cfg.RetryMax = 20 * time.Millisecond
	return cfg
}

// testLogger writes only with BLOTTER_TEST_LOG set.
func testLogger() *slog.Logger {
	w := io.Discard
	if os.Getenv("BLOTTER_TEST_LOG") != "" {
		w = os.Stderr
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// node is one process with all services, which may die at every step.
type node struct {
	*mortal
	log     *eventlog.Log
	store   stores
	hold    holdqueueReader
	lake    *lake.Lake
	router  *ingestrouter.Service
	locks   *lockmanager.Service
	raw     mortalBucket
	staging mortalBucket

	run     []func(context.Context) error
	closers []func() error
}

// holdqueueReader is the hold queue, for looking.
type holdqueueReader interface{ mortalHold() mortalQueue }

func (q mortalQueue) mortalHold() mortalQueue { return q }

// openNode opens everything anew, as a process does that starts.
func openNode(ctx context.Context, s *site) (n *node, err error) {
	n = &node{mortal: newMortal(s.plan)}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	nc, err := eventlog.Connect(s.url, "test", testLogger())
	if err != nil {
		return n, err
	}
	n.closers = append(n.closers, func() error { nc.Close(); return nil })
	if n.log, err = eventlog.Open(ctx, nc, logConfig(), eventlog.WithFaults(n.mortal), eventlog.WithLogger(testLogger())); err != nil {
		return n, err
	}
	store, err := controlsqlite.Open(ctx, filepath.Join(s.dir, "control.db"))
	if err != nil {
		return n, err
	}
	n.closers = append(n.closers, store.Close)
	n.store = mortalStore{store, n.mortal}
	hold, err := holdsqlite.Open(ctx, filepath.Join(s.dir, "hold.db"))
	if err != nil {
		return n, err
	}
	n.closers = append(n.closers, hold.Close)
	queue := mortalQueue{hold, n.mortal}
	n.hold = queue
	failed, runner, err := n.openBuckets(ctx, s)
	if err != nil {
		return n, err
	}
	return n, n.makeServices(s, nc, queue, failed, runner)
}

func (n *node) openBuckets(ctx context.Context, s *site) (failed objects.Bucket, runner jobs.Runner, err error) {
	buckets := map[string]mortalBucket{}
	for name, opts := range map[string][]local.Option{
		"raw": {local.ReadOnly()}, "staging": {local.Immutable()}, "curated": {local.Immutable()}, "failed": nil,
	} {
		b, err := local.New(name, filepath.Join(s.dir, name), opts...)
		if err != nil {
			return nil, nil, err
		}
		n.closers = append(n.closers, b.Close)
		buckets[name] = mortalBucket{b, n.mortal}
	}
	n.raw, n.staging = buckets["raw"], buckets["staging"]
	base := url.URL{Scheme: "file", Path: filepath.Join(s.dir, "curated")}
	warehouse, err := lake.NewIO(buckets["curated"], base.String())
	if err != nil {
		return nil, nil, err
	}
	n.closers = append(n.closers, warehouse.Close)
	catalog, err := lakesqlite.Open(filepath.Join(s.dir, "catalog.db"), warehouse)
	if err != nil {
		return nil, nil, err
	}
	n.closers = append(n.closers, catalog.Close)
	n.lake, err = lake.Open(ctx, lakeConfig(), lake.Deps{
		Catalog: catalog, IO: warehouse, Staging: buckets["staging"], Logger: testLogger(), Step: n.lakeStep,
	})
	return buckets["failed"], jobslocal.New(buckets["raw"], buckets["staging"], buckets["failed"], transform.DefaultConfig()), err
}

// lakeConfig has small tables wear out, so that their maintenance is due all the
// time.
func lakeConfig() lake.Config {
	cfg := lake.DefaultConfig()
	cfg.SmallTableRows, cfg.RewriteFraction = 0, 1
	cfg.Maintenance.MaxSmallFiles, cfg.Maintenance.MaxFileDeletes, cfg.Maintenance.MaxManifests = 1, 1, 2
	return cfg
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

func (n *node) makeServices(s *site, nc *nats.Conn, queue mortalQueue, failed objects.Bucket, runner jobs.Runner) error {
	var log serviceLog = n.log
	if s.replicas > 1 {
		log = sharing{n.log}
	}
	now := func() time.Time { return time.Now().UTC() }
	specs := control.NewSpecs(n.store)
	dispatch := jobs.DispatchConfig{Parallel: 2, Attempts: 2, Backoff: time.Millisecond}
	lambda, err := lambdatransformer.New(lambdatransformer.Config{InProcess: dispatch, Lambda: dispatch}, lambdatransformer.Deps{Log: log, Runner: runner, Specs: specs, Now: now, Logger: testLogger()})
	if err != nil {
		return err
	}
	glue, err := gluedispatcher.New(gluedispatcher.Config{InProcess: dispatch, Glue: dispatch}, gluedispatcher.Deps{Log: log, Runner: runner, Specs: specs, Now: now, Logger: testLogger()})
	if err != nil {
		return err
	}
	cfg := lockmanager.DefaultConfig()
	cfg.Tick, cfg.BatchFiles, cfg.LoadFiles = 100*time.Millisecond, 2, 2
	cfg.MaintainAfter, cfg.MaintainAtLatest, cfg.MaintainBetween = 2, 3, 1
	n.locks, err = lockmanager.New(cfg, lockmanager.Deps{Log: log, Store: n.store, Hold: queue, Now: now, Logger: testLogger()})
	if err != nil {
		return err
	}
	n.router = ingestrouter.New(ingestrouter.Deps{
		Log: log, Objects: n.store, Specs: specs, Raw: listedRaw{n.raw}, Failed: failed, Now: now, Logger: testLogger(),
	})
	n.run = []func(context.Context) error{
		curator.New(curator.Deps{Log: log, Lake: n.lake, Specs: specs, Raw: n.raw, Staging: n.staging, Failed: failed, Now: now, Logger: testLogger()}).Run,
		lambda.Run, glue.Run, n.locks.Run,
		classifier.New(classifier.Deps{Log: log, Specs: specs, Now: now}).Run,
		n.router.Run,
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
		return fmt.Errorf("close a node: %w", err)
	}
	return nil
}

// listedRaw is the raw bucket for ingest-router: every object in it is whole.
type listedRaw struct{ mortalBucket }

// Scan yields all objects.
func (r listedRaw) Scan(ctx context.Context, prefix string) iter.Seq2[objects.Info, error] {
	return func(yield func(objects.Info, error) bool) {
		for info, err := range r.List(ctx, prefix) {
			if err == nil {
				info, err = r.Stat(ctx, info.Key)
			}
			if !yield(info, err) || err != nil {
				return
			}
		}
	}
}

// Missed is nothing: a listing of the bucket passes over no file.
func (r listedRaw) Missed() error { return nil }

// Fresh is Scan.
func (r listedRaw) Fresh(ctx context.Context, prefix string) iter.Seq2[objects.Info, error] {
	return r.Scan(ctx, prefix)
}
