package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	neturl "net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// Log is the event log, for all services of a process. It is safe for concurrent
// use.
type Log struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
	// partitions are those of the stream, whatever cfg says.
	partitions Partitions
	cfg        Config
	log        *slog.Logger
	faults     Faults
	chains     *chains
	existing   bool
	archive    func(context.Context) (Archive, error) // nil: none
	// handling is how long handlers took, by service, event and success.
	handling metric.Float64Histogram
}

// Option changes how a Log works.
type Option func(*Log)

// WithLogger has the log tell of retries and lost connections. Without it, it is
// silent.
func WithLogger(log *slog.Logger) Option { return func(l *Log) { l.log = log } }

// Existing has Open bind to the stream that is there, whatever its settings: for those
// who only look, or ask others. Without a stream it fails with ErrNoLog.
func Existing() Option { return func(l *Log) { l.existing = true } }

// ErrNoLog: there is no stream of this name on the server.
var ErrNoLog = errors.New("the server holds no event log of Blotter")

// Connect opens a connection that reconnects for ever and tells of its
// disturbances. name is shown to operators in the server's list of connections. more
// say as whom it is opened, and how.
func Connect(url, name string, log *slog.Logger, more ...nats.Option) (*nats.Conn, error) {
	ctx := context.Background()
	nc, err := nats.Connect(url, append([]nats.Option{
		nats.Name(name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.WarnContext(ctx, "connection to nats lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.InfoContext(ctx, "connection to nats is back", "url", nc.ConnectedUrlRedacted())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.ErrorContext(ctx, "nats reports an error", "error", err)
		}),
	}, more...)...)
	if errors.Is(err, nats.ErrAuthorization) {
		err = fmt.Errorf("%w: it knows no user with this seed (--nats-nkey), or was not told to load the file that names it", err)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to nats at %s: %w", Redacted(url), err)
	}
	return nc, nil
}

// Redacted gives the addresses of servers without their passwords.
func Redacted(urls string) string {
	all := strings.Split(urls, ",")
	for i, one := range all {
		u, err := neturl.Parse(strings.TrimSpace(one))
		if err != nil {
			all[i] = "(an address that is none)"
			continue
		}
		all[i] = u.Redacted()
	}
	return strings.Join(all, ",")
}

// Open binds to the stream. It creates the stream if it is missing and nc's user may,
// else the error is a *DeniedError; an existing
// one must have the settings of cfg but for the number of partitions, else the
// error names every difference. nc
// stays the caller's to close, after all use of the Log has ended.
func Open(ctx context.Context, nc *nats.Conn, cfg Config, opts ...Option) (*Log, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(cfg.CallTimeout))
	if err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	l := &Log{nc: nc, js: js, cfg: cfg, log: slog.New(slog.DiscardHandler), chains: newChains(cfg.MaxKnownIDs)}
	for _, o := range opts {
		o(l)
	}
	l.handling, err = otel.Meter("github.com/openblotter/blotter").Float64Histogram("blotter.eventlog.handle",
		metric.WithUnit("s"), metric.WithDescription("How long one attempt to handle an event took"))
	if err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	if err := l.bind(ctx); err != nil {
		return nil, fmt.Errorf("open stream %s: %w", cfg.Stream, err)
	}
	return l, nil
}

func (l *Log) bind(ctx context.Context) error {
	want := l.cfg.stream()
	ctx, cancel := context.WithTimeout(ctx, 2*l.cfg.CallTimeout)
	defer cancel()
	var (
		stream jetstream.Stream
		err    error
	)
	ctx, done := UntilDenied(ctx, l.nc)
	defer done()
	stream, err = l.js.Stream(ctx, l.cfg.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) && !l.existing {
		// Two processes may start at once: creating is idempotent for equal settings
		// and an error for others.
		stream, err = l.js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			stream, err = l.js.Stream(ctx, l.cfg.Stream)
		}
	}
	err = deniedCause(ctx, err)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("%w: start the system first, or name its server", ErrNoLog)
	case err != nil:
		return denied(l.nc, err)
	}
	l.stream = boundedStream{stream, l.cfg.CallTimeout}
	got := stream.CachedInfo().Config
	if !l.existing {
		err = verify(want, got)
	}
	if err == nil {
		l.partitions, err = partitionsOf(got)
	}
	return err
}

// Last gives the sequence of the newest event of the whole log, 0 if there is none.
func (l *Log) Last(ctx context.Context) (uint64, error) {
	info, err := l.stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask for the end of the log: %w", err)
	}
	return info.State.LastSeq, nil
}

// ErrSettings: the stream on the server is not the one that was configured.
var ErrSettings = errors.New("stream settings differ")

// verify names every setting of the stream that is not as we need it.
func verify(want, got jetstream.StreamConfig) error {
	var faults []error
	check := func(name string, want, got any) {
		if want != got {
			faults = append(faults, fmt.Errorf("%s is %v, expected %v", name, got, want))
		}
	}
	if !slices.Equal(want.Subjects, got.Subjects) {
		check("subjects", fmt.Sprint(want.Subjects), fmt.Sprint(got.Subjects))
	}
	check("retention", want.Retention, got.Retention)
	check("storage", want.Storage, got.Storage)
	check("replicas", want.Replicas, got.Replicas)
	check("max messages", want.MaxMsgs, got.MaxMsgs)
	check("max bytes", want.MaxBytes, got.MaxBytes)
	check("max age", want.MaxAge, got.MaxAge)
	check("max consumers", want.MaxConsumers, got.MaxConsumers)
	check("discard", want.Discard, got.Discard)
	check("duplicate window", want.Duplicates, got.Duplicates)
	check("deny delete", want.DenyDelete, got.DenyDelete)
	// One that was made to deny purges for ever is as good, and is never trimmed.
	check("deny purge", want.DenyPurge, got.DenyPurge && want.DenyPurge)
	check("allow direct", want.AllowDirect, got.AllowDirect)
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w; change the configuration, or the stream with `nats stream edit`",
		ErrSettings, errors.Join(faults...))
}

// partitionsOf reads how many partitions a stream has.
func partitionsOf(stream jetstream.StreamConfig) (Partitions, error) {
	text := stream.Metadata[partitionsKey]
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPartitions {
		return 0, fmt.Errorf("%w: its metadata %s is %q, expected 1 to %d: it was not made by Blotter",
			ErrSettings, partitionsKey, text, maxPartitions)
	}
	return Partitions(n), nil
}
