package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/alert"
	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/pkg/callback"
	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/holdqueue"
	"github.com/openblotter/blotter/pkg/ingress"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/lifecycle"
	"github.com/openblotter/blotter/pkg/natsserver"
	"github.com/openblotter/blotter/pkg/objects"
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
	Log   *eventlog.Log
	Store Store
	Specs *control.Specs
	// The others are nil in a process none of whose roles needs them; one without any
	// role has all but Raw.
	Hold   holdqueue.Queue
	Lake   *lake.Lake
	Raw    Raw
	Failed objects.Bucket
	// IngestRouter and LockManager are nil in a process without these roles.
	IngestRouter *ingestrouter.Service
	LockManager  *lockmanager.Service
	// SetBack are the tables of the lake that lacked, when the process was opened, what
	// was committed to them: they take no changes. Only the curator looks.
	SetBack []dms.TableID
	// LogFault says which events the log had lost when the process was opened; empty: none
	// that its server knows of. Only who keeps the archive looks.
	LogFault string

	cfg     Config
	vouched *vouched // Store, for those who go by registrations
	logger  *slog.Logger
	now     func() time.Time
	open    *opener
	raw     place
	staging place
	failed  place
	runner  jobs.Runner // of tables with flag L
	// onLambda is of those whose table names a function; nil: there is no Lambda.
	onLambda jobs.Remote
	// queue tells ingest-router of objects, and tasks wait for them; nil: it looks itself.
	queue ingress.Queue
	tasks callback.Tasks
	// channels are told that tables wait for an operator; none: nobody is.
	channels []alert.Channel
	glue     jobs.Runner         // of those with flag G
	onGlue   gluedispatcher.Glue // … whose table names a job; nil: there is no Glue
	keeper   *archive.Keeper     // nil: the log is not archived here
	url      string              // of the NATS server
	nc       *nats.Conn
	closers  []func() error
	roles    []lifecycle.Service
	// entrypoint takes in what the ingress queue tells; nil where there is none.
	entrypoint *ingestrouter.Entrypoint
}

// Open locks the folder, starts the embedded server, opens every store and makes
// the roles; Run starts them. Close it in any case.
func Open(ctx context.Context, cfg Config, logger *slog.Logger) (_ *Process, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	if cfg.Dir, err = trueName(cfg.Dir); err != nil {
		return nil, err
	}
	p := &Process{cfg: cfg, logger: logger, now: func() time.Time { return time.Now().UTC() }}
	p.cfg.Watch.Logger = logger
	p.open = &opener{cfg: p.cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	for _, open := range []func(context.Context) error{
		p.openFolder, p.openRaw, p.openLog, p.openStores, p.openNewRaw, p.agree, p.openBuckets, p.openRunners, p.openLake, p.openAudit, p.agreeWithLake, p.openIngress, p.openAlerts, p.makeRoles,
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
	// Watched before the first role begins: one whom the server refuses what it needs must
	// not go on in silence.
	guard := lifecycle.Service{Name: "nats", Run: p.Log.Guard}
	services := append([]lifecycle.Service{guard}, p.roles...)
	if p.cfg.Places.NATS == "" {
		services = append(services, announce) // elsewhere, whoever needs the server has its address
	}
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
func (p *Process) URL() string { return p.url }

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
	if p.cfg.Places.Lake != "" {
		return nil // the tables lie elsewhere
	}
	return p.keepHome()
}

// openLog connects to the NATS server, of this process if there is no other.
func (p *Process) openLog(ctx context.Context) error {
	p.url = p.cfg.Places.NATS
	if p.url == "" {
		cfg := natsserver.DefaultConfig()
		cfg.Dir, cfg.Port = p.cfg.path(LogDir), p.cfg.NATSPort
		server, err := natsserver.Start(ctx, cfg, p.logger)
		if err != nil {
			return fmt.Errorf("start the embedded NATS server: %w", err)
		}
		p.atClose(func() error { server.Close(); return nil })
		p.url = server.URL()
	}
	var err error
	if p.nc, err = p.cfg.ConnectNATS(p.url, "blotter", p.logger); err != nil {
		if p.cfg.Places.NATS != "" && unreached(err) {
			err = fmt.Errorf("%w; is the server up, and --nats (BLOTTER_NATS) its address?", err)
		}
		return err
	}
	p.atClose(func() error { p.nc.Close(); return nil })
	archived, closeArchive := Archived(p.cfg)
	p.atClose(closeArchive)
	options := []eventlog.Option{eventlog.WithLogger(p.logger), archived}
	if p.cfg.Places.NATS != "" { // others may run the same roles
		options = append(options, eventlog.Shared())
	}
	if p.Log, err = eventlog.Open(ctx, p.nc, p.cfg.Log, options...); err != nil {
		return fmt.Errorf("open the event log: %w", err)
	}
	return nil
}

func (p *Process) openStores(ctx context.Context) error {
	var err error
	if p.Store, err = p.open.store(ctx, false); err != nil {
		return err
	}
	p.atClose(p.Store.Close)
	p.vouched = newVouched(p.Store, p.Log)
	p.Specs = control.NewSpecs(p.vouched)
	if !p.needs(needHold) {
		return nil
	}
	var closer func() error
	if p.Hold, closer, err = p.open.hold(ctx); err != nil {
		return err
	}
	p.atClose(closer)
	return nil
}

// openRaw opens the raw bucket for the roles that read it: commands on a stopped
// system need it no more than they need its files. A folder that is to be made is left to
// openNewRaw.
func (p *Process) openRaw(ctx context.Context) error {
	if !p.cfg.need(needRaw) || p.newRaw() {
		return nil
	}
	var err error
	if p.Raw, p.raw, err = p.open.raw(ctx); err != nil {
		return err
	}
	p.atClose(p.raw.close)
	return nil
}

func (p *Process) openBuckets(ctx context.Context) error {
	var err error
	if p.needs(needStaging) {
		if p.staging, err = p.open.bucket(ctx, "staging", false, local.Immutable()); err != nil {
			return err
		}
		p.atClose(p.staging.close)
	}
	if p.needs(needFailed) {
		if p.failed, err = p.open.bucket(ctx, "failed", false); err != nil {
			return err
		}
		p.atClose(p.failed.close)
		p.Failed = p.failed.bucket
	}
	scratch := p.cfg.path("scratch")
	if err := errors.Join(os.MkdirAll(scratch, 0o700), transform.RemoveScratch(scratch)); err != nil {
		return fmt.Errorf("clear the scratch folder: %w", err)
	}
	p.cfg.Transform.ScratchDir, p.cfg.Lake.ScratchDir = scratch, scratch
	return nil
}

func (p *Process) openLake(ctx context.Context) error {
	if !p.needs(needLake) {
		return nil
	}
	var closer func() error
	var err error
	if p.Lake, closer, err = p.open.lake(ctx, p.cfg.Lake, p.staging.bucket, p.logger, false); err != nil {
		return err
	}
	p.atClose(closer)
	return nil
}

// needs reports whether something is opened: a process without any role is there to
// look at all that a system keeps.
func (p *Process) needs(n need) bool {
	return p.cfg.Roles != nil && len(p.cfg.Roles) == 0 || p.cfg.need(n)
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

// runBoth runs the loops of one service; the end of one ends the others.
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
