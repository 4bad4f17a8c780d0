package eventlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoTrim: the log cannot be trimmed now, or not so far.
var ErrNoTrim = errors.New("the log cannot be trimmed")

// Trim removes all events with sequences up to until from the stream, at once. The
// caller has proven that they are archived, and that nobody has anything to say that
// may stand among them already: no outbox is full, nothing is pending. It is refused
// with ErrNoTrim if a consumer of these services has not handled all of them, or is not
// there: it would never see what is removed.
func (l *Log) Trim(ctx context.Context, until uint64, services []string) error {
	info, err := l.stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("look at the log: %w", err)
	}
	switch {
	case info.Config.DenyPurge:
		return fmt.Errorf("%w: its stream was made to refuse it for ever (deny_purge)", ErrNoTrim)
	case until > info.State.LastSeq:
		return fmt.Errorf("%w up to sequence %d: it ends at %d", ErrNoTrim, until, info.State.LastSeq)
	}
	for _, service := range services {
		for p := range int(l.partitions) {
			if err := l.handled(ctx, ConsumerName(service, p), until); err != nil {
				return err
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, trimTimeout*l.cfg.CallTimeout)
	defer cancel()
	if err := l.stream.Purge(ctx, jetstream.WithPurgeSequence(until+1)); err != nil {
		return fmt.Errorf("trim the log: %w", denied(l.nc, err))
	}
	return nil
}

// trimTimeout is how many calls a trim may take as long as: a server takes its time to
// remove what fills its disk.
const trimTimeout = 12

// handled fails if a consumer has events up to until before it.
func (l *Log) handled(ctx context.Context, name string, until uint64) error {
	callCtx, cancel := context.WithTimeout(ctx, l.cfg.CallTimeout)
	defer cancel()
	consumer, err := l.stream.Consumer(callCtx, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("%w: its consumer %s is not there, so that its service has never run: start it once", ErrNoTrim, name)
	}
	if err != nil {
		return fmt.Errorf("look at consumer %s: %w", name, denied(l.nc, err))
	}
	info := consumer.CachedInfo()
	if info.AckFloor.Stream >= until {
		return nil
	}
	if info.NumAckPending > 0 {
		return fmt.Errorf("%w up to sequence %d: consumer %s still works on events after %d", ErrNoTrim, until, name, info.AckFloor.Stream)
	}
	filters := info.Config.FilterSubjects
	if len(filters) == 0 {
		filters = []string{info.Config.FilterSubject}
	}
	for _, f := range filters {
		next, err := l.stream.GetMsg(ctx, info.Delivered.Stream+1, jetstream.WithGetMsgSubject(f))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
		case err != nil:
			return fmt.Errorf("look for what consumer %s has before it: %w", name, denied(l.nc, err))
		case next.Sequence <= until:
			return fmt.Errorf("%w up to sequence %d: consumer %s has not seen sequence %d", ErrNoTrim, until, name, next.Sequence)
		}
	}
	return nil
}
