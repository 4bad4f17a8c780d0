package roles

import (
	"errors"
	"log/slog"
	"net"

	"github.com/nats-io/nats.go"

	"github.com/openblotter/blotter/pkg/eventlog"
)

// ConnectNATS connects to a NATS server: to that of Places.NATS as whom the configuration
// says, to one that a process runs for itself as nobody.
func (c Config) ConnectNATS(url, name string, logger *slog.Logger) (*nats.Conn, error) {
	if c.Places.NATS == "" {
		return eventlog.Connect(url, name, logger)
	}
	options, err := c.NATS.Options()
	if err != nil {
		return nil, err
	}
	return eventlog.Connect(url, name, logger, options...)
}

// unreached reports whether no server was there to connect to, or none that answered in
// time. One that refuses a user or a certificate was, and its error says what to give.
func unreached(err error) bool {
	var dialed *net.OpError
	return errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) || errors.As(err, &dialed) && dialed.Op == "dial"
}
