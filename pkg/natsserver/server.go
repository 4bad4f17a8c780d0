package natsserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Server is a running embedded server.
type Server struct {
	ns *server.Server
}

// ErrNotReady: the server did not take connections in time.
var ErrNotReady = errors.New("nats server is not ready")

// Start starts a server and returns once clients may connect and JetStream has
// recovered its files. It gives up when ctx ends or after cfg.ReadyTimeout.
func Start(ctx context.Context, cfg Config, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	port := cfg.Port
	if port == 0 {
		port = server.RANDOM_PORT
	}
	ns, err := server.NewServer(&server.Options{
		ServerName:             "blotter",
		Host:                   "127.0.0.1",
		Port:                   port,
		NoSigs:                 true,
		DisableJetStreamBanner: true,
		JetStream:              true,
		StoreDir:               cfg.Dir,
		SyncAlways:             cfg.SyncAlways,
		JetStreamMaxMemory:     cfg.MaxMemory,
		JetStreamMaxStore:      cfg.MaxStore,
		MaxPayload:             cfg.MaxPayload,
	})
	if err != nil {
		return nil, fmt.Errorf("configure the embedded nats server: %w", err)
	}
	logger := newSlogger(log)
	ns.SetLoggerV2(logger, true, false, false)
	// Start returns when the server listens, or when it gave itself up; it
	// reports neither, hence the question after it.
	ns.Start()
	s := &Server{ns: ns}
	if err := s.awaitReady(ctx, cfg.ReadyTimeout, logger.fatal); err != nil {
		s.Close()
		return nil, fmt.Errorf("start the embedded nats server in %s: %w", cfg.Dir, err)
	}
	return s, nil
}

// awaitReady asks in short steps, so that a cancelled start does not wait out
// the whole deadline.
func (s *Server) awaitReady(ctx context.Context, timeout time.Duration, fatal <-chan string) error {
	deadline := time.Now().Add(timeout)
	for !s.ns.ReadyForConnections(50 * time.Millisecond) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case reason := <-fatal:
			return fmt.Errorf("%w: %s", ErrNotReady, reason)
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w after %v", ErrNotReady, timeout)
		}
	}
	if !s.ns.JetStreamEnabled() {
		return fmt.Errorf("%w: JetStream is off, see its log", ErrNotReady)
	}
	return nil
}

// URL is where clients connect, such as "nats://127.0.0.1:4222".
func (s *Server) URL() string { return s.ns.ClientURL() }

// Close stops the server and returns when its files are flushed and closed. It
// may be called again.
func (s *Server) Close() {
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
}
