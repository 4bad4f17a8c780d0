package natsserver

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
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

// expected are parts of warnings that tell of nothing wrong here: large
// messages are rare and wanted (see Config.MaxPayload), and a log that was not
// closed is what recovery after a kill is for.
var expected = []string{
	"Maximum payloads over", "Stream state outdated", "Recovering stream state from index errored",
	"Internal subscription on", // a machine under load answers late, and answers
}

// Warnf writes at warn level, or at debug level what is expected.
func (l slogger) Warnf(format string, v ...any) {
	level := slog.LevelWarn
	if slices.ContainsFunc(expected, func(part string) bool { return strings.Contains(format, part) }) {
		level = slog.LevelDebug
	}
	l.write(level, format, v)
}

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
