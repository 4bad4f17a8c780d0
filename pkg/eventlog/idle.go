package eventlog

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Idle reports whether the consumers of all these services, in every partition,
// have handled and acknowledged all there is: none has anything to deliver or
// unacknowledged, at one and the same end of the log. A service whose consumers
// do not exist yet is not idle.
func (l *Log) Idle(ctx context.Context, services []string) (bool, error) {
	before, err := l.Last(ctx)
	if err != nil {
		return false, err
	}
	resting, err := l.resting(ctx, services)
	if err != nil || len(resting) == 0 && len(services) > 0 {
		return false, err
	}
	for _, info := range resting {
		if done, err := l.deliveredAll(ctx, info); err != nil || !done {
			return false, err
		}
	}
	// The consumers were asked one after the other. One that was idle when asked
	// can only have been given work by a new event.
	after, err := l.Last(ctx)
	return err == nil && before == after, err
}

// resting gives all consumers of the services if none of them knows of anything
// to do, else nothing.
func (l *Log) resting(ctx context.Context, services []string) ([]*jetstream.ConsumerInfo, error) {
	waiting := make(map[string]bool)
	for _, s := range services {
		for p := range int(l.partitions) {
			waiting[ConsumerName(s, p)] = true
		}
	}
	var out []*jetstream.ConsumerInfo
	ctx, cancel := context.WithTimeout(ctx, l.cfg.CallTimeout)
	defer cancel()
	list := l.stream.ListConsumers(ctx)
	for info := range list.Info() {
		if waiting[info.Name] && info.NumPending == 0 && info.NumAckPending == 0 {
			delete(waiting, info.Name)
			out = append(out, info)
		}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("ask the consumers for what is pending: %w", err)
	}
	if len(waiting) > 0 {
		return nil, nil
	}
	return out, nil
}

// deliveredAll compares what a consumer has delivered with the log itself: the
// server tells a consumer of a new message a moment after it has confirmed it to
// its publisher, so the count of pending ones may lag behind.
func (l *Log) deliveredAll(ctx context.Context, info *jetstream.ConsumerInfo) (bool, error) {
	filters := info.Config.FilterSubjects
	if len(filters) == 0 {
		filters = []string{info.Config.FilterSubject}
	}
	for _, f := range filters {
		last, err := l.lastOf(ctx, f)
		if err != nil {
			return false, err
		}
		if last.Sequence > info.Delivered.Stream {
			return false, nil
		}
	}
	return true, nil
}
