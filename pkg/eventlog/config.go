package eventlog

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Config holds what differs between one embedded server and a cluster of three.
type Config struct {
	// Stream is the name of the stream.
	Stream string
	// Partitions of the stream when it is created; one that exists keeps its own
	// number. More spread the tables over more replicas of a service; a server
	// takes some 15 ms to stop each consumer.
	Partitions Partitions
	// Replicas of the stream when it is created, 1 embedded, 3 in a cluster; one that
	// exists keeps its own number.
	Replicas int
	// MaxBytes bounds the stream. A full stream refuses new events rather than
	// lose old ones; everything waits until an operator has made room.
	MaxBytes int64
	// DuplicateWindow is how long the server recognises ids. Correctness does not
	// rest on it.
	DuplicateWindow time.Duration
	// MaxConsumers bounds the consumers of the stream, reads in progress included.
	MaxConsumers int
	// AckWait is how long an event of a replica that has died or lost its
	// connection waits until another takes it. A replica that lives keeps its
	// events by heartbeats, however long they take.
	AckWait time.Duration
	// CallTimeout bounds one call to the server.
	CallTimeout time.Duration
	// RetryMin and RetryMax bound the wait between two attempts of a handler.
	RetryMin time.Duration
	RetryMax time.Duration
	// MaxKnownIDs bounds the ids of published events that are kept in memory
	// (about 40 bytes each) to spare look-behinds while a backlog is worked off.
	MaxKnownIDs int
}

// DefaultConfig gives the settings of a cluster of three. An embedded server
// takes Replicas 1 and a short AckWait.
func DefaultConfig() Config {
	return Config{
		Stream:          "BLOTTER",
		Partitions:      16,
		Replicas:        3,
		MaxBytes:        16 << 30,
		DuplicateWindow: 10 * time.Minute,
		MaxConsumers:    1000,
		AckWait:         30 * time.Second,
		CallTimeout:     5 * time.Second,
		RetryMin:        50 * time.Millisecond,
		RetryMax:        15 * time.Second,
		MaxKnownIDs:     1 << 20,
	}
}

// EmbeddedConfig gives the settings for a server in the same process.
func EmbeddedConfig() Config {
	c := DefaultConfig()
	c.Replicas = 1
	// One process reads all partitions, and its lanes are per table.
	c.Partitions = 4
	c.AckWait = 5 * time.Second
	return c
}

// Validate reports all faults together.
func (c Config) Validate() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("event log: "+format, args...))
		}
	}
	fault(checkName(c.Stream) != nil, "stream name %q: expected letters, digits, '-' and '_'", c.Stream)
	fault(c.Partitions < 1 || c.Partitions > maxPartitions, "%d partitions: expected 1 to %d", c.Partitions, maxPartitions)
	fault(c.Replicas < 1 || c.Replicas > 5, "%d replicas: expected 1 to 5", c.Replicas)
	fault(c.MaxBytes <= 0, "max bytes must be positive")
	fault(c.DuplicateWindow < 100*time.Millisecond, "a duplicate window of %v: expected 100ms or more", c.DuplicateWindow)
	fault(c.MaxConsumers <= 0, "max consumers must be positive")
	fault(c.AckWait < 100*time.Millisecond, "an ack wait of %v: expected 100ms or more", c.AckWait)
	fault(c.CallTimeout <= 0, "call timeout must be positive")
	fault(c.RetryMin <= 0 || c.RetryMax < c.RetryMin, "retry waits %v to %v: expected positive, the first not above the second", c.RetryMin, c.RetryMax)
	fault(c.MaxKnownIDs < 1, "max known ids must be positive")
	return errors.Join(faults...)
}

// partitionsKey is the stream metadata that remembers the number of partitions:
// every subject holds one, and nothing else on the server tells how many there are.
const partitionsKey = "blotter-partitions"

// stream is the configuration of the log. Nothing in it discards what was
// acknowledged, and no single event can be removed. The stream as a whole can be
// purged, since Trim does that behind a verified archive: on a server of its own, let
// nobody but those who may trim ask for it.
func (c Config) stream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:         c.Stream,
		Description:  "Every event of Blotter, in order per table",
		Subjects:     []string{allSubjects()},
		Retention:    jetstream.LimitsPolicy,
		Storage:      jetstream.FileStorage,
		Replicas:     c.Replicas,
		MaxMsgs:      -1,
		MaxBytes:     c.MaxBytes,
		MaxConsumers: c.MaxConsumers,
		Discard:      jetstream.DiscardNew,
		Duplicates:   c.DuplicateWindow,
		DenyDelete:   true,
		DenyPurge:    false,
		Compression:  jetstream.S2Compression,
		AllowDirect:  false,
		Metadata:     map[string]string{partitionsKey: fmt.Sprint(int(c.Partitions))},
	}
}
