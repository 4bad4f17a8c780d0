package eventlog

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Idle reports whether the consumers of all these services, in every partition,
// have handled and acknowledged all there is: none has anything pending or
// unacknowledged, at one and the same end of the log. A service whose consumers
// do not exist yet is not idle.
func (l *Log) Idle(ctx context.Context, services []string) (bool, error) {
	before, err := l.Last(ctx)
	if err != nil {
		return false, err
	}
	waiting := make(map[string]bool)
	for _, s := range services {
		for p := range Partitions {
			waiting[ConsumerName(s, p)] = true
		}
	}
	list := l.stream.ListConsumers(ctx)
	for info := range list.Info() {
		if waiting[info.Name] && idle(info) {
			delete(waiting, info.Name)
		}
	}
	if err := list.Err(); err != nil {
		return false, fmt.Errorf("ask the consumers for what is pending: %w", err)
	}
	if len(waiting) > 0 {
		return false, nil
	}
	// The consumers were asked one after the other. One that was idle when asked
	// can only have been given work by a new event.
	after, err := l.Last(ctx)
	return err == nil && before == after, err
}

func idle(info *jetstream.ConsumerInfo) bool {
	return info.NumPending == 0 && info.NumAckPending == 0
}
