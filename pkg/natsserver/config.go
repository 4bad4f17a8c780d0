package natsserver

import (
	"errors"
	"fmt"
	"time"
)

// Config says where the server keeps its files and where it listens.
type Config struct {
	// Dir is the folder of JetStream's files. It is created if missing; the
	// caller sees to it that no other server uses it.
	Dir string
	// Port on the loopback interface; 0 takes a free one.
	Port int
	// ReadyTimeout bounds the wait until the server takes connections. Recovery
	// of a large log counts into it.
	ReadyTimeout time.Duration
	// MaxMemory and MaxStore bound what JetStream may use, in bytes. MaxStore is
	// a limit, not a reservation: the disk may still be smaller.
	MaxMemory int64
	MaxStore  int64
	// MaxPayload is the largest message in bytes. The largest that Blotter makes
	// lists every file of one publication, at some 450 bytes each.
	MaxPayload int32
	// SyncAlways fsyncs each message before its acknowledgement. Only benchmarks
	// and tests of speed turn it off.
	SyncAlways bool
}

// DefaultConfig gives the settings of a durable server; Dir is left to the caller.
func DefaultConfig() Config {
	return Config{
		ReadyTimeout: 60 * time.Second,
		MaxMemory:    64 << 20,
		MaxStore:     64 << 30,
		MaxPayload:   64 << 20,
		SyncAlways:   true,
	}
}

// Validate reports all faults together.
func (c Config) Validate() error {
	var faults []error
	if c.Dir == "" {
		faults = append(faults, errors.New("nats server: dir is empty; name the folder for its files"))
	}
	if c.Port < 0 || c.Port > 65535 {
		faults = append(faults, fmt.Errorf("nats server: port %d is not between 0 and 65535", c.Port))
	}
	if c.ReadyTimeout <= 0 {
		faults = append(faults, errors.New("nats server: ready timeout must be positive"))
	}
	if c.MaxMemory <= 0 || c.MaxStore <= 0 || c.MaxPayload <= 0 {
		faults = append(faults, errors.New("nats server: memory, store and payload limits must be positive"))
	}
	return errors.Join(faults...)
}
