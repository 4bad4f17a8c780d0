package roles

import (
	"log/slog"

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
