package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"

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
	consuming  sync.Map                               // services of the consumers that work here, for Guard
	working    working                                // their partitions
	rank       func(partition int) int                // of consumers that name none; nil: they are alone
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

// Shared has the consumers of this process be some of several: other processes may run the
// same services. Each partition has a rank here, of ten, that is drawn once, so that processes
// share the partitions: of one for which they drew different ranks all events come to the same
// process while it lives; of the others (one in ten, of two processes) each gets some.
// Without it a process takes itself for the only one: two such would have each other's
// events delivered again, over and over.
func Shared() Option {
	return func(l *Log) {
		ranks := make([]int, maxPartitions)
		for i := range ranks {
			ranks[i] = rand.IntN(10)
		}
		l.rank = func(partition int) int { return ranks[partition] }
	}
}

// ErrNoLog: there is no stream of this name on the server.
var ErrNoLog = errors.New("the server holds no event log of Blotter")

// Open binds to the stream. It creates the stream if it is missing and nc's user may,
// else the error is a *DeniedError; an existing
// one must have the settings of cfg but for the numbers of partitions and replicas, which
// are the choice of whoever made it; else the error names every difference. nc
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
		return denied(l.nc, l.cfg.unmade(err))
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

// unmade says what to do about a stream that the servers do not make.
func (c Config) unmade(err error) error {
	advice := ""
	switch code(err) {
	case codeNoReplicas, codeNoPeers:
		advice = fmt.Sprintf("a log with %[1]d replicas needs a cluster of %[1]d NATS servers or more, each with JetStream and room for the %[2]d GiB that the log reserves; "+
			"see that they have joined, or have as many replicas as there are servers: --log-replicas 1 (BLOTTER_LOG_REPLICAS=1) for one server alone", c.Replicas, c.MaxBytes>>30)
	case codeNoStorage, codeNoResources:
		advice = fmt.Sprintf("the log reserves %d GiB: give JetStream more than that (max_file_store in its block), on a disk that has it", c.MaxBytes>>30)
	case codeNoLeader:
		advice = "the NATS servers have no leader: more than half of the cluster must be up, and reach each other at its routes"
	default:
		return err
	}
	return fmt.Errorf("%w: %s", err, advice)
}

// Replicas gives how many replicas the log has on its servers.
func (l *Log) Replicas() int { return l.stream.CachedInfo().Config.Replicas }

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
