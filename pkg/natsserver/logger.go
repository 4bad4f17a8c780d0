package natsserver

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// slogger passes the server's log on to slog. What the server calls a notice is
// chatter to whoever embeds it, hence debug; warnings and errors keep their level.
type slogger struct {
	log *slog.Logger
	// fatal takes the first reason for which the server gave itself up: it has no
	// other way to tell of it.
	fatal chan string
}

var _ server.Logger = slogger{}

func newSlogger(log *slog.Logger) slogger {
	return slogger{log: log, fatal: make(chan string, 1)}
}

func (l slogger) write(level slog.Level, format string, v []any) {
	ctx := context.Background()
	if !l.log.Enabled(ctx, level) {
		return
	}
	l.log.Log(ctx, level, strings.TrimSpace(fmt.Sprintf(format, v...)))
}

// Noticef writes at debug level.
func (l slogger) Noticef(format string, v ...any) { l.write(slog.LevelDebug, format, v) }

// Warnf writes at warn level.
func (l slogger) Warnf(format string, v ...any) { l.write(slog.LevelWarn, format, v) }

// Fatalf writes at error level and keeps the reason for Start.
func (l slogger) Fatalf(format string, v ...any) {
	l.write(slog.LevelError, format, v)
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default:
	}
}

// Errorf writes at error level.
func (l slogger) Errorf(format string, v ...any) { l.write(slog.LevelError, format, v) }

// Debugf writes at debug level.
func (l slogger) Debugf(format string, v ...any) { l.write(slog.LevelDebug, format, v) }

// Tracef writes nothing: the server's traces hold message contents.
func (l slogger) Tracef(string, ...any) {}
