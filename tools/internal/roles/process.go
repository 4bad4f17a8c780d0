package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/control"
	controlsqlite "github.com/openblotter/blotter/pkg/control/sqlite"
	"github.com/openblotter/blotter/pkg/eventlog"
	holdsqlite "github.com/openblotter/blotter/pkg/holdqueue/sqlite"
	"github.com/openblotter/blotter/pkg/jobs"
	jobslocal "github.com/openblotter/blotter/pkg/jobs/local"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/jobs/rows"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/lifecycle"
	"github.com/openblotter/blotter/pkg/natsserver"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/transform"
	gluedispatcher "github.com/openblotter/blotter/services/glue-dispatcher"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// stopTimeout bounds an orderly stop.
const stopTimeout = 30 * time.Second

// Process is one process with everything that its roles work with.
type Process struct {
	Log    *eventlog.Log
	Store  *controlsqlite.Store
	Hold   *holdsqlite.Queue
	Specs  *control.Specs
	Lake   *lake.Lake
	Raw    RawFolder
	Failed *local.Bucket
	// IngestRouter and LockManager are nil in a process without these roles.
	IngestRouter *ingestrouter.Service
	LockManager  *lockmanager.Service

	cfg     Config
	logger  *slog.Logger
	now     func() time.Time
	staging *local.Bucket
	runner  jobs.Runner // of tables with flag L
	glue    jobs.Runner // of those with flag G
	onGlue  jobs.Remote // … whose table names a job; nil: there is no Glue
	server  *natsserver.Server
	nc      *nats.Conn
	closers []func() error
	roles   []lifecycle.Service
}

// RawFolder is the raw bucket and the watch over it.
type RawFolder struct {
	*local.Bucket
	*local.Watcher
}

// Missed tells what the last scan passed over although it may be data.
func (r RawFolder) Missed() error {
	report := r.Report()
	if report.Unstable > 0 {
		return fmt.Errorf("%d files are still being written; try again when they are whole", report.Unstable)
	}
	var errs []error
	for _, skip := range report.Skips {
		errs = append(errs, fmt.Errorf("%s cannot be read: %w", skip.Path, skip.Reason))
	}
	return errors.Join(errs...)
}

// Open locks the folder, starts the embedded server, opens every store and makes
// the roles; Run starts them. Close it in any case.
func Open(ctx context.Context, cfg Config, logger *slog.Logger) (_ *Process, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, fmt.Errorf("find the folder: %w", err)
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	// However it is reached, the folder has one name: the tables remember it.
	if cfg.Dir, err = filepath.EvalSymlinks(cfg.Dir); err != nil {
		return nil, fmt.Errorf("find the folder: %w", err)
	}
	p := &Process{cfg: cfg, logger: logger, now: func() time.Time { return time.Now().UTC() }}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	for _, open := range []func(context.Context) error{
		p.openFolder, p.openRaw, p.openLog, p.openStores, p.openBuckets, p.openLake, p.makeRoles,
	} {
		if err := open(ctx); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Run starts the roles and then the extra services, and blocks until ctx ends,
// one of them fails, or all are done; it stops them in reverse order. While it
// runs, other programs find the process through Running.
func (p *Process) Run(ctx context.Context, extra ...lifecycle.Service) error {
	group := lifecycle.Group{StopTimeout: stopTimeout, Logger: p.logger}
	announce := lifecycle.Service{Name: "announce", Run: func(ctx context.Context, ready func()) error {
		if err := p.announce(); err != nil {
			return err
		}
		ready()
		<-ctx.Done()
		return p.retract()
	}}
	services := append(slices.Clone(p.roles), announce)
	return group.Run(ctx, append(services, extra...)...)
}

// Start runs the roles in the background and returns when they are up. stop ends
// them and gives what Run gave; failed is closed when Run has ended by itself.
func (p *Process) Start(ctx context.Context) (stop func() error, failed <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	up, ended := make(chan struct{}), make(chan struct{})
	var err error
	go func() {
		defer close(ended)
		err = p.Run(ctx, lifecycle.Service{Name: "started", Run: func(ctx context.Context, ready func()) error {
			ready()
			close(up)
			<-ctx.Done()
			return ctx.Err()
		}})
	}()
	select {
	case <-up:
	case <-ended:
	}
	return func() error {
		cancel()
		<-ended
		return err
	}, ended
}

// URL is where operators' tools reach the event log.
func (p *Process) URL() string { return p.server.URL() }

func (p *Process) atClose(f func() error) { p.closers = append(p.closers, f) }

// Close releases everything, last opened first.
func (p *Process) Close() error {
	var errs []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		errs = append(errs, p.closers[i]())
	}
	p.closers = nil
	return errors.Join(errs...)
}

func (p *Process) openFolder(context.Context) error {
	lock, err := lifecycle.LockFolder(p.cfg.Dir)
	if err != nil {
		return err
	}
	p.atClose(lock.Unlock)
	return p.keepHome()
}

func (p *Process) openLog(ctx context.Context) error {
	cfg := natsserver.DefaultConfig()
	cfg.Dir, cfg.Port = p.cfg.path("nats"), p.cfg.NATSPort
	var err error
	if p.server, err = natsserver.Start(ctx, cfg, p.logger); err != nil {
		return fmt.Errorf("start the embedded NATS server: %w", err)
	}
	p.atClose(func() error { p.server.Close(); return nil })
	if p.nc, err = eventlog.Connect(p.server.URL(), "blotter", p.logger); err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	p.atClose(func() error { p.nc.Close(); return nil })
	if p.Log, err = eventlog.Open(ctx, p.nc, p.cfg.Log, eventlog.WithLogger(p.logger)); err != nil {
		return fmt.Errorf("open the event log: %w", err)
	}
	return nil
}

func (p *Process) openStores(ctx context.Context) error {
	var err error
	if p.Store, err = controlsqlite.Open(ctx, p.cfg.path(ControlFile)); err != nil {
		return fmt.Errorf("open the control store: %w", err)
	}
	p.atClose(p.Store.Close)
	if p.Hold, err = holdsqlite.Open(ctx, p.cfg.path("hold.db")); err != nil {
		return fmt.Errorf("open the hold queue: %w", err)
	}
	p.atClose(p.Hold.Close)
	p.Specs = control.NewSpecs(p.Store)
	return nil
}

// openRaw opens the raw folder for the roles that read it: commands on a stopped
// system need it no more than they need its files.
func (p *Process) openRaw(ctx context.Context) error {
	if !slices.ContainsFunc(table, func(r role) bool { return r.raw && p.cfg.wants(r.name) }) {
		return nil
	}
	if p.cfg.Raw == "" {
		if err := os.MkdirAll(p.cfg.rawDir(), 0o755); err != nil {
			return fmt.Errorf("make the raw folder: %w", err)
		}
	}
	var err error
	if p.Raw.Bucket, err = local.New("raw", p.cfg.rawDir(), local.ReadOnly()); err != nil {
		return fmt.Errorf("open the raw folder %s (name it with --raw): %w", p.cfg.rawDir(), err)
	}
	watch := p.cfg.Watch
	watch.Logger = p.logger
	if p.Raw.Watcher, err = p.Raw.Bucket.Watch(context.WithoutCancel(ctx), watch); err != nil {
		return fmt.Errorf("watch the raw folder: %w", err)
	}
	p.atClose(p.Raw.Watcher.Close)
	return p.rememberRaw()
}

func (p *Process) openBuckets(context.Context) error {
	var err error
	if p.staging, err = local.New("staging", p.cfg.path("staging"), local.Immutable()); err != nil {
		return fmt.Errorf("open the staging folder: %w", err)
	}
	if p.Failed, err = local.New("failed", p.cfg.path("failed")); err != nil {
		return fmt.Errorf("open the failed folder: %w", err)
	}
	scratch := p.cfg.path("scratch")
	if err := errors.Join(os.MkdirAll(scratch, 0o700), transform.RemoveScratch(scratch)); err != nil {
		return fmt.Errorf("clear the scratch folder: %w", err)
	}
	transforms := p.cfg.Transform
	transforms.ScratchDir, p.cfg.Lake.ScratchDir = scratch, scratch
	p.runner = jobslocal.New(p.Raw.Bucket, p.staging, p.Failed, transforms)
	p.glue = p.runner
	if p.cfg.GlueRunner != nil {
		p.glue = p.cfg.GlueRunner(p.Raw.Bucket, p.staging, p.Failed)
	}
	return p.reachGlue()
}

// reachGlue makes the runner for jobs of Glue, for the role that starts them.
func (p *Process) reachGlue() error {
	if p.cfg.OnGlue == nil || !p.cfg.wants(gluedispatcher.ServiceName) {
		return nil
	}
	runner, err := p.cfg.OnGlue.runner(plan.Maker{
		Raw: rows.FolderPlace(p.Raw.Bucket), Staging: rows.FolderPlace(p.staging), Failed: rows.FolderPlace(p.Failed),
	}, p.staging, p.now, p.logger)
	if err != nil {
		return err
	}
	p.onGlue = runner
	return nil
}

func (p *Process) openLake(ctx context.Context) error {
	l, closer, err := openLake(ctx, p.cfg, p.staging, p.logger)
	if err != nil {
		return err
	}
	p.Lake = l
	p.atClose(closer)
	return nil
}

// makeRoles makes the wanted roles in the order of the table.
func (p *Process) makeRoles(context.Context) error {
	for _, r := range table {
		if !p.cfg.wants(r.name) {
			continue
		}
		f, err := r.make(p)
		if err != nil {
			return fmt.Errorf("make %s: %w", r.name, err)
		}
		p.roles = append(p.roles, lifecycle.Blocking(r.name, f))
	}
	return nil
}

// serve gives a service's request loop the connection of this process.
func (p *Process) serve(f func(context.Context, *nats.Conn) error) func(context.Context) error {
	return func(ctx context.Context) error { return f(ctx, p.nc) }
}

// runBoth runs two loops of one service; the end of one ends the other.
func runBoth(ctx context.Context, loops ...func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, loop := range loops {
		group.Go(func() error { return loop(ctx) })
	}
	return group.Wait()
}

// Watch keeps telling ingest-router what is new in the raw folder, until ctx ends.
func (p *Process) Watch(ctx context.Context) error {
	return p.IngestRouter.Watch(ctx, p.Raw.Changes())
}
